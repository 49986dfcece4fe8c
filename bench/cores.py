"""Which cores drive load and which serve it: not the same if there are two or more."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from bench.errors import UsageError
from bench.model.from_outside import whole_number

# more than any machine has, and few enough to be listed
MOST_CORES = 10_000


@dataclass(frozen=True, slots=True)
class Cores:
    """Core numbers: of harness and driver, of the service under test, and all that there are."""

    driver: tuple[int, ...]
    service: tuple[int, ...]
    available: tuple[int, ...]

    @property
    def disjoint(self) -> bool:
        """Whether driver and service share no core."""
        return not set(self.driver) & set(self.service)


def choose_cores(driver: str | None, service: str | None) -> Cores:
    """The cores of lists such as "0,2-3"; without a list the driver has the first core, the service the last.

    Raises UsageError for a core that this process may not use.
    """
    available = sorted(_affinity())
    cores = Cores(
        parse_cores(driver) if driver else (available[0],),
        parse_cores(service) if service else (available[-1],),
        tuple(available),
    )
    for number in (*cores.driver, *cores.service):
        if number not in available:
            raise UsageError(f"core {number} is not available: choose among {format_cores(available)}")
    return cores


def parse_cores(text: str) -> tuple[int, ...]:
    """Core numbers from "0,2-3"; raises UsageError for another text."""
    cores: set[int] = set()
    for part in text.split(","):
        begin, dash, end = part.strip().partition("-")
        first, last = whole_number(begin), whole_number(end if dash else begin)
        if first is None or last is None or not first <= last < MOST_CORES:
            raise UsageError(
                f"{text[:60]!r} is not a list of cores below {MOST_CORES}: write it like 0,2-3, each range "
                "upwards"
            )
        cores.update(range(first, last + 1))
    return tuple(sorted(cores))


def format_cores(cores: tuple[int, ...] | list[int]) -> str:
    """Core numbers as a cpuset writes them."""
    return ",".join(str(number) for number in cores)


@contextmanager
def pinned(cores: tuple[int, ...]) -> Iterator[None]:
    """Let what this thread starts inside the block run on these cores only."""
    before = _affinity()
    pin(cores)
    try:
        yield
    finally:
        pin(before)


def _affinity() -> Iterable[int]:
    """The cores that this thread may use; all of them if the system does not say, as on macOS."""
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)


def can_pin() -> bool:
    """Whether this system keeps a process to chosen cores, as Linux does."""
    return hasattr(os, "sched_setaffinity")


def pin(cores: Iterable[int]) -> None:
    """Keep this thread, and what it starts, to these cores; does nothing if the system cannot do so."""
    if can_pin():
        os.sched_setaffinity(0, cores)
