"""The table of docs/engines.md is made by a program, which times the engines as the services have them."""

import subprocess
import sys
from pathlib import Path

import pytest

from modelkit.publish import publish
from tests.running.processes import ROOT


@pytest.mark.nightly
def test_each_engine_is_timed_and_compared(graph: Path, tmp_path: Path) -> None:
    publish(ROOT / "model", ROOT / "images", graph, str(tmp_path))
    command = [sys.executable, "tools/time_engines.py", str(tmp_path), "--rounds", "1"]
    made = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert made.returncode == 0, made.stderr
    rows = [line.split(" | ") for line in made.stdout.splitlines()[2:]]
    names = ("onnx_pillow", "openvino", "openvino_bf16", "onnx_int8", "torch", "torch_channels_last")
    assert [row[0] for row in rows] == [f"| `{name}`" for name in (*names, "torch_fused")]
    assert all(row[1].endswith("(1.00)") for row in rows[:1])
    assert {row[-1] for row in rows} == {"0 of 73 |"}
