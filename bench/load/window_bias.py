"""By how much a window may be off because the service was still changing: from the trend before and in it."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.load.samples import Samples
from bench.load.warmup import FROM
from bench.model import BIAS_BOUND, Doubt
from bench.statistics import Bias, drift

SPANS = 30
# a trend that would come by chance once in 1 000 windows is told
TOLD_CONFIDENCE = 0.999


@dataclass(frozen=True, slots=True)
class WindowBias:
    """By which share a window's figure differs from its value at the window's end, if its trend goes on.

    The figure is the throughput of a closed loop, and the mean response time of an open one, whose schedule
    sets the throughput. `told` is the same at a confidence at which a trend is told.
    """

    figure: str
    bias: Bias
    told: Bias


def window_bias(samples: Samples, closed: bool, begin_s: float, window_s: float) -> WindowBias | None:
    """Return the bias by the trend of the warm-up's end and the window; None if answers are too few.

    The trend is that of the window and of as much before it, but for the cold first quarter of the warm-up.
    """
    end_s = begin_s + window_s
    edges = np.linspace(max(FROM * begin_s, begin_s - window_s), end_s, SPANS + 1)
    middles = (edges[1:] + edges[:-1]) / 2
    if closed:
        counts, _ = np.histogram(samples.done_ns / 1e9, bins=edges)
        return _of("throughput", middles, counts.astype(np.float64), window_s)
    due_s, took_s = samples.due_ns / 1e9, (samples.done_ns - samples.due_ns) / 1e9
    counts, _ = np.histogram(due_s, bins=edges)
    sums, _ = np.histogram(due_s, bins=edges, weights=took_s)
    some = counts > 0
    return _of("response time", middles[some], sums[some] / counts[some], window_s)


def _of(
    figure: str, times_s: NDArray[np.float64], values: NDArray[np.float64], window_s: float
) -> WindowBias | None:
    usual, told = drift(times_s, values), drift(times_s, values, TOLD_CONFIDENCE)
    if usual is None or told is None:
        return None
    return WindowBias(figure, usual.bias(window_s), told.bias(window_s))


def warming_doubts(found: WindowBias | None, *, closed: bool, ended_at_most: bool) -> Iterator[Doubt]:
    """Yield a doubt if the service still changed: void if it got faster and its warm-up was cut off.

    A closed loop of a service that gets faster is too slow in any case. A service that gets slower may do so
    for ever, and an open loop's queue wanders by itself: of these it is told, and nothing is void, if their
    warm-up went on for a trend until it had to end.
    """
    if found is None or not found.told.beyond(BIAS_BOUND):
        return
    too_low = found.bias.centre < 0
    faster = too_low == closed
    if not (closed and faster) and not ended_at_most:
        return
    low, high = sorted((abs(found.bias.low), abs(found.bias.high)))
    text = f"the service was still getting {'faster' if faster else 'slower'}: {found.figure} is "
    text += f"{low:.1%} to {high:.1%} too {'low' if too_low else 'high'}"
    text += ", and the warm-up ended at its most" if ended_at_most else ""
    yield Doubt(
        "warmup_open",
        text,
        "raise --warmup-most-s or --warmup-s",
        voids=closed and faster and ended_at_most,
        cause="service",
    )
