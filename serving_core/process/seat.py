"""A worker process's tie to its supervisor: the listener it was handed, and a channel between the two."""

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

READY = b"r"

log = logging.getLogger("serving_core.process.seat")


@dataclass(frozen=True, slots=True)
class Seat:
    """One worker's place; a `late` one takes connections only when it is ready, as others do meanwhile."""

    listener: socket.socket
    channel: socket.socket
    late: bool

    def arguments(self) -> list[str]:
        """Return the command line with which the worker finds its seat; the sockets go by number."""
        role = "late" if self.late else "first"
        return ["worker", role, str(self.listener.fileno()), str(self.channel.fileno())]

    def tell_ready(self) -> None:
        """Tell the supervisor that requests are served."""
        with suppress(OSError):  # it is gone, and `watch` says so
            self.channel.send(READY)

    def watch(self, stop: Callable[[], None], patience_s: float) -> None:
        """Call `stop` when the supervisor asks for it or is gone, and end the process if that does not."""

        def wait() -> None:
            with suppress(OSError):
                self.channel.recv(1)
            stop()
            time.sleep(patience_s)
            log.error("this worker did not stop within %g s: it ends with what it was doing", patience_s)
            os._exit(1)

        threading.Thread(target=wait, name="seat", daemon=True).start()


def take_seat(arguments: Sequence[str]) -> Seat | None:
    """Return the seat that a supervisor's command line names, None for any other command line."""
    match arguments:
        case ["worker", "first" | "late" as role, listener, channel] if (listener + channel).isdigit():
            return Seat(
                socket.socket(fileno=int(listener)), socket.socket(fileno=int(channel)), role == "late"
            )
    return None
