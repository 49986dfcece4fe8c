"""The sweep that docs/measuring.md tells of, with this repository's own service in containers."""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.running.compose import PORT_SETTINGS
from tests.running.exit_codes import code_of
from tests.running.ports import free_port

pytestmark = [pytest.mark.engine, pytest.mark.nightly, pytest.mark.timeout(900)]

ROOT = Path(__file__).parents[2]
COMMAND = "python -m bench run --vary onnx:THREADS=1,2"
# a round that shows that it works
SHORT = (
    *("--quick", "--payloads", "small", "--startups", "0", "--loop-seconds", "0"),
    *("--max-other-cpu", "100%", "--runtime", "compose"),
)


@pytest.fixture
def environment() -> Iterator[dict[str, str]]:
    """That of a compose project of its own, whose containers, networks and volumes are removed afterwards.

    So are the images that Compose names after the project; those that compose.yaml names stay.
    """
    own = os.environ | {"COMPOSE_PROJECT_NAME": "bench-test-sweep"}
    own |= {setting: str(free_port()) for setting in PORT_SETTINGS.values()}
    yield own
    down = ["docker", "compose", "down", "--volumes", "--remove-orphans", "--rmi", "local", "--timeout", "5"]
    subprocess.run(down, cwd=ROOT, env=own, check=True, capture_output=True, timeout=120)


def test_the_page_s_sweep_runs(tmp_path: Path, environment: dict[str, str]) -> None:
    assert COMMAND in (ROOT / "docs" / "measuring.md").read_text(encoding="utf-8").splitlines()
    words = [sys.executable, *shlex.split(COMMAND)[1:], *SHORT, "--results", str(tmp_path / "results")]
    done = subprocess.run(
        words, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=850, check=False
    )
    (folder,) = (tmp_path / "results").iterdir()
    run = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    assert done.returncode == code_of(run), done.stderr[-3000:]
    names = ["onnx-threads-1", "onnx-threads-2"]
    assert list(run["strategies"]) == names
    assert len({run["environment"]["images"][name] for name in names}) == 1
    assert len({run["strategies"][name]["image"]["compressed_bytes"] for name in names}) == 1
    assert all(trial["wrong_answers"] == 0 and trial["ok"] > 0 for trial in run["trials"])
    if any(trial["valid"] for trial in run["trials"]):
        assert (folder / "plots" / "sweep.png").stat().st_size > 5000
