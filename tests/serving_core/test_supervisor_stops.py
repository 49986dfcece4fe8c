"""Several workers behind one port: how they stop, and what is said of those that do not stop well."""

import asyncio
import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.running.load import until_refused
from tests.running.tiny import Tiny, get, status_of, until, wait_for_workers

pytestmark = pytest.mark.slow


def test_a_stop_under_load_answers_everybody(tiny: Callable[..., Tiny]) -> None:
    service = tiny(WORKERS="3")
    wait_for_workers(service, 3)
    outcomes = asyncio.run(until_refused(service.port, [get("/slow")], 50, service.stop))
    assert outcomes.keys() == {"200", "503", "refused"}, outcomes
    assert service.end()[0] == 0


def test_a_second_signal_ends_without_waiting_for_what_was_accepted(tiny: Callable[..., Tiny]) -> None:
    service = tiny(DRAIN_LINGER_S="60", GRACE_S="60")
    wait_for_workers(service, 2)
    service.process.send_signal(signal.SIGINT)
    until(lambda: "503" in status_of(service.port, "/slow"))
    service.process.send_signal(signal.SIGINT)
    assert service.end()[0] == 0


def test_a_worker_that_ends_badly_while_the_service_stops_is_told_of(tiny: Callable[..., Tiny]) -> None:
    service = tiny(DRAIN_LINGER_S="5")
    workers = wait_for_workers(service, 2)
    service.stop()
    until(lambda: "503" in status_of(service.port, "/slow"))
    os.kill(min(workers), signal.SIGKILL)
    status, messages = service.end()
    assert (status, messages[-1]) == (1, "a worker ended with status -9 while the service stopped")


def test_a_worker_that_hangs_ends_itself_with_a_line(tiny: Callable[..., Tiny]) -> None:
    service = tiny(GRACE_S="0.1", DRAIN_LINGER_S="0")
    wait_for_workers(service, 2)
    with socket.create_connection(("127.0.0.1", service.port), timeout=120) as client:
        client.sendall(get("/hang"))
        until(lambda: (service.orders / "hangs").exists())
        service.stop()
        status, messages = service.end()
    assert status == 1
    assert "this worker did not stop within 3.1 s: it ends with what it was doing" in messages
    assert messages[-1] == "a worker ended with status 1 while the service stopped"


@pytest.mark.parametrize("workers", ["1", "2"])
def test_what_was_accepted_and_not_answered_in_time_is_told_of(
    tiny: Callable[..., Tiny], workers: str
) -> None:
    service = tiny(GRACE_S="0.05", WORKERS=workers)
    until(service.ready)
    with socket.create_connection(("127.0.0.1", service.port), timeout=120) as client:
        client.sendall(get("/slower"))
        until(lambda: (service.orders / "slow").exists())
        service.stop()
        status, messages = service.end()
    assert status == 1
    assert (
        "1 accepted items were not answered within GRACE_S=0.05: raise it, or lower QUEUE_LIMIT" in messages
    )
    assert "stopped" not in messages


def test_a_signal_during_the_last_push_changes_nothing(tiny: Callable[..., Tiny]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gateway:
        gateway.settimeout(60)
        address = f"http://127.0.0.1:{gateway.getsockname()[1]}"
        service = tiny(PUSHGATEWAY=address, PUSH_INTERVAL_S="3600")
        wait_for_workers(service, 2)
        service.stop()
        with gateway.accept()[0]:
            service.stop()
            service.process.send_signal(signal.SIGINT)
            status, messages = service.end()
    assert status == 0
    assert messages == ["ready", "ready", f"cannot push metrics to {address}: timed out", "stopped"]
    assert not list(service.orders.glob("metrics-*"))


def test_a_worker_that_does_not_stop_is_killed_and_told_of(tiny: Callable[..., Tiny]) -> None:
    service = tiny(GRACE_S="0.1", DRAIN_LINGER_S="0")
    workers = wait_for_workers(service, 2)
    os.kill(min(workers), signal.SIGSTOP)
    service.stop()
    status, messages = service.end()
    assert status == 1
    assert messages[-1] == "1 of the workers did not stop within 4.1 s: killed"
    assert not any(Path(f"/proc/{worker}").exists() for worker in workers)


def test_a_stop_before_the_workers_are_ready_ends_with_status_0(tiny: Callable[..., Tiny]) -> None:
    service = tiny()
    until(lambda: len(service.workers()) == 1)
    service.stop()
    status, messages = service.end()
    assert status == 0
    assert messages[-1] == "stopped"
