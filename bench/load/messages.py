"""The messages of a master and its workers over Locust's connection, and the comparison of their clocks."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

# both ends must have the same number: raise it with every change of the messages
PROTOCOL = 4
# short enough that heartbeats pass between two chunks
CHUNK_BYTES = 1 << 20
PINGS = 16

HELLO, CHUNK, PREPARED, DISMISSED = "bench_hello", "bench_chunk", "bench_prepared", "bench_dismissed"
PING, PONG, START, WINDOW, STOP = "bench_ping", "bench_pong", "bench_start", "bench_window", "bench_stop"
COUNT, DONE, KEPT = "bench_count", "bench_done", "bench_kept"

TO_WORKER = (CHUNK, PING, START, WINDOW, STOP, KEPT, DISMISSED)
TO_MASTER = (HELLO, CHUNK, PREPARED, PONG, COUNT, DONE)

Message = dict[str, Any]


def chunks(name: str, data: bytes) -> Iterator[Message]:
    """Yield the messages that carry the data under a name, in order."""
    for start in range(0, max(1, len(data)), CHUNK_BYTES):
        part = data[start : start + CHUNK_BYTES]
        yield {"name": name, "data": part, "last": start + CHUNK_BYTES >= len(data)}


class Inbound:
    """Puts chunks together again."""

    def __init__(self) -> None:
        self._parts: dict[str, bytearray] = {}
        self.complete: dict[str, bytes] = {}

    def add(self, message: Message) -> None:
        """Add a chunk; after the last chunk of a name, `complete` holds the bytes under that name."""
        name = str(message["name"])
        self._parts.setdefault(name, bytearray()).extend(message["data"])
        if message["last"]:
            self.complete[name] = bytes(self._parts.pop(name))


@dataclass(frozen=True, slots=True)
class RoundTrip:
    """A ping and its pong: when the ping was sent and came there, when the pong was sent there and came back.

    All times are monotonic ns: `sent_ns` and `back_ns` of the clock here, the others of the clock there.
    """

    sent_ns: int
    came_ns: int
    answered_ns: int
    back_ns: int

    @property
    def offset_ns(self) -> int:
        """How far the clock there is ahead of the clock here, if both ways took equally long."""
        return (self.came_ns - self.sent_ns + self.answered_ns - self.back_ns) // 2

    @property
    def error_ns(self) -> int:
        """How wrong `offset_ns` may be: half of the time that both ways took together."""
        return (self.back_ns - self.sent_ns - (self.answered_ns - self.came_ns) + 1) // 2


def best_trip(trips: Sequence[RoundTrip]) -> RoundTrip:
    """Return the round trip with the smallest error, as NTP's clock filter does (RFC 5905, section 10)."""
    return min(trips, key=lambda trip: trip.error_ns)


def answer_ping(message: Message) -> Message:
    """Return the pong to a ping; it repeats when the ping was sent."""
    came_ns = time.monotonic_ns()
    return {**message, "came_ns": came_ns, "answered_ns": time.monotonic_ns()}
