"""`bench run` against the project's containers that are up already, and the page's request to one of them."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.running.compose import Project
from tests.running.exit_codes import code_of
from tests.running.run_folders import only_run, read

pytestmark = [pytest.mark.engine, pytest.mark.timeout(1500)]

ROOT = Path(__file__).parents[2]
STRATEGIES = {"torch", "onnx", "batched"}


@pytest.mark.nightly
def test_a_run_borrows_a_project_that_is_up_and_puts_it_back(composed: Project, tmp_path: Path) -> None:
    words = [
        ".venv/bin/python",
        "-m",
        "bench",
        "run",
        "--quick",
        "--max-other-cpu",
        "100%",
        "--strategies",
        "onnx,torch",
        "--payloads",
        "small",
    ]
    words += [
        "--concurrency",
        "50",
        "--window-s",
        "2",
        "--startups",
        "1",
        "--no-build",
        "--results",
        str(tmp_path),
    ]
    done = subprocess.run(
        words, cwd=ROOT, env=composed.environment, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == code_of(read(only_run(tmp_path))), done.stderr[-3000:]
    assert {t["strategy"] for t in read(only_run(tmp_path))["trials"]} == {"onnx", "torch"}
    for name in STRATEGIES:
        found = composed.inspect(f"{name}_serving")
        assert found["State"]["Running"], name
        assert found["HostConfig"]["CpusetCpus"] == "", f"{name} is still pinned as in a trial"


def test_the_documented_curl_gets_an_answer(composed: Project) -> None:
    page = (ROOT / "docs" / "services.md").read_text(encoding="utf-8")
    command = next(line for line in page.splitlines() if line.startswith("curl "))
    here = command.replace("http://127.0.0.1:8080", composed.addresses["onnx"])
    assert here != command
    done = subprocess.run(here, shell=True, cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S602  # the page's own line
    assert json.loads(done.stdout)["prediction"] == "rime"
