"""Signals from orchestrators, terminals and shells: each stops a service in order, or does nothing to it."""

import asyncio
import contextlib
import fcntl
import os
import pty
import signal
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from serving_core.process.signals import IGNORED, STOPPING
from tests.running.load import until_refused
from tests.running.ports import free_port
from tests.running.tiny import PROGRAM, ROOT, Tiny, get, status_of, until, wait_for_workers

SOFT = sorted(set(STOPPING) - {signal.SIGTERM, signal.SIGINT})
CLIENTS = 20


@pytest.mark.parametrize(("number", "workers"), [*((number, "1") for number in SOFT), (signal.SIGHUP, "2")])
def test_a_stopping_signal_cuts_off_no_answer_however_often_it_comes(
    tiny: Callable[..., Tiny], number: signal.Signals, workers: str
) -> None:
    """One SIGTERM among them hurries nothing either: systemd may send both."""
    service = tiny(WORKERS=workers)
    until(service.ready)
    if workers == "2":
        wait_for_workers(service, 2)

    def stop() -> None:
        for sent in (number, number, signal.SIGTERM, number):
            service.process.send_signal(sent)
            time.sleep(0.05)

    outcomes = asyncio.run(until_refused(service.port, [get("/slow")], CLIENTS, stop))
    assert outcomes.keys() <= {"200", "503", "refused"}, outcomes
    assert outcomes["refused"] == CLIENTS
    status, messages = service.end()
    assert (status, messages[-1]) == (0, "stopped")


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_signal_meant_for_others_changes_nothing(tiny: Callable[..., Tiny], workers: str) -> None:
    service = tiny(WORKERS=workers)
    until(service.ready)
    pids = [service.process.pid, *(wait_for_workers(service, 2) if workers == "2" else ())]
    asked = threading.Thread(target=service.get, args=("/slow",))
    asked.start()
    for pid in pids:
        for number in (*IGNORED, signal.SIGWINCH, signal.SIGCHLD, signal.SIGURG, signal.SIGCONT):
            os.kill(pid, number)
    asked.join()
    for pid in pids:
        for number in IGNORED:
            os.kill(pid, number)
    assert service.get("/pid")
    assert workers == "1" or service.workers() == set(pids[1:])
    service.stop()
    status, messages = service.end()
    assert (status, messages) == (0, ["ready"] * int(workers) + ["stopped"])


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_second_sigterm_hurries_a_stop_that_a_hangup_began(tiny: Callable[..., Tiny], workers: str) -> None:
    service = tiny(WORKERS=workers, DRAIN_LINGER_S="60", GRACE_S="60")
    until(service.ready)
    if workers == "2":
        wait_for_workers(service, 2)
    service.process.send_signal(signal.SIGHUP)
    until(lambda: "503" in status_of(service.port, "/slow"))
    service.stop()
    time.sleep(0.3)
    assert service.process.poll() is None
    service.stop()
    assert service.end()[0] == 0


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_hangup_while_the_model_loads_ends_the_service_with_status_0(
    tiny: Callable[..., Tiny], workers: str
) -> None:
    service = tiny(WORKERS=workers, LOADING_S="60")
    until(lambda: bool(answered(service)))
    assert "503" in answered(service)
    service.process.send_signal(signal.SIGHUP)
    assert service.end() == (0, ["stopped"])


def answered(service: Tiny) -> str:
    with contextlib.suppress(OSError):
        return status_of(service.port, "/ready")
    return ""


@pytest.mark.parametrize("workers", ["1", "2"])
def test_nohup_is_obeyed(tiny: Callable[..., Tiny], workers: str) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        service = tiny(WORKERS=workers)
    finally:
        signal.signal(signal.SIGHUP, before)
    until(service.ready)
    service.process.send_signal(signal.SIGHUP)
    time.sleep(0.2)
    assert service.ready()
    service.stop()
    assert service.end()[0] == 0


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_terminal_that_closes_cuts_off_no_answer(tmp_path: Path, workers: str) -> None:
    """The kernel sends SIGHUP to the whole foreground group, and what is written to the terminal fails."""
    ours, theirs = pty.openpty()
    port = free_port()
    settings = {"TORCH_MODEL_URI": "file:///x", "HOST": "127.0.0.1", "PORT": str(port), "WORKERS": workers}
    settings |= {"ORDERS": str(tmp_path), "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)}
    process = subprocess.Popen(
        [sys.executable, str(PROGRAM)],
        env={**os.environ, **settings},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(theirs)
    try:
        service = Tiny(process, port, tmp_path)
        until(service.ready)
        outcomes = asyncio.run(until_refused(port, [get("/slow")], CLIENTS, lambda: os.close(ours)))
        assert outcomes.keys() <= {"200", "503", "refused"}, outcomes
        assert process.wait(timeout=300) == 0
    finally:
        process.kill()
        process.wait()
