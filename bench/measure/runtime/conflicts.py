"""What else on this machine would disturb a run: a busy port, another bench on the same project."""

import contextlib
import os
import socket

from bench.errors import BenchError
from bench.measure.runtime.private_folder import open_own
from bench.measure.runtime.registry import ComposeService


class PortBusyError(BenchError):
    """Something else listens on a port that a service needs."""


def is_free(port: int) -> bool:
    """Say whether the loopback port could be bound now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_ports(count: int) -> list[int]:
    """This many different loopback ports that are free now."""
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]


def require_free(port: int, service: ComposeService) -> None:
    """Raise PortBusyError, with port and remedy, if the port is taken."""
    if not is_free(port):
        raise PortBusyError(busy_message(port, service))


def busy_message(port: int, service: ComposeService) -> str:
    """One line for a port that is taken."""
    if service.port_variable:
        remedy = f"stop what listens there, or choose another with {service.port_variable}={port + 1000}"
    else:
        remedy = "stop what listens there"
    return f"port {port}, which {service.name} needs, is busy: {remedy}"


class ProjectLock:
    """Held from `take` to `release`, or until the process ends, however it does."""

    def __init__(self, project: str) -> None:
        self._project = project
        self._file: int | None = None

    def take(self) -> None:
        """Raise BenchError if another process holds the lock; do nothing on a system without such locks."""
        try:
            import fcntl
        except ImportError:
            return
        if self._file is not None:
            return
        file = open_own(f"bench-{self._project}.lock")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(file)
            raise BenchError(
                f"another bench measures with the compose project {self._project}: wait until it has ended, "
                "or set COMPOSE_PROJECT_NAME and the ports to others"
            ) from None
        self._file = file

    def release(self) -> None:
        """Let others have the lock; harmless if it is not held."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
