"""What a driver process is told: where to send, what, how many clients, and for how long."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.model import Payload

TOLERANCE = 0.02
READY = "ready"


@dataclass(frozen=True, slots=True)
class Expected:
    """One payload's place in the bodies file (offset and length in bytes) and the answer it must get."""

    offset: int
    length: int
    content_type: str
    label: str
    probabilities: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class DrivePlan:
    """One trial as the driver process reads it; its start is told later, once it is ready.

    `rate_per_s` is None in a closed loop; in an open one `clients` is how many may wait for answers at once.

    `bodies` names a file with all request bodies one after another, `columns` and `summary` the files that
    the driver writes when it ends. `tolerance` is absolute, per probability.
    """

    host: str
    port: int
    path: str
    clients: int
    rate_per_s: float | None
    warmup_s: float
    window_s: float
    drain_s: float
    timeout_s: float
    seed: int
    tolerance: float
    bodies: str
    payloads: tuple[Expected, ...]
    columns: str
    summary: str


@dataclass(frozen=True, slots=True)
class DriveSummary:
    """What the driver says of itself: rows recorded, its CPU seconds in the window, requests ended in it."""

    rows: int
    requests: int
    cpu_s: float


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
                )
            )
            offset += len(payload.body)
    return tuple(places)


def write_plan(plan: DrivePlan, file: Path) -> None:
    """Write the plan as JSON."""
    file.write_text(json.dumps(dataclasses.asdict(plan)), encoding="utf-8")


def read_plan(file: Path) -> DrivePlan:
    """Read a plan that write_plan wrote."""
    raw: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    payloads = tuple(Expected(**item) for item in raw.pop("payloads"))
    return DrivePlan(**raw, payloads=payloads)
