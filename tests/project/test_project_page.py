"""docs/project.md: its commands run as they stand, from a checkout to the report of a project."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.project.conftest import environment_of_its_own
from tests.running.exit_codes import code_of
from tests.running.ports import free_port

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/project.md").read_text(encoding="utf-8")
INSTALL, MEASURE = re.findall(r"^```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
# no package index, and no engine unless a test is about it
ALONE = {
    "DOCKER_HOST": "unix:///nowhere/docker.sock",
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "PIP_NO_BUILD_ISOLATION": "false",
    "PIP_NO_INDEX": "1",
}
# other tests may use the cores
BUSY_HERE = "--max-other-cpu 100%"


def sh(script: str, folder: Path, programs: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    path = f"{programs}:{os.environ['PATH']}"
    return subprocess.run(
        ["sh", "-ec", script],
        cwd=folder,
        env={**os.environ, "PATH": path, **environment},
        capture_output=True,
        text=True,
        timeout=1400,
        check=False,
    )


@pytest.fixture(scope="module")
def programs(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment in which the page's first commands have been run."""
    made = environment_of_its_own(tmp_path_factory.mktemp("from-the-page"))
    copy = tmp_path_factory.mktemp("checkout") / "copy"
    shutil.copytree(wheel.parent.with_name("sources-of-the-wheel"), copy)
    done = sh(INSTALL, copy, made, **ALONE)
    assert done.returncode == 0, done.stderr
    assert (made / "bench").exists()
    return made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder with the model's file that the page takes in."""
    command = [sys.executable, "-m", "examples.wine.make", "--output", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=120)
    return tmp_path


def judge(done: "subprocess.CompletedProcess[str]", project: Path, runtime: str) -> None:
    """Everything ran and was answered rightly; what the machine spoiled is its affair."""
    assert (project / "results").is_dir(), done.stdout + done.stderr
    (results,) = (project / "results").iterdir()
    run: dict[str, Any] = json.loads((results / "run.json").read_text(encoding="utf-8"))
    assert done.returncode == (2 if code_of(run) else 0), done.stderr[-3000:]
    assert run["runtime"] == runtime
    assert run["trials"]
    for trial in run["trials"]:
        assert (trial["strategy"], trial["error"], trial["wrong_answers"]) == ("onnx", None, 0)
        assert trial["throughput_rps"] > 0
    assert (results / "report.html").exists()
    assert "Every answer was checked: 0 wrong" in " ".join(done.stdout.split())


@pytest.mark.slow
def test_the_page_leads_from_a_file_to_a_report(programs: Path, folder: Path) -> None:
    script = MEASURE.replace("BENCH_ARGS=--quick", f'BENCH_ARGS="--quick {BUSY_HERE}"')
    done = sh(script, folder, programs, **ALONE, ONNX_PORT=str(free_port()))
    judge(done, folder / "wine", "process")


@pytest.fixture
def removed(folder: Path) -> Iterator[None]:
    """Ends with no container and no image of the project."""
    yield
    words = ["docker", "compose", "down", "--rmi", "all", "--volumes"]
    subprocess.run(words, cwd=folder / "wine", check=True, capture_output=True, timeout=120)


@pytest.mark.engine
@pytest.mark.nightly
@pytest.mark.timeout(1500)
@pytest.mark.usefixtures("removed")
def test_the_page_leads_to_a_report_of_containers(programs: Path, folder: Path) -> None:
    """The images are built from the project alone."""
    script = MEASURE.replace("BENCH_ARGS=--quick", f'BENCH_ARGS="--quick {BUSY_HERE}"')
    done = sh(script, folder, programs, ONNX_PORT=str(free_port()))
    judge(done, folder / "wine", "compose")
