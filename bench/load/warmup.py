"""When a warm-up ends: a pure function of how many requests had ended by when, and how long they took.

A warm-up ends as soon as the trends of throughput and of response time exclude that the window would be off
by more than 2% because the service still changes. A service that scatters from second to second cannot show
this in a short time. So after twice the least warm-up it is enough that no trend is seen; what could not be
excluded is a figure of the trial. As long as a trend is seen, the warm-up goes on, up to its most.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from bench.model import BIAS_BOUND

if TYPE_CHECKING:
    from bench.statistics import Drift

# a trend is taken from so many spans of the last three quarters of the warm-up: its begin is a cold start
SPANS, FROM = 15, 0.25
# of the least warm-up: by then a trend that matters much would be seen
ENOUGH = 2.0
# between the decision and the window's begin: time to tell every worker, and to read the container's usage
LEAD_S = 0.5


Count = tuple[float, int, float]
"""Seconds since the start, how many requests had ended by then, and how many seconds they took together."""

Counts = Sequence[Count]
"""Ascending."""


@dataclass(frozen=True, slots=True)
class WarmUp:
    """A warm-up lasts at least `least_s`, and at most `most_s`."""

    least_s: float
    most_s: float

    @property
    def by_time(self) -> bool:
        """Whether the window's begin is fixed beforehand, whatever the throughput."""
        return self.most_s <= self.least_s or self.least_s <= 0

    def begin_s(self, counts: Counts, now_s: float, window_s: float) -> float | None:
        """Return the window's begin in seconds since the start, None while it is undecided.

        A trend is judged by what it would make of a window of `window_s`. The begin lies at least LEAD_S
        after now, unless it was fixed beforehand or is `most_s`.
        """
        if self.by_time:
            return self.least_s
        if now_s + LEAD_S >= self.most_s:
            return self.most_s
        if now_s >= self.least_s and self._is_warm(counts, now_s, window_s):
            return round(now_s + LEAD_S, 3)
        return None

    def _is_warm(self, counts: Counts, now_s: float, window_s: float) -> bool:
        trends = drifts(counts)
        if not trends:
            return False
        excluded = all(one.bias(window_s).within(BIAS_BOUND) for one in trends)
        return excluded or (now_s >= ENOUGH * self.least_s and not any(one.shown for one in trends))


def rate_per_s(counts: Counts) -> float:
    """Return how many requests ended a second, the cold first quarter left out; 0 without counts."""
    if not counts:
        return 0.0
    end_s, ended, _ = counts[-1]
    return (ended - _by(counts, FROM * end_s)[0]) / ((1 - FROM) * end_s)


def drifts(counts: Counts) -> "tuple[Drift, ...]":
    """Return the trends of throughput and of response time; empty without answers in most of the spans."""
    from bench.statistics import drift  # the driver imports this module too, and must start fast

    if not counts:
        return ()
    end_s = counts[-1][0]
    width_s = (1 - FROM) * end_s / SPANS
    edges_s = [FROM * end_s + place * width_s for place in range(SPANS + 1)]
    totals = [_by(counts, edge_s) for edge_s in edges_s]
    ended = [later[0] - earlier[0] for earlier, later in pairwise(totals)]
    waited = [later[1] - earlier[1] for earlier, later in pairwise(totals)]
    middles = [(begin_s + end_s) / 2 for begin_s, end_s in pairwise(edges_s)]
    answered = [(t, w / n) for t, w, n in zip(middles, waited, ended, strict=True) if n > 0]
    rate = drift(middles, ended)
    response = drift([t for t, _ in answered], [seconds for _, seconds in answered])
    return (rate, response) if rate is not None and response is not None else ()


def _by(counts: Counts, instant_s: float) -> tuple[float, float]:
    """Return how many requests had ended by an instant and how long they took, interpolated."""
    place = bisect_left(counts, instant_s, key=lambda count: count[0])
    before = counts[place - 1] if place else (0.0, 0, 0.0)
    if place == len(counts):
        return before[1:]
    after = counts[place]
    share = (instant_s - before[0]) / (after[0] - before[0]) if after[0] > before[0] else 1.0
    return before[1] + share * (after[1] - before[1]), before[2] + share * (after[2] - before[2])
