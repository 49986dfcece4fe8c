"""Ports for what tests start."""

import itertools
import os
import random
import socket
from collections.abc import Iterator

# below those that the kernel gives to connections (from 32768): one could take a port before its service does
LOWEST, HIGHEST = 18_000, 32_000


def _own_ports() -> Iterator[int]:
    """Give the ports of this process, again and again: each process of a run of the tests has its own."""
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    share = (HIGHEST - LOWEST) // workers
    first = LOWEST + number * share
    begin = random.randrange(share)  # noqa: S311  # another run of the tests on this machine begins elsewhere
    return itertools.cycle(first + (begin + step) % share for step in range(share))


_PORTS = _own_ports()


def free_port() -> int:
    """Return a port on which nobody listens."""
    for port in _PORTS:
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("the ports have no end")
