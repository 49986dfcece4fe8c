"""What a master and its workers say to each other through Locust's own connection, and how clocks compare."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

# both ends must be of one mind: raised with every change of what is said
PROTOCOL = 1
# a chunk is short enough for heartbeats to pass between two of them
CHUNK_BYTES = 1 << 20
PINGS = 16

HELLO, CHUNK, PREPARED, DISMISSED = "bench_hello", "bench_chunk", "bench_prepared", "bench_dismissed"
PING, PONG, START, WINDOW, STOP = "bench_ping", "bench_pong", "bench_start", "bench_window", "bench_stop"
COUNT, DONE, KEPT = "bench_count", "bench_done", "bench_kept"

TO_WORKER = (CHUNK, PING, START, WINDOW, STOP, KEPT, DISMISSED)
TO_MASTER = (HELLO, CHUNK, PREPARED, PONG, COUNT, DONE)

Message = dict[str, Any]


def chunks(name: str, data: bytes) -> Iterator[Message]:
    """The messages that carry some bytes under a name, in order."""
    for start in range(0, max(1, len(data)), CHUNK_BYTES):
        part = data[start : start + CHUNK_BYTES]
        yield {"name": name, "data": part, "last": start + CHUNK_BYTES >= len(data)}


class Inbound:
    """Puts chunks together again."""

    def __init__(self) -> None:
        self._parts: dict[str, bytearray] = {}
        self.complete: dict[str, bytes] = {}

    def add(self, message: Message) -> None:
        """Take one chunk; once the last one came, `complete` holds the bytes by their name."""
        name = str(message["name"])
        self._parts.setdefault(name, bytearray()).extend(message["data"])
        if message["last"]:
            self.complete[name] = bytes(self._parts.pop(name))


@dataclass(frozen=True, slots=True)
class RoundTrip:
    """One question and its answer: when it was sent and was back here, when it came and was answered there.

    All are monotonic ns, each of the clock of where it was read.
    """

    sent_ns: int
    came_ns: int
    answered_ns: int
    back_ns: int

    @property
    def offset_ns(self) -> int:
        """How far the clock there is ahead of ours, were both ways equally long."""
        return (self.came_ns - self.sent_ns + self.answered_ns - self.back_ns) // 2

    @property
    def error_ns(self) -> int:
        """How far off that may be: half of what the two ways took together."""
        return (self.back_ns - self.sent_ns - (self.answered_ns - self.came_ns) + 1) // 2


def best_trip(trips: Sequence[RoundTrip]) -> RoundTrip:
    """The round trip with the narrowest bound, as NTP's clock filter takes it (RFC 5905, section 10)."""
    return min(trips, key=lambda trip: trip.error_ns)


def answer_ping(message: Message) -> Message:
    """The pong to a ping, which keeps the ping's own time."""
    came_ns = time.monotonic_ns()
    return {**message, "came_ns": came_ns, "answered_ns": time.monotonic_ns()}
