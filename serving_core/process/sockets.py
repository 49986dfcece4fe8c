"""The sockets of a service's processes: the listener, and the channel between a worker and its supervisor."""

import ctypes
import errno
import logging
import os
import resource
import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from serving_core.errors import StartError

BACKLOG = 2048
# The number of open files beside clients' connections: models, libraries, metrics, connections turned away.
OTHER_FILES = 512
SO_ATTACH_FILTER = 26
# A classic BPF program over a segment's TCP header: it drops a segment with SYN set and passes all others.
DROP_SYN = (
    (0x30, 0, 0, 13),  # load the byte of flags
    (0x45, 0, 1, 0x02),  # SYN set? go on; else skip one
    (0x06, 0, 0, 0),  # drop
    (0x06, 0, 0, 0xFFFFFFFF),  # pass
)


def listen(host: str, port: int) -> socket.socket:
    """Return a TCP socket that listens; raises StartError if the address is not available."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        # Listen at once: two sockets can be bound to one port as long as neither listens.
        listener.listen(BACKLOG)
    except (OSError, UnicodeError) as error:
        listener.close()
        reason = getattr(error, "strerror", None) or error
        raise StartError(f"cannot listen on HOST={host} PORT={port} ({reason}): {_remedy(error)}") from None
    return listener


def _remedy(error: OSError | UnicodeError) -> str:
    match error:
        case OSError(errno=errno.EADDRINUSE):
            return "stop what listens there or set another PORT"
        case OSError(errno=errno.EACCES):
            return "set a PORT from 1024 on"
    return "set HOST to an address of this machine, such as 127.0.0.1, or to 0.0.0.0 for all of them"


@dataclass(frozen=True, slots=True)
class ConnectionCounts:
    """How many connections a process may hold, and how many more to turn them away with an answer."""

    served: int
    turned_away: int


def allow_connections(count: int, turned_away: int) -> ConnectionCounts:
    """Raise the limit of open files, as far as allowed, for `count` connections and `turned_away` more.

    If the limit stays too low, half of the files are for connections and a quarter for those turned away: the
    kernel resets a connection that is accepted when no file is left.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count + OTHER_FILES
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    if soft == resource.RLIM_INFINITY or soft >= count + OTHER_FILES:
        return ConnectionCounts(count, turned_away)
    counts = ConnectionCounts(min(count, max(soft - OTHER_FILES, soft // 2)), min(turned_away, soft // 4))
    if counts.served < count:
        log.warning(
            "MAX_CONNECTIONS=%d is more than %d open files allow: %d are held; raise the limit (ulimit -n)",
            count,
            soft,
            counts.served,
        )
    return counts


def stop_admitting(listener: socket.socket) -> None:
    """Let no new connection begin; connections that the kernel has completed can still be accepted.

    Closing a listener resets every connection in its queue, together with its request; so the queue must stop
    growing first. A client that connects meanwhile retries after a second and is refused then.
    """
    program = b"".join(struct.pack("HBBI", *instruction) for instruction in DROP_SYN)
    code = ctypes.create_string_buffer(program, len(program))
    with suppress(OSError):  # without filters in the kernel the queue is likely, but not certain, to be empty
        listener.setsockopt(
            socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HP", len(DROP_SYN), ctypes.addressof(code))
        )


def queued(listener: socket.socket) -> bool:
    """Tell whether a connection waits to be accepted."""
    poll = select.poll()
    poll.register(listener, select.POLLIN)
    return bool(poll.poll(0))


READY = b"r"

log = logging.getLogger("serving_core.process.sockets")


@dataclass(frozen=True, slots=True)
class Seat:
    """One worker's place; a `late` worker accepts connections only when ready, since others serve."""

    listener: socket.socket
    channel: socket.socket
    late: bool

    def arguments(self) -> list[str]:
        """Return the arguments from which the worker recovers its seat; they name the sockets by number."""
        role = "late" if self.late else "first"
        return ["worker", role, str(self.listener.fileno()), str(self.channel.fileno())]

    def tell_ready(self) -> None:
        """Tell the supervisor that requests are served."""
        with suppress(OSError):  # the supervisor is gone, and `watch` notices it
            self.channel.send(READY)

    def watch(self, stop: Callable[[], None], patience_s: float) -> None:
        """Call `stop` when the supervisor says so or is gone; end the process if it does not stop in time."""

        def wait() -> None:
            with suppress(OSError):
                self.channel.recv(1)
            stop()
            time.sleep(patience_s)
            log.error("this worker did not stop within %g s: it ends with what it was doing", patience_s)
            os._exit(1)

        threading.Thread(target=wait, name="seat", daemon=True).start()


def take_seat(arguments: Sequence[str]) -> Seat | None:
    """Return the seat in a supervisor's command line; None for any other command line."""
    match arguments:
        case ["worker", "first" | "late" as role, listener, channel] if (listener + channel).isdigit():
            return Seat(
                socket.socket(fileno=int(listener)), socket.socket(fileno=int(channel)), role == "late"
            )
    return None
