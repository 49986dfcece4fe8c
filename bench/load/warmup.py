"""When a warm-up ends: a pure function of how many requests had ended by when."""

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

STEADY_TOLERANCE = 0.10
SIGMAS = 3.0
# between the decision and the window's begin: time to tell every worker, and to read the container's usage
LEAD_S = 0.5

Counts = Sequence[tuple[float, int]]
"""Seconds since the start, ascending, and how many requests had ended by then."""


@dataclass(frozen=True, slots=True)
class WarmUp:
    """A warm-up: it lasts at least `least_s`, and longer, up to `most_s`, if throughput is not steady."""

    least_s: float
    most_s: float

    @property
    def by_time(self) -> bool:
        """Whether the window's begin is fixed beforehand, whatever the throughput."""
        return self.most_s <= self.least_s or self.least_s <= 0

    def begin_s(self, counts: Counts, now_s: float) -> float | None:
        """Return the window's begin in seconds since the start, None while it is undecided.

        The begin lies at least LEAD_S after now, unless it was fixed beforehand or is `most_s`.
        """
        if self.by_time:
            return self.least_s
        if now_s + LEAD_S >= self.most_s:
            return self.most_s
        if now_s >= self.least_s and is_steady(counts, self.least_s / 3):
            return round(now_s + LEAD_S, 3)
        return None


def is_steady(counts: Counts, span_s: float) -> bool:
    """Return whether equally many requests ended in each of the last three spans, but for a tenth or chance.

    Counts of independent events scatter by their square root (Poisson), so two counts may come from the same
    rate if they differ by at most three times the root of their sum. A span in which no request ended is not
    evidence, and nor is a span that begins before the start.
    """
    if not counts or counts[-1][0] < 3 * span_s:
        return False
    end_s = counts[-1][0]
    totals = [_ended_by(counts, end_s - back * span_s) for back in (3, 2, 1, 0)]
    spans = [later - earlier for earlier, later in pairwise(totals)]
    least, most = min(spans), max(spans)
    return least > 0 and most - least <= max(STEADY_TOLERANCE * most, SIGMAS * math.sqrt(least + most))


def _ended_by(counts: Counts, instant_s: float) -> float:
    """Return how many requests had ended by an instant, interpolated between two counts."""
    place = bisect_left(counts, instant_s, key=lambda count: count[0])
    before_s, before = counts[place - 1] if place else (0.0, 0)
    if place == len(counts):
        return before
    after_s, after = counts[place]
    share = (instant_s - before_s) / (after_s - before_s) if after_s > before_s else 1.0
    return before + share * (after - before)
