"""A long trial by its uptime: what was answered in each span of it, and what its windows do not stand for."""

import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from bench.load.samples import Samples
from bench.model import OUTCOMES, UptimeChange, UptimeSpan
from bench.statistics import later_change, later_span_s

TENTHS = 10
OK = OUTCOMES.index("ok")

Memory = Sequence[tuple[float, int]]


def tenths(samples: Samples, length_s: float, memory: Memory) -> tuple[UptimeSpan, ...]:
    """Return the ten tenths of a long trial, from the first request on."""
    edges = [length_s * place / TENTHS for place in range(TENTHS + 1)]
    return tuple(_span(samples, begin, end, memory) for begin, end in itertools.pairwise(edges))


def changes(
    samples: Samples, window_begin_s: float, window_end_s: float, length_s: float
) -> tuple[UptimeChange, ...]:
    """Return what differs after the windows' uptimes from what it was during them, beyond chance.

    The time after the windows is cut twice: into spans as long as the windows, or shorter (`later_span_s`),
    and into ten long spans, in which what comes and goes is averaged. Nothing is returned if hardly any time
    lies after the windows.
    """
    window_s, left_s = window_end_s - window_begin_s, length_s - window_end_s
    short_s, long_s = later_span_s(window_s, left_s), left_s / TENTHS
    if short_s is None:
        return ()
    before = _cut(samples, window_begin_s, window_end_s, short_s)
    halves = [(before, _cut(samples, window_end_s, length_s, short_s), 1.0)]
    if long_s > window_s:
        whole = _cut(samples, window_begin_s, window_end_s, window_s)
        noisier = math.sqrt(long_s / window_s)
        halves.append((whole, _cut(samples, window_end_s, length_s, long_s), noisier))
    found = [_greatest(metric, halves) for metric in (_rate_change, _tail_change)]
    return tuple(one for one in found if one is not None)


Spans = Sequence[UptimeSpan]
Change = Callable[[Spans, Spans, float], UptimeChange | None]


def _greatest(change: Change, halves: Sequence[tuple[Spans, Spans, float]]) -> UptimeChange | None:
    found = [one for before, after, noisier in halves if (one := change(before, after, noisier)) is not None]
    return max(found, key=lambda one: abs(math.log(one.beyond / one.within)), default=None)


def _cut(samples: Samples, begin_s: float, end_s: float, span_s: float) -> list[UptimeSpan]:
    count = max(1, math.floor((end_s - begin_s) / span_s + 1e-6))
    edges = [begin_s + place * span_s for place in range(count + 1)]
    return [_span(samples, one, two, ()) for one, two in itertools.pairwise(edges)]


def _rate_change(before: Spans, after: Spans, noisier: float) -> UptimeChange | None:
    # half an answer stands for none, which has no logarithm
    rates = [[max(one.ok, 0.5) / (one.end_s - one.begin_s) for one in spans] for spans in (before, after)]
    found = later_change(rates[0], rates[1], noisier=noisier)
    if found is None:
        return None
    late = after[found.first :]
    within, beyond = max(_rate(before), 1e-3), max(_rate(late), 1e-3)
    return UptimeChange("throughput", within, beyond, late[0].begin_s, late[-1].end_s)


def _tail_change(before: Spans, after: Spans, noisier: float) -> UptimeChange | None:
    known = [[one for one in spans if one.p99_ms] for spans in (before, after)]
    values = [[one.p99_ms or 1.0 for one in spans] for spans in known]
    found = later_change(values[0], values[1], noisier=noisier)
    if found is None:
        return None
    late = known[1][found.first :]
    within = float(np.exp(np.mean(np.log(values[0]))))
    return UptimeChange("p99", within, within * found.ratio, late[0].begin_s, late[-1].end_s)


def _rate(spans: Sequence[UptimeSpan]) -> float:
    return sum(one.ok for one in spans) / (spans[-1].end_s - spans[0].begin_s)


def _span(samples: Samples, begin_s: float, end_s: float, memory: Memory) -> UptimeSpan:
    inside = (samples.done_ns >= begin_s * 1e9) & (samples.done_ns < end_s * 1e9) & (samples.outcome == OK)
    latency_ms = np.sort((samples.done_ns - samples.due_ns)[inside]) / 1e6
    read = [value for at_s, value in memory if begin_s <= at_s < end_s]
    return UptimeSpan(
        round(begin_s, 3),
        round(end_s, 3),
        len(latency_ms),
        round(len(latency_ms) / (end_s - begin_s), 3),
        _quantile(latency_ms, 0.5),
        _quantile(latency_ms, 0.99),
        max(read, default=None),
    )


def _quantile(ordered: NDArray[np.float64], share: float) -> float | None:
    """Return the quantile by nearest rank; None without values. It is no estimate: it describes a span."""
    if not len(ordered):
        return None
    return round(float(ordered[math.ceil(share * len(ordered)) - 1]), 4)
