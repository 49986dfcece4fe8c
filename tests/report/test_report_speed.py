"""tests/report/report_speed.py makes a run, reports it in a process of its own and prints what that took."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from bench.run_file import read_run

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
# imports and pictures take some 220 MiB, a million samples 25 more
MOST_MIB = 1024


def test_a_run_is_made_and_reported_within_its_memory(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    command = [sys.executable, str(ROOT / "tests" / "report" / "report_speed.py"), "--folder", str(folder)]
    options = ["--samples", "24000", "--rounds", "2"]
    done = subprocess.run([*command, *options], capture_output=True, text=True, timeout=300, check=True)
    found = re.fullmatch(r"24000 samples: (\S+) s, (\S+) s of CPU, (\d+) MiB at most\n", done.stdout)
    assert found, done.stdout
    assert float(found[1]) > 0
    assert 20 < int(found[3]) < MOST_MIB
    run = read_run(folder)
    assert len(run.trials) == 24
    assert (folder / "report.md").is_file()
    tail = (folder / "report.md").read_text(encoding="utf-8").split("## The tail")[1]
    assert "| onnx | small, 70% of capacity |" in tail, "the samples were read"
