"""The tool that says what each encoding costs, on windows too short to say anything."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
TABLE_ROW = re.compile(r"^\| ([^|]+) \| \d+ \| [\d.]+ \| ([\d.]+) \| [\d.]+ \|$", re.MULTILINE)

needs_ab = pytest.mark.skipif(
    shutil.which("ab") is None and os.environ.get("REQUIRE_ENGINE") != "1", reason="ApacheBench is missing"
)


def compare(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "tools/compare_encodings.py", *words, "--rounds", "1", "--seconds", "1"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)


@needs_ab
def test_every_encoding_has_a_row_and_the_first_is_compared_with_itself(services: dict[str, Any]) -> None:
    done = compare(services["onnx"].url, "--clients", "4")
    assert done.returncode == 0, done.stderr
    rows = dict(TABLE_ROW.findall(done.stdout))
    assert [*rows] == ["JSON base64", "image itself", "OIP JSON base64", "OIP binary", "OIP raw"]
    assert rows["JSON base64"] == "1.000"


@needs_ab
def test_two_services_are_compared_encoding_by_encoding(services: dict[str, Any]) -> None:
    words = ["--against", services["torch"].url, "--only", "OIP raw", "--clients", "4"]
    done = compare(services["onnx"].url, *words)
    assert done.returncode == 0, done.stderr
    assert [name for name, _ in TABLE_ROW.findall(done.stdout)] == ["OIP raw"]


@needs_ab
def test_a_service_that_is_not_there_is_told_in_a_line() -> None:
    done = compare("http://127.0.0.1:9")
    assert done.returncode == 1
    assert "start the service" in done.stderr
    assert "Traceback" not in done.stderr
