"""Which payload each request carries: pure functions of a seed, computed before the load begins."""

import random
from array import array
from collections.abc import Iterator
from itertools import islice


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
