"""docs/running_service.md: its commands run as they stand, but for what is another on each machine."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.bench.conftest import HERE, write_images
from tests.running.certificates import make_certificate
from tests.running.ports import free_port

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/running_service.md").read_text(encoding="utf-8")
COMMANDS = [
    line for block in re.findall(r"^```sh\n(.*?)^```", PAGE, re.M | re.S) for line in block.splitlines()
]
QUICK = (
    *("--quick", "--payloads", "small", "--concurrency", "4", "--warmup-s", "0.3", "--warmup-most-s", "0.6"),
    *("--window-s", "1", "--max-other-cpu", "100%"),
)
TOKEN = "Bearer of-this-test"  # noqa: S105  # of this test's own service
Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start a service with these STUB_* settings."""
    running: list[subprocess.Popen[bytes]] = []

    def one(port: int, **settings: str) -> "subprocess.Popen[bytes]":
        environment = {**os.environ, "PORT": str(port), "HOST": "127.0.0.1"}
        environment |= {f"STUB_{name.upper()}": value for name, value in settings.items()}
        running.append(subprocess.Popen([sys.executable, HERE / "stub_strategy.py"], env=environment))
        time.sleep(0.5)
        return running[-1]

    yield one
    for process in running:
        process.kill()
        process.wait()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A clean checkout with an image set, which a run needs to be able to go on."""
    write_images(tmp_path / "images")
    for words in (
        ["init", "-q"],
        ["add", "-A"],
        ["-c", "user.name=x", "-c", "user.email=x@example.invalid", "commit", "-qm", "x"],
    ):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)
    return tmp_path


def only(has: str) -> str:
    (found,) = [line for line in COMMANDS if has in line]
    return found


def words(command: str, **places: object) -> list[str]:
    """The command's words, with what is another on this machine in its place."""
    for here, there in {"9000": "port", "4711": "pid", "9443": "port", "results/RUN": "folder"}.items():
        if there in places:
            command = command.replace(here, str(places[there]))
    return [sys.executable if word == "python" else word for word in shlex.split(command)]


def run(command: list[str], project: Path, *more: str) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "MODEL_TOKEN": TOKEN, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [*command, *more],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


def measured(project: Path) -> dict[str, Any]:
    """The one run of the project, whose trial has right answers."""
    (folder,) = (project / "results").iterdir()
    found = json.loads((folder / "run.json").read_text())
    (trial,) = found["trials"]
    assert (trial["error"], trial["wrong_answers"], trial["ok"] > 0) == (None, 0, True)
    return dict(trial)


def test_every_command_is_one_that_is_run_here() -> None:
    shown = ["--pid", "--container", "--ca", "--resume"]
    assert len(COMMANDS) == len(shown) + 1
    assert all(any(option in line for option in shown) for line in COMMANDS[1:])


@pytest.mark.slow
def test_a_process_is_measured(project: Path, start: Start) -> None:
    port = free_port()
    service = start(port)
    done = run(words(only("--pid"), port=port, pid=service.pid), project, *QUICK)
    assert measured(project)["cpu_ms_per_request"] > 0, done.stderr


@pytest.mark.slow
def test_https_with_a_header_is_measured(project: Path, start: Start, tmp_path: Path) -> None:
    both, port = make_certificate(tmp_path, "DNS:localhost"), free_port()
    (tmp_path / "ca.pem").write_bytes((tmp_path / "certificate.pem").read_bytes())
    start(port, certificate=str(both), token=TOKEN)
    done = run(words(only("--ca"), port=port), project, *QUICK)
    measured(project)
    assert TOKEN not in done.stdout + done.stderr


@pytest.mark.slow
def test_a_run_that_was_cut_short_goes_on(project: Path, start: Start) -> None:
    port = free_port()
    start(port)
    begin = [*words(COMMANDS[0], port=port), *QUICK, "--rounds", "3"]
    running = subprocess.Popen(
        begin, cwd=project, env={**os.environ, "PYTHONPATH": str(ROOT)}, stderr=subprocess.PIPE
    )
    deadline = time.monotonic() + 400
    while not list(project.glob("results/*/samples/*.parquet")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=300)
    (folder,) = (project / "results").iterdir()
    # the command that goes on is shown with the address, which no file has
    assert f"--url mine=http://127.0.0.1:{port}/predict/" in said.decode()
    done = run(words(only("--resume"), port=port, folder=f"results/{folder.name}"), project)
    found = json.loads((folder / "run.json").read_text())
    assert {one["round"] for one in found["trials"]} == {1, 2, 3}, done.stderr
    assert "incomplete" not in {one["code"] for one in found["doubts"]}


@pytest.mark.engine
def test_a_container_is_measured(project: Path) -> None:
    port, name = free_port(), f"bench-page-{os.getpid()}"
    subprocess.run(
        [
            *("docker", "run", "-d", "--name", name, "-p", f"127.0.0.1:{port}:8080", "-e", "PORT=8080"),
            *("-v", f"{HERE / 'stub_strategy.py'}:/stub_strategy.py:ro", "python:3.11-slim-bookworm"),
            *("python", "/stub_strategy.py"),
        ],
        check=True,
        capture_output=True,
    )
    try:
        command = words(only("--container").replace("my-service", name), port=port)
        done = run(command, project, *QUICK)
        assert measured(project)["peak_memory_bytes"] > 0, done.stderr
    finally:
        subprocess.run(["docker", "rm", "-f", name], check=True, capture_output=True)
