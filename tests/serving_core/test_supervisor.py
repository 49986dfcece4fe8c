"""Several workers behind one port: how they start, die, are replaced and count."""

import contextlib
import os
import resource
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.running.tiny import Tiny, get, status_of, until, wait_for_workers


def test_all_workers_answer_on_one_port_and_stop_with_status_0(tiny: Callable[..., Tiny]) -> None:
    service = tiny(WORKERS="3")
    workers = wait_for_workers(service, 3)
    assert service.process.pid not in workers
    service.stop()
    assert service.end() == (0, ["ready"] * 3 + ["stopped"])
    assert not list(service.orders.glob("metrics-*"))
    assert not any(Path(f"/proc/{worker}").exists() for worker in workers)


def test_metrics_are_of_all_workers_whichever_answers_and_never_fall(tiny: Callable[..., Tiny]) -> None:
    service = tiny()
    workers = wait_for_workers(service, 2)
    before = service.settled_count()
    answered = {int(service.get("/pid")) for _ in range(50)}
    assert answered == workers
    assert service.settled_count() == before + 50
    assert {service.count() for _ in range(20)} == {before + 50}
    assert "process_cpu_seconds_total" not in service.get("/metrics").decode()
    victim = min(workers)
    os.kill(victim, signal.SIGKILL)
    until(lambda: len(service.workers()) == 2 and victim not in service.workers())
    assert service.count() >= before + 50
    replaced = wait_for_workers(service, 2)
    assert len(replaced & workers) == 1
    before = service.settled_count()
    for _ in range(50):
        service.get("/pid")
    assert service.settled_count() == before + 50
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


@pytest.mark.parametrize(("order", "how"), [("crash", "with status 9"), ("killed", "by SIGKILL")])
def test_workers_that_end_without_a_word_before_one_was_ready_end_the_service_after_some_tries(
    tiny: Callable[..., Tiny], order: str, how: str
) -> None:
    status, messages = tiny(order).end()
    assert status == 1
    assert messages[:-1] == ["a worker died and is replaced"] * 4
    assert messages[-1] == (
        f"cannot start: 5 workers in a row ended before one was ready, the last {how}: "
        "allow more memory, or see what was logged before"
    )


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGTERM])
def test_a_first_worker_that_is_killed_before_it_is_ready_is_replaced(
    tiny: Callable[..., Tiny], number: signal.Signals
) -> None:
    """Twice: as soon as it is there, and when its successor has the listener but no model yet."""
    service = tiny()
    until(lambda: len(service.workers()) == 1, pause_s=0.001)
    (first,) = service.workers()
    os.kill(first, number)
    until(lambda: len(service.workers() - {first}) == 1, pause_s=0.001)
    (second,) = service.workers() - {first}
    until(lambda: answers(service), pause_s=0.001)
    os.kill(second, number)
    assert not wait_for_workers(service, 2) & {first, second}
    service.stop()
    assert service.end()[0] == 0


def answers(service: Tiny) -> bool:
    with contextlib.suppress(OSError):
        return bool(status_of(service.port, "/ready"))
    return False


def test_late_workers_that_are_killed_at_once_and_together_are_replaced(tiny: Callable[..., Tiny]) -> None:
    service = tiny(WORKERS="3", LONGEST_BACKOFF_S="0.2")
    (first, *_) = wait_for_workers(service, 3)
    killed: set[int] = set()
    for _ in range(2):
        until(lambda: len(service.workers() - {first} - killed) == 2, pause_s=0.001)
        for worker in service.workers() - {first}:
            os.kill(worker, signal.SIGKILL)
            killed.add(worker)
    assert not wait_for_workers(service, 3) & killed
    service.stop()
    assert service.end()[0] == 0


