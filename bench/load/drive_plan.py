"""A driver's plan: where it sends which requests, when, with how many clients, and for how long.

The schedule of an open load is a pure function of the plan and its seed, computed before the load begins."""

import math
import random
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import msgspec

from bench.model import ARRIVALS, PLAIN, Access, Arrivals, Payload
from bench.model.expectations import Expectation

READY = "ready"
MOST_ANSWER_BYTES = 4 * 1024 * 1024
"""The most bytes of an answer, its headers among them: what goes on beyond is no answer."""

TELL_EVERY_S = 0.1
"""How often a driver tells the harness how many of its requests have ended."""

PASS = 8
"""How many requests a payload has in a pass of payloads of unequal weights, in the mean."""

PAUSE_S = 0.01
"""How long a client pauses after a request that failed: a target that refuses must not be hammered."""


Schedule = Sequence[tuple[int, int]]
"""When each request of an open loop comes due (ns since the epoch), and its payload."""


@dataclass(frozen=True, slots=True)
class Expected:
    """A payload's place in the bodies (offset and length in bytes), how it is sent, and its right answer.

    `path` is None if the payload goes to the plan's path; `reply` names the reader of the answer.
    """

    offset: int
    length: int
    content_type: str
    expect: Expectation
    path: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    reply: str = "json"
    method: str = "POST"
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class FleetPlan:
    """The address at which a master waits for its workers, how many there are, and how long it waits."""

    listen: str
    port: int
    workers: int
    assemble_s: float


@dataclass(frozen=True, slots=True)
class DrivePlan:
    """A trial as the driver process reads it; the harness tells the start later, once the driver is ready.

    `rate_per_s` is None in a closed loop; in an open loop `clients` is how many may wait for answers at once.
    The window begins at `latest_begin_s` and lasts `window_s`, unless the harness tells an earlier begin, or
    another length of at most `window_most_s`.

    `bodies` names a file with all request bodies one after another, `columns` and `summary` the files that
    the driver writes when it ends. `tolerance` is absolute, per probability, where a payload has none of its
    own. If there is a `fleet`, its workers send the requests, and this process sends none. The values of the
    headers that `access` names are not in it: each process takes them from its own environment.
    """

    host: str
    port: int
    path: str
    clients: int
    rate_per_s: float | None
    arrivals: Arrivals
    latest_begin_s: float
    window_s: float
    window_most_s: float
    drain_s: float
    timeout_s: float
    seed: int
    tolerance: float
    bodies: str
    payloads: tuple[Expected, ...]
    columns: str
    summary: str
    fleet: FleetPlan | None = None
    access: Access = PLAIN


@dataclass(frozen=True, slots=True)
class DriveSummary:
    """The driver's account of a trial.

    `rows` counts the requests of the whole trial; `requests` counts those that ended in the window, which
    began `window_begin_s` after the start and lasted `window_s`. `cpu_s` is the CPU time of all the driver's
    processes in the window, the master's and the workers'; `busiest_core` is the share of a core that the
    busiest process used. A lost worker's samples and CPU time are missing. `clock_error_ms` bounds how far a
    worker's clock may be from the master's, None without workers. `clients` is how many requests could be in
    flight.
    """

    rows: int
    requests: int
    cpu_s: float
    window_begin_s: float
    window_s: float
    workers: int = 1
    lost_workers: int = 0
    busiest_core: float | None = None
    clock_error_ms: float | None = None
    clients: int | None = None


def write_bodies(payloads: Sequence[Payload], file: Path) -> tuple[Expected, ...]:
    """Write all request bodies into one file, and return each payload's place in it."""
    places, offset = [], 0
    with file.open("wb") as out:
        for payload in payloads:
            out.write(payload.body)
            places.append(
                Expected(
                    offset,
                    len(payload.body),
                    payload.content_type,
                    payload.expect,
                    payload.path,
                    payload.headers,
                    payload.reply,
                    payload.method,
                    payload.weight,
                )
            )
            offset += len(payload.body)
    return tuple(places)


def plan_to_json(plan: DrivePlan) -> bytes:
    """Return the plan as JSON, for a file or a message."""
    return msgspec.json.encode(plan)


def plan_from_json(text: bytes) -> DrivePlan:
    """Return the plan that plan_to_json encoded."""
    return msgspec.json.decode(text, type=DrivePlan)


def schedule(plan: DrivePlan) -> Schedule:
    """Return the arrivals until the latest possible end of the window; empty in a closed loop."""
    if plan.rate_per_s is None:
        return []
    latest_end_s = plan.latest_begin_s + plan.window_most_s
    due_ns = ARRIVALS[plan.arrivals].due_ns(plan.rate_per_s, latest_end_s, plan.seed)
    return list(zip(due_ns, open_payloads(weights_of(plan), len(due_ns), plan.seed), strict=True))


def weights_of(plan: DrivePlan) -> tuple[float, ...]:
    """How often each payload is sent beside the others."""
    return tuple(one.weight for one in plan.payloads)


def schedule_to_bytes(arrivals: Schedule) -> bytes:
    """Encode arrivals for a message: all instants, then all payloads, in machine byte order."""
    return array("q", (due for due, _ in arrivals)).tobytes() + array("q", (p for _, p in arrivals)).tobytes()


def schedule_from_bytes(data: bytes) -> Schedule:
    """Return the arrivals that schedule_to_bytes encoded."""
    both = array("q", data)
    half = len(both) // 2
    return list(zip(both[:half], both[half:], strict=True))


def shuffled_passes(count: int, seed: str) -> Iterator[int]:
    """Yield indices below `count` without end, in shuffled passes over all of them."""
    rng = random.Random(seed)  # noqa: S311  # order, not secrecy
    indices = list(range(count))
    while True:
        rng.shuffle(indices)
        yield from indices


def weighted_passes(weights: Sequence[float], seed: str) -> Iterator[int]:
    """Yield indices without end, each as often as its weight says, in shuffled passes.

    Where all weights are equal, each pass has every index once. Else a pass has some PASS times as many, each
    index in its share of them but for a fraction, which the next pass has.
    """
    if len(set(weights)) <= 1:
        yield from shuffled_passes(len(weights), seed)
        return
    rng = random.Random(seed)  # noqa: S311  # order, not secrecy
    shares = [PASS * len(weights) * weight / math.fsum(weights) for weight in weights]
    # where in its share an index begins is chance, so that no client begins with the frequent ones alone
    owed = [rng.random() for _ in weights]
    while True:
        owed = [left + share for left, share in zip(owed, shares, strict=True)]
        indices = [index for index, left in enumerate(owed) for _ in range(int(left))]
        owed = [left % 1.0 for left in owed]
        rng.shuffle(indices)
        yield from indices


def open_payloads(weights: Sequence[float], arrivals: int, seed: int) -> "array[int]":
    """Return which of the payloads with these weights each arrival of an open loop carries."""
    return array("q", islice(weighted_passes(weights, f"{seed}/open"), arrivals))
