"""What an open loop will send and when: pure functions of a seed, computed before the load begins."""

import random
from array import array
from collections.abc import Callable, Iterator, Mapping
from itertools import islice

from bench.model import Arrivals


def poisson_arrivals_ns(rate_per_s: float, seconds: float, seed: int) -> "array[int]":
    """Instants (ns since the epoch) at which requests come due: gaps are exponential, and independent."""
    rng = random.Random(f"arrivals/{seed}")  # noqa: S311  # chance, not secrecy
    due, now_s = array("q"), rng.expovariate(rate_per_s)
    while now_s < seconds:
        due.append(int(now_s * 1e9))
        now_s += rng.expovariate(rate_per_s)
    return due


def constant_arrivals_ns(rate_per_s: float, seconds: float, seed: int) -> "array[int]":
    """Instants (ns since the epoch) at which requests come due: 1/rate apart, the first after one gap."""
    del seed  # nothing is left to chance
    due, number = array("q"), 1
    # multiplied anew each time: added up, the gaps' rounding errors would add up as well
    while number < rate_per_s * seconds:
        due.append(int(number * 1e9 / rate_per_s))
        number += 1
    return due


ARRIVALS: Mapping[Arrivals, Callable[[float, float, int], "array[int]"]] = {
    "poisson": poisson_arrivals_ns,
    "constant": constant_arrivals_ns,
}


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
