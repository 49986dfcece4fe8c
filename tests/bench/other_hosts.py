"""Network namespaces that stand for other hosts: a network, and nothing else, lies between them and us."""

import itertools
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]


class OtherHosts:
    """Network namespaces, each joined to this one by a pair of virtual interfaces."""

    numbers = itertools.count()

    def __init__(self) -> None:
        self._names: list[str] = []
        self._workers: list[subprocess.Popen[str]] = []

    def add(self) -> tuple[str, str]:
        """A new host: its name, and the address at which it reaches this one."""
        number = next(OtherHosts.numbers)  # the kernel takes its time to let go of old ones
        name, net = f"bench{os.getpid()}-{number}", f"198.18.{os.getpid() % 250}.{4 * number}"
        base, last = net.rsplit(".", 1)
        here, there = f"{base}.{int(last) + 1}", f"{base}.{int(last) + 2}"
        inner, outer = f"vi{os.getpid()}-{number}"[-15:], f"vo{os.getpid()}-{number}"[-15:]
        try:
            ip("netns", "add", name)
        except subprocess.CalledProcessError as error:
            pytest.skip(f"network namespaces are not permitted here: {error.stderr.decode().strip()}")
        self._names.append(name)
        ip("link", "add", outer, "type", "veth", "peer", "name", inner)
        ip("link", "set", inner, "netns", name)
        ip("addr", "add", f"{here}/30", "dev", outer)
        ip("link", "set", outer, "up")
        ip("-n", name, "addr", "add", f"{there}/30", "dev", inner)
        ip("-n", name, "link", "set", inner, "up")
        return name, here

    def serve(self, name: str, master: str, port: int) -> "subprocess.Popen[str]":
        """Start what a user starts there: a worker for one trial after another."""
        command = [sys.executable, "-m", "bench", "worker", "--master", master, "--port", str(port)]
        self._workers.append(
            subprocess.Popen(
                ["ip", "netns", "exec", name, *command], cwd=REPOSITORY, stderr=subprocess.PIPE, text=True
            )
        )
        return self._workers[-1]

    def close(self) -> None:
        for worker in self._workers:
            end(worker)
        for name in self._names:
            ip("netns", "del", name)


def ip(*args: str) -> None:
    subprocess.run(["ip", *args], check=True, capture_output=True)


def end(worker: "subprocess.Popen[str]") -> str:
    """Ctrl-C, and what it had said on stderr."""
    if worker.poll() is None:
        worker.send_signal(signal.SIGINT)
    said = worker.communicate(timeout=120)[1] if worker.stderr and not worker.stderr.closed else ""
    return said or ""
