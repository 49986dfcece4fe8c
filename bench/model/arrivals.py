"""The table of arrival patterns: when the requests of an open load come due, and how the load is named.

A pattern is a pure function of rate, duration and seed, computed before the load begins. It must give
instants in order, and a longer schedule must begin as a shorter one does: a warm-up that ends early cuts
the end off.
"""

import random
from array import array
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal


@dataclass(frozen=True, slots=True)
class ArrivalPattern:
    """When the requests of an open load come due.

    `due_ns` takes the rate in requests/s, the duration in seconds and the seed, and gives the instants in ns
    since the load's begin. `help` describes it in the help of --arrivals; `label` and `suffix` are added to
    the load's label and file name.
    """

    due_ns: "Callable[[float, float, int], array[int]]"
    help: str
    label: str = ""
    suffix: str = ""


def poisson_arrivals_ns(rate_per_s: float, seconds: float, seed: int) -> "array[int]":
    """Instants (ns since the begin) at which requests come due: gaps are exponential, and independent."""
    rng = random.Random(f"arrivals/{seed}")  # noqa: S311  # chance, not secrecy
    due, now_s = array("q"), rng.expovariate(rate_per_s)
    while now_s < seconds:
        due.append(int(now_s * 1e9))
        now_s += rng.expovariate(rate_per_s)
    return due


def constant_arrivals_ns(rate_per_s: float, seconds: float, seed: int) -> "array[int]":
    """Instants (ns since the begin) at which requests come due: 1/rate apart, the first after one gap."""
    del seed  # nothing is left to chance
    due, number = array("q"), 1
    # multiplied anew each time: added up, the gaps' rounding errors would add up as well
    while number < rate_per_s * seconds:
        due.append(int(number * 1e9 / rate_per_s))
        number += 1
    return due


# by the name on the command line and in run.json; cases are shown in this order
ARRIVALS: Mapping[str, ArrivalPattern] = {
    "poisson": ArrivalPattern(poisson_arrivals_ns, "at random"),
    "constant": ArrivalPattern(constant_arrivals_ns, "evenly spaced", ", evenly", "-even"),
}
USUAL_ARRIVALS = "poisson"

if TYPE_CHECKING:
    Arrivals = str
else:
    # whatever is read from run.json must be in the table
    Arrivals = Literal[tuple(ARRIVALS)]
