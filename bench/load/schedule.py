"""What an open loop will send and when: pure functions of a seed, computed before the load begins."""

import random
from array import array
from collections.abc import Iterator


def poisson_arrivals_ns(rate_per_s: float, seconds: float, seed: int) -> "array[int]":
    """Instants (ns since the epoch) at which requests come due: gaps are exponential, and independent."""
    rng = random.Random(f"arrivals/{seed}")  # noqa: S311  # chance, not secrecy
    due, now_s = array("q"), rng.expovariate(rate_per_s)
    while now_s < seconds:
        due.append(int(now_s * 1e9))
        now_s += rng.expovariate(rate_per_s)
    return due


def shuffled_passes(count: int, seed: str) -> Iterator[int]:
    """Yield indices below `count` for ever, in passes over all of them, each pass shuffled."""
    rng = random.Random(seed)  # noqa: S311  # order, not secrecy
    indices = list(range(count))
    while True:
        rng.shuffle(indices)
        yield from indices
