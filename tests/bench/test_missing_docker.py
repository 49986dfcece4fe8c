"""A machine without a part of Docker: one line says which part, and what helps."""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.doctor.engine import connect, judge_engine, read_engine
from bench.measure.runtime.compose_program import MissingPartError, require_compose
from bench.measure.runtime.registry import load_registry

Bench = Callable[..., "subprocess.CompletedProcess[str]"]
NO_PLUG_IN = "echo \"docker: 'compose' is not a docker command.\" >&2; exit 1"
PODMAN = (
    'case "$1" in --version) echo podman version 4.3.1;; '
    "*) echo 'Error: unrecognized command `podman compose`' >&2; exit 125;; esac"
)
# what the docker command is, and what is said of it
COMMANDS = {
    "none": (None, "there is no docker command here"),
    "no plug-in": (NO_PLUG_IN, "docker has no compose plug-in here"),
    "an older plug-in": ("echo 2.17.2", r"docker compose is 2\.17\.2 here, and 2\.24 or newer is needed"),
    "the first compose": ("echo 1.29.2", r"docker compose is 1\.29\.2 here"),
    "podman": (PODMAN, "the docker command here is podman's"),
    "something else": ("echo hello", "docker has no compose plug-in here"),
}


def install(folder: Path, script: str | None, mode: int = 0o755) -> str:
    """A folder of programs whose docker command is this script; gives PATH."""
    folder.mkdir()
    for name in ("git", "sh"):
        (folder / name).symlink_to(f"/usr/bin/{name}")
    if script is not None:
        (folder / "docker").write_text(f"#!/bin/sh\n{script}\n")
        (folder / "docker").chmod(mode)
    return str(folder)


@pytest.mark.parametrize("case", COMMANDS)
def test_what_is_wrong_with_the_docker_command_is_said_with_a_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    script, what = COMMANDS[case]
    monkeypatch.setenv("PATH", install(tmp_path / "programs", script))
    with pytest.raises(MissingPartError, match=what + r".*: install .*--runtime process"):
        require_compose()


def test_a_command_that_may_not_be_run_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", install(tmp_path / "programs", "echo 2.30", mode=0o644))
    with pytest.raises(MissingPartError, match=r"cannot be run \(Permission denied\): install"):
        require_compose()


@pytest.mark.parametrize("text", ["2.24.0", "v2.26.1-4", "5.0.0", "2.40.3+ds1"])
def test_a_version_that_will_do_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("PATH", install(tmp_path / "programs", f"echo {text}"))
    assert require_compose() == text


def test_a_compose_that_prints_no_json_is_read_around(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", install(tmp_path / "programs", "echo 2.30"))
    registry = load_registry(project, {})
    assert list(registry.strategies) == ["fast", "slow"]
    assert "docker compose here prints no JSON" in registry.file.note


@pytest.mark.engine
@pytest.mark.parametrize("case", ["none", "no plug-in", "podman"])
@pytest.mark.parametrize("verb", ["run", "slo", "aa"])
def test_a_verb_that_asks_for_containers_ends_with_one_line(
    bench: Bench, project: Path, tmp_path: Path, case: str, verb: str
) -> None:
    script, what = COMMANDS[case]
    objective = ("--p99", "100ms") if verb == "slo" else ()
    done = bench(
        *(verb, "--root", project, "--runtime", "compose", "--quick", *objective),
        PATH=install(tmp_path / "programs", script),
    )
    (line,) = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (1, "")
    assert what in line
    assert "install Docker's command line" in line


@pytest.mark.engine
def test_the_doctor_calls_no_engine_good_that_compose_cannot_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", install(tmp_path / "programs", NO_PLUG_IN))
    client, missing = connect()
    assert client is not None
    found = judge_engine(read_engine(client), missing=missing)[0]
    client.close()
    assert (found.name, found.grade) == ("engine", "doubtful")
    assert "docker has no compose plug-in here: containers cannot be measured" in found.what
    assert "install" in (found.remedy or "")


CONNECT = """
import os, sys, docker
from bench.errors import BenchError
from bench.measure.runtime.engine_client import connect_engine
if len(sys.argv) > 1:
    os.seteuid(int(sys.argv[1]))
try:
    connect_engine(hello_timeout_s=1)
except BenchError as error:
    print(error)
"""


def connect_apart(*user: str, **environment: str | Path) -> str:
    """What a process of its own says of the engine, "" if it answers; a failed client leaves sockets open."""
    done = subprocess.run(
        [sys.executable, "-c", CONNECT, *user],
        env={**os.environ, **{name: str(value) for name, value in environment.items()}},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "host", ["unix:///nothing/docker.sock", "tcp://127.0.0.1:1", "nonsense", "ssh://nobody@127.0.0.1:1"]
)
def test_an_engine_that_is_not_there_is_said(host: str) -> None:
    told = connect_apart(DOCKER_HOST=host)
    assert told.startswith("no Docker engine answers at DOCKER_HOST: start it, or take local processes")


def test_an_engine_that_hangs_is_said(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as hanging:
        hanging.bind(str(tmp_path / "socket"))
        hanging.listen()
        told = connect_apart(DOCKER_HOST=f"unix://{tmp_path}/socket")
    assert told.startswith("the Docker engine does not answer within 1 s: restart it, or take local")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be someone else")
def test_a_socket_that_this_user_may_not_use_is_said() -> None:
    # where a user without rights may look
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    with socket.socket(socket.AF_UNIX) as theirs:
        theirs.bind(str(folder / "socket"))
        (folder / "socket").chmod(0o600)
        theirs.listen()
        told = connect_apart("65534", DOCKER_HOST=f"unix://{folder}/socket")
    shutil.rmtree(folder)
    assert told.startswith("this user may not use the Docker engine's socket: join the group docker")


@pytest.mark.engine
def test_the_engine_is_that_of_the_docker_command_s_context(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    (tmp_path / "config.json").write_text("{}")
    for name, host in (("here", "unix:///var/run/docker.sock"), ("elsewhere", "unix:///nothing.sock")):
        create = ["docker", "context", "create", name, "--docker", f"host={host}"]
        subprocess.run(create, check=True, capture_output=True)
    assert "no Docker engine answers" in connect_apart(DOCKER_CONTEXT="elsewhere")
    assert connect_apart(DOCKER_CONTEXT="here") == ""
    (tmp_path / "config.json").write_text(json.dumps({"currentContext": "elsewhere"}))
    assert "no Docker engine answers" in connect_apart()