def test_a_start_that_fails_after_a_worker_was_killed_ends_with_its_one_line(
    tiny: Callable[..., Tiny],
) -> None:
    service = tiny()
    until(lambda: len(service.workers()) == 1, pause_s=0.001)
    (service.orders / "cannot").touch()
    for worker in service.workers():
        os.kill(worker, signal.SIGKILL)
    assert service.end() == (
        1,
        ["a worker died and is replaced", "cannot start: there is no model: publish one"],
    )


def test_workers_that_keep_dying_end_the_service(tiny: Callable[..., Tiny]) -> None:
    service = tiny()
    workers = wait_for_workers(service, 2)
    (service.orders / "crash").touch()
    for worker in workers:
        os.kill(worker, signal.SIGKILL)
    status, messages = service.end()
    assert status == 1
    assert messages.count("a worker died and is replaced") == 6
    assert messages[-1] == "cannot go on: 7 workers died in a row: see what was logged before"


def test_a_worker_that_cannot_come_back_leaves_the_others_serving(tiny: Callable[..., Tiny]) -> None:
    service = tiny(LONGEST_BACKOFF_S="0.2")
    workers = wait_for_workers(service, 2)
    (service.orders / "crash").touch()
    os.kill(min(workers), signal.SIGKILL)
    until(lambda: len(list(service.orders.glob("crashed-*"))) > 8)
    assert service.ready()
    (service.orders / "crash").unlink()
    assert max(workers) in wait_for_workers(service, 2)
    service.stop()
    assert service.end()[0] == 0


def test_a_worker_that_died_for_want_of_room_is_told_of_with_what_to_do(tiny: Callable[..., Tiny]) -> None:
    service = tiny()
    workers = wait_for_workers(service, 2)
    os.kill(min(workers), signal.SIGBUS)
    until(lambda: "or set TMPDIR to a larger folder" in service.logged())
    wait_for_workers(service, 2)
    service.stop()
    assert service.end()[0] == 0


def test_a_worker_that_cannot_be_started_for_want_of_files_is_started_when_there_are(
    tiny: Callable[..., Tiny],
) -> None:
    service = tiny(LONGEST_BACKOFF_S="0.2")
    workers = wait_for_workers(service, 2)
    pid = service.process.pid
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, before[1]))
    os.kill(min(workers), signal.SIGKILL)
    until(lambda: "could be started" in service.logged())
    resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
    assert max(workers) in wait_for_workers(service, 2)
    service.stop()
    assert service.end()[0] == 0


def test_workers_do_not_outlive_a_supervisor_that_was_killed(tiny: Callable[..., Tiny]) -> None:
    service = tiny()
    workers = wait_for_workers(service, 2)
    service.process.kill()
    until(lambda: not any(Path(f"/proc/{worker}").exists() for worker in workers))
    service.process.wait()


@pytest.mark.parametrize("workers", ["1", "2"])
def test_the_limits_of_connections_are_settings(tiny: Callable[..., Tiny], workers: str) -> None:
    service = tiny(WORKERS=workers, HEADER_TIMEOUT_S="0.2", MAX_CONNECTIONS="3")
    until(service.ready)
    if workers == "2":
        wait_for_workers(service, 2)
    with socket.create_connection(("127.0.0.1", service.port), timeout=120) as slow:
        slow.sendall(b"GET / HTTP/1.1\r\n")
        assert b"408 Request Timeout" in slow.recv(4096)
    address, count = ("127.0.0.1", service.port), 3 * int(workers) + 1
    with contextlib.ExitStack() as kept:  # idle connections give way
        for _ in range(count):
            client = kept.enter_context(socket.create_connection(address, timeout=120))
            client.sendall(get("/ready"))
            assert client.recv(4096)[9:12] == b"200"
    with contextlib.ExitStack() as kept:  # busy ones do not
        clients = []
        for _ in range(count):
            clients.append(kept.enter_context(socket.create_connection(address, timeout=120)))
            clients[-1].sendall(get("/slower"))
            time.sleep(0.02)  # so that it is busy before the next connects
        assert {client.recv(4096)[9:12] for client in clients} == {b"200", b"503"}
