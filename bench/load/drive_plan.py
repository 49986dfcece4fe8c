"""What a driver process is told: where to send, what, how many clients, and for how long."""

import dataclasses
import json
import random
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from bench.model import ARRIVALS, Arrivals, Payload

TOLERANCE = 0.02
READY = "ready"
TELL_EVERY_S = 0.1
"""How often a driver tells how many of its requests have ended."""


Schedule = Sequence[tuple[int, int]]
"""When each request of an open loop comes due (ns since the epoch), and its payload."""


@dataclass(frozen=True, slots=True)
class Expected:
    """One payload's place in the bodies (offset and length in bytes), how it is sent, and its answer.

    `path` is None where the plan's own takes it; `reply` says how an answer is read.
    """

    offset: int
    length: int
    content_type: str
    label: str
    probabilities: Mapping[str, float]
    path: str | None = None
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)
    reply: str = "json"


@dataclass(frozen=True, slots=True)
class FleetPlan:
    """Where a master waits for its workers, for how many, and for how long."""

    listen: str
    port: int
    workers: int
    assemble_s: float


@dataclass(frozen=True, slots=True)
class DrivePlan:
    """One trial as the driver process reads it; its start is told later, once it is ready.

    `rate_per_s` is None in a closed loop; in an open one `clients` is how many may wait for answers at once.
    The window begins at `latest_begin_s` where no earlier begin is told.

    `bodies` names a file with all request bodies one after another, `columns` and `summary` the files that
    the driver writes when it ends. `tolerance` is absolute, per probability. With a `fleet` this process
    sends nothing itself: its workers do.
    """

    host: str
    port: int
    path: str
    clients: int
    rate_per_s: float | None
    arrivals: Arrivals
    latest_begin_s: float
    window_s: float
    drain_s: float
    timeout_s: float
    seed: int
    tolerance: float
    bodies: str
    payloads: tuple[Expected, ...]
    columns: str
    summary: str
    fleet: FleetPlan | None = None


@dataclass(frozen=True, slots=True)
class DriveSummary:
    """What the driver says of itself.

    `rows` were recorded in the whole trial; `requests` ended in the window, which began `window_begin_s`
    after the start. `cpu_s` is what the driver's processes used in the window, all workers and the master
    among them; `busiest_core` is the share of a core that the busiest of them used. Of a worker that was
    lost nothing is known: neither its samples nor its CPU time. `clock_error_ms` bounds how far a worker's
    clock may be from the master's, None without workers.
    """

    rows: int
    requests: int
    cpu_s: float
    window_begin_s: float
    workers: int = 1
    lost_workers: int = 0
    busiest_core: float | None = None
    clock_error_ms: float | None = None


def write_bodies(payloads: Sequence[Payload], file: Path) -> tuple[Expected, ...]:
    """Write all request bodies into one file and return where each lies."""
    places, offset = [], 0
    with file.open("wb") as out:
        for payload in payloads:
            out.write(payload.body)
            places.append(
                Expected(
                    offset,
                    len(payload.body),
                    payload.content_type,
                    payload.label,
                    dict(payload.probabilities),
                    payload.path,
                    dict(payload.headers),
                    payload.reply,
                )
            )
            offset += len(payload.body)
    return tuple(places)


def plan_to_json(plan: DrivePlan) -> bytes:
    """The plan as JSON, for a file or a message."""
    return json.dumps(dataclasses.asdict(plan)).encode()


def plan_from_json(text: bytes) -> DrivePlan:
    """The plan that plan_to_json was given."""
    raw: dict[str, Any] = json.loads(text)
    payloads = tuple(Expected(**item) for item in raw.pop("payloads"))
    fleet = raw.pop("fleet")
    return DrivePlan(**raw, payloads=payloads, fleet=fleet and FleetPlan(**fleet))


def schedule(plan: DrivePlan) -> Schedule:
    """The arrivals of the whole trial, were its window to begin as late as it may; empty in a closed loop."""
    if plan.rate_per_s is None:
        return []
    due_ns = ARRIVALS[plan.arrivals].due_ns(plan.rate_per_s, plan.latest_begin_s + plan.window_s, plan.seed)
    return list(zip(due_ns, open_payloads(len(plan.payloads), len(due_ns), plan.seed), strict=True))


def schedule_to_bytes(arrivals: Schedule) -> bytes:
    """Arrivals for a message: all instants, then all payloads, in machine byte order."""
    return array("q", (due for due, _ in arrivals)).tobytes() + array("q", (p for _, p in arrivals)).tobytes()


def schedule_from_bytes(data: bytes) -> Schedule:
    """The arrivals that schedule_to_bytes was given."""
    both = array("q", data)
    half = len(both) // 2
    return list(zip(both[:half], both[half:], strict=True))


def shuffled_passes(count: int, seed: str) -> Iterator[int]:
    """Yield indices below `count` for ever, in passes over all of them, each pass shuffled."""
    rng = random.Random(seed)  # noqa: S311  # order, not secrecy
    indices = list(range(count))
    while True:
        rng.shuffle(indices)
        yield from indices


def open_payloads(count: int, arrivals: int, seed: int) -> "array[int]":
    """Which of `count` payloads each of the arrivals of an open loop carries."""
    return array("q", islice(shuffled_passes(count, f"{seed}/open"), arrivals))
