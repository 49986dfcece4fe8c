"""What a service uses that runs already, by its processes' accounting or its container's."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from bench.cores import Cores
from bench.errors import UsageError
from bench.measure.runtime.attached_accounts import (
    ProcessAccount,
    at_address,
    open_accounts,
    running_container,
)
from bench.measure.runtime.attached_runtime import AttachedRuntime
from bench.measure.unstarted import unstarted_doubts, with_known_cores
from bench.model import Access, Attachment, Environment, Strategy
from tests.bench.conftest import HERE, REPOSITORY, write_images
from tests.running.burner import burner
from tests.running.exit_codes import code_of
from tests.running.ports import free_port

Bench = Callable[..., "subprocess.CompletedProcess[str]"]
SHORT = (
    *("--quick", "--payloads", "small", "--concurrency", "4", "--warmup-s", "0.3", "--window-s", "1"),
    *("--warmup-most-s", "0.6", "--max-other-cpu", "100%"),
)
# a parent that waits while its child computes
PARENT = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'while True: pass'])"


def attached(name: str, attachment: Attachment) -> Strategy:
    return Strategy(name, name, "", 80, "/", "", ("json",), None, attachment=attachment)


def test_a_process_account_counts_its_children_and_sees_its_end() -> None:
    with burner(max(os.sched_getaffinity(0))) as _:
        process = subprocess.Popen([sys.executable, "-c", PARENT], start_new_session=True)
        try:
            account = ProcessAccount("mine", process.pid)
            assert account.cores == tuple(sorted(os.sched_getaffinity(0)))
            first = account.usage()
            deadline = time.monotonic() + 300
            while (late := account.usage().cpu_ns or 0) - (first.cpu_ns or 0) < 2e8:
                assert time.monotonic() < deadline, late
                time.sleep(0.05)
            assert (account.usage().memory_bytes or 0) > 1_000_000
            assert account.fate() == ()
        finally:
            os.killpg(process.pid, 9)
            process.wait()
    assert [one.code for one in account.fate()] == ["exited"]
    with pytest.raises(ProcessLookupError):
        account.usage()


class Telling:
    """Processes that compute when asked, and what they say of themselves."""

    def __init__(self) -> None:
        # a session of its own, and all that is below it can be ended
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.running.telling_service"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=REPOSITORY,
            start_new_session=True,
        )

    def compute(self, how: str) -> float:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{how}\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())


@pytest.fixture
def telling() -> Iterator[Telling]:
    found = Telling()
    yield found
    os.killpg(found.process.pid, signal.SIGKILL)
    found.process.communicate()


def test_a_process_account_is_what_the_processes_say_of_themselves(telling: Telling) -> None:
    """Children that live, that end, and whose parent has ended; the kernel counts in hundredths."""
    account = ProcessAccount("mine", telling.process.pid)
    before_s = telling.compute("self")
    first = account.usage()
    for processes, how in enumerate(("self", "child", "reaped", "below", "orphan", "child"), start=2):
        told_s = telling.compute(how)
        late = account.usage()
        assert late.children_counted
        seen_s = ((late.cpu_ns or 0) - (first.cpu_ns or 0)) / 1e9
        assert seen_s == pytest.approx(told_s - before_s, abs=0.02 * processes)


def test_time_that_is_lost_is_said_and_never_taken_back(telling: Telling) -> None:
    account = ProcessAccount("mine", telling.process.pid)
    late = account.usage()
    for how in ("below", "orphan"):
        telling.compute(how)
        late = account.usage()
    told_s = telling.compute("end")
    deadline = time.monotonic() + 30
    while (last := account.usage()).children_counted:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert (last.cpu_ns or 0) >= (late.cpu_ns or 0)
    assert (last.cpu_ns or 0) / 1e9 <= told_s + 0.1


def test_what_is_no_service_s_first_process_is_refused() -> None:
    ready, end = threading.Event(), threading.Event()
    thread = threading.Thread(target=lambda: (ready.set(), end.wait()))
    thread.start()
    ready.wait()
    try:
        with pytest.raises(UsageError, match=f"is a thread: name its process, {os.getpid()}"):
            ProcessAccount("mine", thread.native_id or 0)
    finally:
        end.set()
        thread.join()
    with pytest.raises(UsageError, match=r"bench itself runs below process \d+"):
        ProcessAccount("mine", os.getppid())
    ended = subprocess.Popen([sys.executable, "-c", ""])
    while psutil.Process(ended.pid).status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.01)
    with pytest.raises(UsageError, match="has ended"):
        ProcessAccount("mine", ended.pid)
    ended.wait()


def test_a_process_that_does_not_listen_at_the_address_is_said_once() -> None:
    command = (
        "import socket, subprocess, sys\n"
        "listening = socket.create_server(('127.0.0.1', int(sys.argv[1])))\n"
        "print(flush=True)\n"
        "sys.stdin.read()"
    )
    port = free_port()
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {command!r}, '{port}'])"
    words = [sys.executable, "-c", parent]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        for at, there in ((port, True), (free_port(), False)):
            one = replace(attached("mine", Attachment("localhost", pid=process.pid)), port=at)
            accounts = open_accounts([one])
            assert accounts["mine"].listens is there
            told = AttachedRuntime(REPOSITORY, accounts).describe().not_there
            codes = [one.code for one in unstarted_doubts([one], {}, Cores((0,), (1,), (0, 1)), told)]
            assert codes.count("account_of_another") == int(not there)
        elsewhere = attached("mine", Attachment("198.51.100.7", pid=process.pid))
        assert open_accounts([elsewhere])["mine"].listens is None
        process.stdin.close() if process.stdin else None


@pytest.mark.parametrize(
    ("attributes", "host", "there"),
    [
        ({"Ports": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "9000"}]}}, "localhost", True),
        ({"Ports": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "9001"}]}}, "127.0.0.1", False),
        ({"Ports": {"80/tcp": None}, "Networks": {"a": {"IPAddress": "172.17.0.2"}}}, "172.17.0.2", True),
        ({"Ports": {"80/tcp": None}, "Networks": {"a": {"IPAddress": "172.17.0.2"}}}, "::1", False),
        ({"Ports": {}}, "a.example", None),
    ],
)
def test_whether_a_container_is_at_an_address(attributes: Any, host: str, there: bool | None) -> None:
    assert at_address({"NetworkSettings": attributes}, host, 9000) is there
    on_the_host = {"NetworkSettings": {"Ports": {}}, "HostConfig": {"NetworkMode": "host"}}
    assert at_address(on_the_host, host, 9000) is None


@pytest.mark.parametrize(
    ("state", "told"),
    [
        ({"Running": True, "Paused": True}, "ours is paused: `docker unpause ours`"),
        ({"Running": True, "Restarting": True}, "ours is restarting: see `docker logs ours`"),
        ({"Running": False}, "ours does not run"),
    ],
)
def test_a_container_that_cannot_answer_is_refused(state: dict[str, bool], told: str) -> None:
    """An engine in whose place stands what it says of a container."""
    found = SimpleNamespace(attrs={"State": state})
    engine = SimpleNamespace(containers=SimpleNamespace(get=lambda _: found))
    with pytest.raises(UsageError, match=re.escape(f"--container of mine: {told}")):
        running_container(engine, "mine", "ours")


def test_a_process_that_is_not_there_is_refused_before_anything_is_timed() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    with pytest.raises(UsageError, match=r"no process \d+ runs here: name"):
        open_accounts([attached("mine", Attachment("127.0.0.1", pid=process.pid))])


def test_the_doubts_say_once_what_is_not_known() -> None:
    services = [
        attached("mine", Attachment("127.0.0.1", pid=1)),
        attached("ours", Attachment("a.example", Access(tls=True))),
    ]
    cores = Cores((0,), (1,), (0, 1))
    found = unstarted_doubts(services, {"mine": (0, 1), "ours": ()}, cores)
    assert [one.code for one in found] == ["attached", "shared_core", "ceiling_without_tls"]
    assert not any(one.voids for one in found)
    assert "mine may use the cores 0,1; what ours uses" in found[0].text
    assert "mine may use core 0" in found[1].text
    assert unstarted_doubts([], {}, cores) == []
    known = with_known_cores(Environment(), services[:1], {"mine": (1,)}, cores)
    assert (known.service_cores, known.cores_disjoint) == ("1", True)
    unknown = with_known_cores(Environment(), services, {"mine": (1,), "ours": ()}, cores)
    assert (unknown.service_cores, unknown.cores_disjoint) == (None, None)


@pytest.mark.slow
def test_a_run_has_what_the_named_process_uses(bench: Bench, project: Path, tmp_path: Path) -> None:
    """Beside a strategy of compose.yaml, which bench starts."""
    port, process = _stub()
    try:
        results = tmp_path / "results"
        done = bench(
            *("run", "--root", project, "--results", results, "--runtime", "process", *SHORT),
            *("--strategies", "fast", "--startups", "0", "--loop-seconds", "0"),
            *("--url", f"mine=http://127.0.0.1:{port}/predict/", "--pid", f"mine={process.pid}"),
        )
        assert process.poll() is None
    finally:
        process.kill()
        process.wait()
    (folder,) = results.iterdir()
    found = json.loads((folder / "run.json").read_text())
    assert done.returncode == code_of(found), done.stderr
    trials = {one["strategy"]: one for one in found["trials"]}
    assert trials.keys() == {"fast", "mine"}
    mine, fast = trials["mine"], trials["fast"]
    # the same program answers both
    assert 0.2 < mine["cpu_ms_per_request"] / fast["cpu_ms_per_request"] < 5
    assert 0.2 < mine["peak_memory_bytes"] / fast["peak_memory_bytes"] < 5
    assert mine["resources"]["other_on_service"] is not None
    codes = [one["code"] for one in found["doubts"]]
    assert (codes.count("attached"), codes.count("shared_core")) == (1, 1)
    assert found["strategies"]["fast"]["startup"] is not None
    assert str(process.pid) not in json.dumps(found["doubts"])


def _stub() -> tuple[int, "subprocess.Popen[bytes]"]:
    port = free_port()
    environment = {**os.environ, "PORT": str(port), "HOST": "127.0.0.1"}
    return port, subprocess.Popen([sys.executable, HERE / "stub_strategy.py"], env=environment)


@pytest.mark.engine
def test_a_run_has_what_the_named_container_uses(bench: Bench, tmp_path: Path) -> None:
    write_images(tmp_path / "images")
    port, name = free_port(), f"bench-attached-{os.getpid()}"
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
        done = bench(
            *("run", "--root", tmp_path, "--results", tmp_path / "results", *SHORT),
            *("--url", f"mine=http://127.0.0.1:{port}/predict/", "--container", f"mine={name}"),
        )
        runs = subprocess.run(
            ["docker", "inspect", "-f", "{{.State.Running}}", name],
            capture_output=True,
            text=True,
            check=True,
        )
        assert runs.stdout.strip() == "true"
        services = [attached("mine", Attachment("127.0.0.1", container=name))]
        account = open_accounts(services)["mine"]
        assert account.fate() == ()
        subprocess.run(["docker", "restart", "-t", "0", name], check=True, capture_output=True)
        assert [one.code for one in account.fate()] == ["restarted"]
        # what was before is nothing to a session that begins now
        account = open_accounts(services)["mine"]
        assert account.fate() == ()
        subprocess.run(["docker", "rm", "-f", name], check=True, capture_output=True)
        assert [one.code for one in account.fate()] == ["exited"]
    finally:
        subprocess.run(["docker", "rm", "-f", name], check=False, capture_output=True)
    (folder,) = (tmp_path / "results").iterdir()
    found = json.loads((folder / "run.json").read_text())
    assert done.returncode == code_of(found), done.stderr
    (trial,) = found["trials"]
    assert trial["error"] is None
    assert trial["cpu_ms_per_request"] > 0
    assert trial["peak_memory_bytes"] > 1_000_000
    assert name not in json.dumps(found)
    gone = bench(
        *("run", "--root", tmp_path, "--results", tmp_path / "results", *SHORT),
        *("--url", f"mine=http://127.0.0.1:{port}/predict/", "--container", f"mine={name}"),
    )
    assert gone.returncode == 2
    assert "docker ps" in gone.stderr.splitlines()[-1]
