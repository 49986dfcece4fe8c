"""Several workers behind one port: how they start, die, are replaced, count and stop together."""

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

import pytest

PROGRAM = Path(__file__).parent / "tiny_service.py"
ROOT = Path(__file__).parents[2]


def until(condition: Callable[[], bool]) -> None:
    for _ in range(400):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("it did not come about")


@dataclass
class Tiny:
    """A tiny service with several workers, as a process of its own."""

    process: subprocess.Popen[str]
    port: int
    orders: Path

    def get(self, path: str) -> bytes:
        """GET on a connection of its own."""
        with urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
            body: bytes = answer.read()
            return body

    def ready(self) -> bool:
        assert self.process.poll() is None
        with contextlib.suppress(OSError):
            self.get("/ready")
            return True
        return False

    def workers(self) -> set[int]:
        """The processes that the supervisor has."""
        children = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        return {int(pid) for file in children for pid in file.read_text().split()}

    def count(self) -> int:
        found = re.search(r"^requests_total (\d+)", self.get("/metrics").decode(), re.MULTILINE)
        return int(found[1]) if found else 0

    def end(self) -> tuple[int, list[str]]:
        """Return the exit status and the messages logged."""
        _, errors = self.process.communicate(timeout=30)
        return self.process.returncode, [json.loads(line)["message"] for line in errors.splitlines()]


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[Callable[..., Tiny]]:
    started: list[Tiny] = []

    def start(*orders: str, **environment: str) -> Tiny:
        for order in orders:
            (tmp_path / order).touch()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        settings = {"TORCH_MODEL_URI": "file:///x", "HOST": "127.0.0.1", "PORT": str(port), "WORKERS": "2"}
        settings |= {"ORDERS": str(tmp_path), "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)}
        process = subprocess.Popen(
            [sys.executable, str(PROGRAM)],
            env={**os.environ, **settings, **environment},
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(Tiny(process, port, tmp_path))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.process.kill()
            one.process.communicate()


def wait_for_workers(service: Tiny, count: int) -> set[int]:
    """Return the workers once all of that many answer."""
    seen: set[int] = set()

    def all_answer() -> bool:
        if service.ready():
            seen.add(int(service.get("/pid")))
        return len(seen & service.workers()) == count

    until(all_answer)
    return seen & service.workers()


def test_all_workers_answer_on_one_port_and_stop_with_status_0(tiny: Callable[..., Tiny]) -> None:
    service = tiny(WORKERS="3")
    workers = wait_for_workers(service, 3)
    assert service.process.pid not in workers
    service.process.send_signal(signal.SIGTERM)
    assert service.end() == (0, ["ready"] * 3 + ["stopped"])
    assert not list(service.orders.glob("metrics-*"))
    assert not any(Path(f"/proc/{worker}").exists() for worker in workers)


def test_metrics_are_of_all_workers_whichever_answers_and_never_fall(tiny: Callable[..., Tiny]) -> None:
    service = tiny()
    workers = wait_for_workers(service, 2)
    before = service.count()
    answered = {int(service.get("/pid")) for _ in range(50)}
    assert answered == workers
    assert {service.count() for _ in range(20)} == {before + 50}
    assert "process_cpu_seconds_total" not in service.get("/metrics").decode()
    victim = min(workers)
    os.kill(victim, signal.SIGKILL)
    until(lambda: len(service.workers()) == 2 and victim not in service.workers())
    assert service.count() >= before + 50
    replaced = wait_for_workers(service, 2)
    assert len(replaced & workers) == 1
    before = service.count()
    for _ in range(50):
        service.get("/pid")
    assert {service.count() for _ in range(20)} == {before + 50}


def test_no_request_is_refused_while_a_worker_is_replaced(tiny: Callable[..., Tiny]) -> None:
    service = tiny()
    workers = wait_for_workers(service, 2)
    os.kill(min(workers), signal.SIGTERM)  # drains, unlike a kill
    statuses = []
    while len(service.workers() - {min(workers)}) < 2 or len(statuses) < 100:
        service.get("/ready")  # raises on 503
        statuses.append(200)
    wait_for_workers(service, 2)


def test_a_service_that_cannot_start_ends_with_its_one_line(tiny: Callable[..., Tiny]) -> None:
    assert tiny("cannot").end() == (1, ["cannot start: there is no model: publish one"])


def test_a_worker_that_ends_without_a_word_before_it_was_ready_ends_the_service(
    tiny: Callable[..., Tiny],
) -> None:
    assert tiny("crash").end() == (1, ["cannot start: a worker ended with status 9 before it was ready"])


def test_workers_that_keep_dying_end_the_service(tiny: Callable[..., Tiny]) -> None:
    service = tiny()
    workers = wait_for_workers(service, 2)
    (service.orders / "crash").touch()
    os.kill(min(workers), signal.SIGKILL)
    status, messages = service.end()
    assert status == 1
    assert messages.count("a worker died and is replaced") == 6
    assert messages[-1] == "cannot go on: 7 workers died in a row: see what was logged before"


def test_workers_do_not_outlive_a_supervisor_that_was_killed(tiny: Callable[..., Tiny]) -> None:
    service = tiny()
    workers = wait_for_workers(service, 2)
    service.process.kill()
    until(lambda: not any(Path(f"/proc/{worker}").exists() for worker in workers))
    service.process.communicate()


def test_a_worker_that_does_not_stop_is_killed_and_told_of(tiny: Callable[..., Tiny]) -> None:
    service = tiny(GRACE_S="0.1", DRAIN_LINGER_S="0")
    workers = wait_for_workers(service, 2)
    os.kill(min(workers), signal.SIGSTOP)
    service.process.send_signal(signal.SIGTERM)
    status, messages = service.end()
    assert status == 1
    assert messages[-1] == "1 of the workers did not stop within 4.1 s: killed"
    assert not any(Path(f"/proc/{worker}").exists() for worker in workers)


def test_a_stop_before_the_workers_are_ready_ends_with_status_0(tiny: Callable[..., Tiny]) -> None:
    service = tiny()
    until(lambda: len(service.workers()) == 1)
    service.process.send_signal(signal.SIGTERM)
    status, messages = service.end()
    assert status == 0
    assert messages[-1] == "stopped"


@pytest.mark.parametrize("workers", ["1", "2"])
def test_the_limits_of_connections_are_settings(tiny: Callable[..., Tiny], workers: str) -> None:
    service = tiny(WORKERS=workers, HEADER_TIMEOUT_S="0.2", MAX_CONNECTIONS="3")
    until(service.ready)
    with socket.create_connection(("127.0.0.1", service.port), timeout=10) as slow:
        slow.sendall(b"GET / HTTP/1.1\r\n")
        assert b"408 Request Timeout" in slow.recv(4096)
    with contextlib.ExitStack() as kept:
        for _ in range(6):  # three for each process that there may be
            client = kept.enter_context(socket.create_connection(("127.0.0.1", service.port), timeout=10))
            client.sendall(b"GET /ready HTTP/1.1\r\nHost: x\r\n\r\n")
            client.recv(4096)
        statuses = status_of(service.port, "/ready")
    assert "503 Service Unavailable" in statuses


def test_a_second_signal_ends_without_waiting_for_what_was_accepted(tiny: Callable[..., Tiny]) -> None:
    service = tiny(DRAIN_LINGER_S="60", GRACE_S="60")
    wait_for_workers(service, 2)
    service.process.send_signal(signal.SIGINT)
    until(lambda: "503" in status_of(service.port, "/slow"))
    service.process.send_signal(signal.SIGINT)
    assert service.end()[0] == 0


def status_of(port: int, path: str) -> str:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        return client.recv(4096).decode().partition("\r\n")[0]


async def keep_asking(port: int, outcomes: Counter[str]) -> None:
    while not outcomes["refused"]:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
        except ConnectionRefusedError:
            outcomes["refused"] += 1
            return
        try:
            writer.write(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
            outcomes[(await reader.readline()).decode()[9:12] or "cut off"] += 1
        except ConnectionError:
            outcomes["reset"] += 1
        finally:
            writer.close()


async def stop_under_load(service: Tiny) -> Counter[str]:
    outcomes: Counter[str] = Counter()
    async with asyncio.TaskGroup() as clients:
        for _ in range(50):
            clients.create_task(keep_asking(service.port, outcomes))
        while outcomes["200"] < 100:
            await asyncio.sleep(0.01)
        service.process.send_signal(signal.SIGTERM)
    return outcomes


def test_a_stop_under_load_answers_everybody(tiny: Callable[..., Tiny]) -> None:
    service = tiny(WORKERS="3")
    wait_for_workers(service, 3)
    outcomes = asyncio.run(stop_under_load(service))
    assert outcomes.keys() == {"200", "503", "refused"}, outcomes
    assert service.end()[0] == 0
