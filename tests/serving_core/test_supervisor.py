"""Several workers behind one port: how they start, die, are replaced and count."""

import contextlib
import os
import resource
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.running.tiny import Tiny, get, until, wait_for_workers


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


def test_a_worker_that_ends_without_a_word_before_it_was_ready_ends_the_service(
    tiny: Callable[..., Tiny],
) -> None:
    assert tiny("crash").end() == (1, ["cannot start: a worker ended with status 9 before it was ready"])


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
    statuses = []
    with contextlib.ExitStack() as kept:
        for _ in range(3 * int(workers) + 1):
            client = kept.enter_context(socket.create_connection(("127.0.0.1", service.port), timeout=120))
            client.sendall(get("/ready"))
            statuses.append(client.recv(4096).decode()[9:12])
    assert statuses[0] == "200"
    assert set(statuses) == {"200", "503"}
