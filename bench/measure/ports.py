"""Is a loopback port free, and what to do where it is not."""

import contextlib
import socket

from bench.errors import BenchError
from bench.measure.registry import Service


class PortBusyError(BenchError):
    """Something else listens where a service must."""


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
    """So many loopback ports that are free now, no two alike."""
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]


def require_free(port: int, service: Service) -> None:
    """Raise PortBusyError, naming port and remedy, where the port is taken."""
    if not is_free(port):
        raise PortBusyError(busy_message(port, service))


def busy_message(port: int, service: Service) -> str:
    """One line for a port that is taken."""
    if service.port_variable:
        remedy = f"stop what listens there, or choose another with {service.port_variable}={port + 1000}"
    else:
        remedy = "stop what listens there"
    return f"port {port}, which {service.name} needs, is busy: {remedy}"
