"""Completions of services that are known: steady in several ways, drifting, or served from a queue."""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from bench.load.samples import Samples

Floats = NDArray[np.float64]
WINDOW_S, STEP_S = 10.0, 0.02
STEPS_S = (np.arange(int(WINDOW_S / STEP_S)) + 0.5) * STEP_S
Rates = Callable[[np.random.Generator], Floats]


def even(_: np.random.Generator) -> Floats:
    """A rate that stays what it is, as a factor in each step."""
    return np.ones(len(STEPS_S))


def restless(scatter: float, memory_s: float) -> Rates:
    """A rate that wanders about its mean: AR(1) with its scatter and how long it remembers."""

    def rates(rng: np.random.Generator) -> Floats:
        kept = np.exp(-STEP_S / memory_s)
        steps = rng.normal(0, scatter * np.sqrt(1 - kept**2), len(STEPS_S))
        steps[0] = rng.normal(0, scatter)
        wandering: Floats = signal.lfilter([1.0], [1.0, -kept], steps)
        return np.maximum(0.0, 1 + wandering)

    return rates


def stalled(rng: np.random.Generator) -> Floats:
    """Nothing for 1.4 s in every 10 s."""
    return np.where((STEPS_S - rng.uniform(0, 10)) % 10 < 1.4, 0.0, 1.0)


def drifting(rng: np.random.Generator) -> Floats:
    """A rate that rises by 30% of its mean over the window."""
    del rng
    return 1 + 0.3 * (STEPS_S / WINDOW_S - 0.5)


def completions(rng: np.random.Generator, rate_per_s: float, rates: Rates = even, burst: int = 1) -> Floats:
    """When requests end over 10 s, by chance (Poisson) in bursts of a size."""
    counts = rng.poisson(rate_per_s / burst * rates(rng) * STEP_S) * burst
    return np.repeat(STEPS_S, counts)


STEADY: Mapping[str, tuple[Rates, int]] = {
    "poisson": (even, 1),
    "batches of 8": (even, 8),
    "batches of 32": (even, 32),
    "restless for 0.1 s": (restless(0.2, 0.1), 1),
    "restless for 0.3 s": (restless(0.1, 0.3), 1),
    "stalled": (stalled, 1),
}


def queue(
    rng: np.random.Generator,
    load: float,
    capacity_per_s: float,
    seconds: float = 12.0,
    *,
    exponential: bool = True,
) -> tuple[Floats, Floats]:
    """When requests come due and when they end: Poisson arrivals at `load` of one server's capacity."""
    due = np.sort(rng.uniform(0, seconds, rng.poisson(load * capacity_per_s * seconds)))
    service = (
        rng.exponential(1 / capacity_per_s, len(due))
        if exponential
        else np.full(len(due), 1 / capacity_per_s)
    )
    worked = np.cumsum(service)
    done: Floats = worked + np.maximum.accumulate(due - worked + service)
    return due, done


def samples_of(due_s: Floats, done_s: Floats) -> Samples:
    """Samples, all right, sent when they were due and ordered by their ends."""
    order = np.argsort(done_s, kind="stable")
    due, done = ((values[order] * 1e9).astype(np.int64) for values in (due_s, done_s))
    zeros = np.zeros(len(due), dtype=np.int64)
    return Samples(due, due.copy(), done, zeros, zeros + 200, zeros, zeros.copy())
