"""`bench gate --against` with containers: base's own project beside head's, and nothing of it left behind."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.bench.test_gate_failures import judged

pytestmark = pytest.mark.engine

Bench = Callable[..., "subprocess.CompletedProcess[str]"]
BASE_IMAGE = "python:3.11-slim-bookworm"
FIVE_MEGABYTES = 5_000_000
RULES = """
[run]
rounds = 3
window_s = 1.0
warmup_s = 0.5
long_s = 0
concurrency = 4
payloads = ["small"]

[[primary]]
strategy = "fast"
metric = "throughput"
tolerance = "50%"

[[limit]]
metric = "image_own_bytes"
increase = "2 MB"

[[limit]]
metric = "image_unpacked_bytes"
increase = "2 MB"

[[limit]]
metric = "error_rate"
most = "0%"
"""


def run(*command: str, cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def git(root: Path, *args: str) -> None:
    run("git", "-c", "user.name=Nobody", "-c", "user.email=nobody@example.org", *args, cwd=root)


@pytest.fixture
def repository(project: Path) -> Iterator[Path]:
    """A git repository whose image compose builds, with one commit, tagged `before`."""
    (project / "gate.toml").write_text(RULES)
    (project / "data").mkdir()
    (project / "data" / "a").write_bytes(b"a" * 1000)
    (project / "Dockerfile").write_text(
        f"FROM {BASE_IMAGE}\nWORKDIR /app\nCOPY data data\nCOPY stub_strategy.py .\n"
    )
    text = (project / "compose.yaml").read_text()
    (project / "compose.yaml").write_text(
        re.sub(r"  (\S+):\n    image: .*\n", r"  \1:\n    build: .\n", text)
    )
    git(project, "init", "--quiet")
    git(project, "add", ".")
    git(project, "commit", "--quiet", "--message", "As it was")
    git(project, "tag", "before")
    yield project
    run("docker", "compose", "down", "--rmi", "local", "--timeout", "1", cwd=project)
    found = run("docker", "images", "--quiet", f"{name_of(project)}-base/*", cwd=project).split()
    if found:
        run("docker", "rmi", "--force", *found, cwd=project)


def name_of(project: Path) -> str:
    found = re.search(r"^name: (\S+)$", (project / "compose.yaml").read_text(), re.MULTILINE)
    assert found is not None
    return found.group(1)


def left_behind(project: Path) -> str:
    """All containers and networks of both sides, running or not."""
    names = [f"label=com.docker.compose.project={name_of(project)}{suffix}" for suffix in ("", "-base")]
    lists = (("ps", "--all"), ("network", "ls"))
    return "".join(
        run("docker", *command, "--quiet", "--filter", name, cwd=project)
        for name in names
        for command in lists
    )


def test_five_megabytes_more_are_caught_and_nothing_is_left_behind(
    bench: Bench, repository: Path, tmp_path: Path
) -> None:
    (repository / "data" / "more").write_bytes(os.urandom(FIVE_MEGABYTES))
    places = ("--root", repository, "--results", tmp_path / "results", "--strategies", "fast")
    done = bench("gate", *places, "--against", "before", "--runtime", "compose")
    assert done.returncode == 3, done.stdout + done.stderr
    (folder,) = (tmp_path / "results").iterdir()
    told = json.loads((folder / "gate.json").read_text())
    found = {one["metric"]: one for one in told["findings"]}
    for metric in ("image_own_bytes", "image_unpacked_bytes"):
        assert found[metric]["verdict"] == "regression"
        assert found[metric]["head"] - found[metric]["base"] == pytest.approx(FIVE_MEGABYTES, rel=0.01)
    assert found["error_rate"]["head"] == 0
    images = told["environment"]["images"]
    assert set(images) == {"fast", "fast@base"}
    assert len(set(images.values())) == 2
    assert left_behind(repository) == ""
    assert f"page    {folder / 'gate.html'}" in done.stdout


@pytest.mark.nightly
def test_an_image_that_cannot_be_built_leaves_the_other_strategy_to_be_judged(
    bench: Bench, repository: Path, tmp_path: Path
) -> None:
    (repository / "broken.Dockerfile").write_text(f"FROM {BASE_IMAGE}\nRUN exit 7\n")
    compose = repository / "compose.yaml"
    before, slow = compose.read_text().split("  slow-service:")
    broken = slow.replace("build: .", "build: {context: ., dockerfile: broken.Dockerfile}")
    assert broken != slow
    compose.write_text(f"{before}  slow-service:{broken}")
    places = ("--root", repository, "--results", tmp_path / "results", "--strategies", "fast,slow")
    done = bench("gate", *places, "--against", "before", "--runtime", "compose")
    (folder,) = (tmp_path / "results").iterdir()
    told = json.loads((folder / "gate.json").read_text())
    assert done.returncode == told["exit_code"] == 4, done.stdout + done.stderr
    assert {(one["strategy"], one["code"]) for one in told["not_judged"]} == {("slow", "not_built")}
    found = {one["rule"]: one for one in told["findings"]}
    # a busy machine may void its rounds, and is then named
    assert judged(told, "fast")
    assert found["limit.fast.error_rate.most"]["verdict"] == "pass"
    assert {"gate.md", "gate.html", "gate.junit.xml"} <= {path.name for path in folder.iterdir()}
    assert left_behind(repository) == ""


@pytest.mark.nightly
def test_ctrl_c_leaves_nothing_running_and_says_what_is_missing(repository: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "bench", "gate", "--against", "before", "--runtime", "compose"]
    command += ["--max-other-cpu", "100%"]
    command += ["--root", str(repository), "--results", str(tmp_path / "results"), "--strategies", "fast"]
    repository_root = Path(__file__).parents[2]
    with subprocess.Popen(command, cwd=repository_root, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "round 1: pair" in line and "/" in line:
                process.send_signal(signal.SIGINT)
                break
        rest = process.stderr.read()
        assert process.wait(300) == 1
    assert "interrupted" in rest
    assert left_behind(repository) == ""
    (folder,) = (tmp_path / "results").iterdir()
    assert "the run is not complete" in json.loads((folder / "run.json").read_text())["doubts"][-1]["text"]
    verdict = json.loads((folder / "gate.json").read_text())
    assert verdict["verdict"] == "invalid"
    assert (folder / "gate.md").is_file()
