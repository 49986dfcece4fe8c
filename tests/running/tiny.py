"""A service of a few lines as a process, with several workers."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

import psutil

from tests.running.ports import free_port

ROOT = Path(__file__).parents[2]
PROGRAM = ROOT / "tests" / "serving_core" / "tiny_service.py"


def until(condition: Callable[[], bool], pause_s: float = 0.05) -> None:
    give_up = time.monotonic() + 120
    while time.monotonic() < give_up:
        if condition():
            return
        time.sleep(pause_s)
    raise AssertionError("it did not come about")


@dataclass
class Tiny:
    """A tiny service with several workers, as a process of its own."""

    process: subprocess.Popen[str]
    port: int
    orders: Path

    def get(self, path: str) -> bytes:
        """GET on a connection of its own."""
        with urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=120) as answer:
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
        return {child.pid for child in psutil.Process(self.process.pid).children()}

    def count(self) -> int:
        found = re.search(r"^requests_total (\d+)", self.get("/metrics").decode(), re.MULTILINE)
        return int(found[1]) if found else 0

    def settled_count(self) -> int:
        """The count once it stands still: another worker counts a request just after its answer is here."""
        counts = [self.count()]
        while len(counts) < 5 or len(set(counts[-5:])) > 1:
            time.sleep(0.02)
            counts.append(self.count())
        return counts[-1]

    def stop(self) -> None:
        """Tell the service to stop."""
        self.process.send_signal(signal.SIGTERM)

    def end(self) -> tuple[int, list[str]]:
        """Return the exit status and the messages logged."""
        status = self.process.wait(timeout=120)
        return status, [json.loads(line)["message"] for line in self.logged().splitlines()]

    def logged(self) -> str:
        return (self.orders / "log").read_text()


@contextmanager
def starter(tmp_path: Path) -> Iterator[Callable[..., Tiny]]:
    """Give what starts tiny services, start(*orders, **environment), and end those that still run."""
    started: list[Tiny] = []

    def start(*orders: str, **environment: str) -> Tiny:
        for order in orders:
            (tmp_path / order).touch()
        port = free_port()
        settings = {"TORCH_MODEL_URI": "file:///x", "HOST": "127.0.0.1", "PORT": str(port), "WORKERS": "2"}
        settings |= {"ORDERS": str(tmp_path), "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)}
        with (tmp_path / "log").open("w") as log:
            process = subprocess.Popen(
                [sys.executable, str(PROGRAM)],
                env={**os.environ, **settings, **environment},
                stderr=log,
                text=True,
            )
        started.append(Tiny(process, port, tmp_path))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.process.kill()
            one.process.wait()


def wait_for_workers(service: Tiny, count: int) -> set[int]:
    """Return the workers once all of that many answer."""
    seen: set[int] = set()

    def all_answer() -> bool:
        if service.ready():
            seen.add(int(service.get("/pid")))
        return len(seen & service.workers()) == count

    until(all_answer)
    return seen & service.workers()


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()


def status_of(port: int, path: str) -> str:
    with socket.create_connection(("127.0.0.1", port), timeout=120) as client:
        client.sendall(get(path))
        return client.recv(4096).decode().partition("\r\n")[0]
