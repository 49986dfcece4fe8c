"""Whether a window drifts: trends by the median of slopes, and the steadiness of completions."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from bench.statistics.estimates import CONFIDENCE

BINS_A_THIRD = 5
BINS = 3 * BINS_A_THIRD
LEAST_TREND = 5
TOLERANCE = 0.10
GROWTH_CONFIDENCE = 0.99
# of the rise of response times that the requests that wait would make if they waited in turn
LEAST_EXPLAINED = 0.25
SIGNIFICANCE = 0.001
"""Of each of the two tests: together they call a window that is steady unsteady at most once in 100."""


@dataclass(frozen=True, slots=True)
class Slope:
    """A slope (units of value per unit of time) with its interval."""

    centre: float
    low: float
    high: float

    @property
    def significant(self) -> bool:
        """Whether the interval excludes a slope of 0."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True, slots=True)
class Steadiness:
    """How completions fill a window: the counts of its thirds, and its trend.

    `difference` is that of the fullest and the emptiest third as a share of the fullest, `chance` the
    probability that it would be so great by chance; `drift` is the trend over the whole window as a share of
    the mean, `trending` whether chance explains it badly.
    """

    thirds: tuple[int, int, int]
    difference: float
    chance: float
    drift: float
    trending: bool

    def uneven(self, tolerance: float = TOLERANCE) -> bool:
        """Whether the thirds differ by more than the tolerance, and than chance explains."""
        return self.difference > tolerance and self.chance < SIGNIFICANCE

    def drifts(self, tolerance: float = TOLERANCE) -> bool:
        """Whether the trend amounts to more than the tolerance, and is there beyond chance."""
        return abs(self.drift) > tolerance and self.trending


@dataclass(frozen=True, slots=True)
class Growth:
    """The trend of response times over a window: their value at its begin and end, and whether they rise."""

    first: float
    last: float
    rising: bool

    def unbounded(self, due: int, ended: int, length: float) -> bool:
        """Whether requests come faster than they are answered; `due` and `ended` count those in the window.

        `length` is the window's, in the unit of the response times. Four conditions must meet. The response
        time rises beyond chance. It at least doubles: a queue near saturation wanders for seconds, and a rise
        by itself would occur in every tenth window at 90% of capacity. The queue grew by more than the
        standard deviation of arrivals and answers at equal rates, √(2·due), by which it might wander. If the
        queue was so long at the window's begin that it cannot double, it must have grown by three standard
        deviations. And the rise explains the queue: if requests wait in turn, the rise is the share of those
        due that have not ended, times the length; simulated queues at 1.02 to 1.5 of capacity show at least
        0.4 of that. Requests that a stall at the window's end holds back come with no such rise.
        """
        doubled = self.last >= 2 * self.first
        waiting = due - ended
        explained = self.last - self.first >= LEAST_EXPLAINED * length * waiting / max(due, 1)
        return self.rising and explained and waiting > (1 if doubled else 3) * math.sqrt(2 * due)


def theil_sen(times: npt.ArrayLike, values: npt.ArrayLike, confidence: float = CONFIDENCE) -> Slope | None:
    """The median of the slopes of all pairs (Sen 1968) with its interval from Kendall's tau.

    It costs the square of the number of values, so it is for bins and not for requests. None if there are
    fewer than five values, which have no finite interval, or if a value is not finite.
    """
    t, y = np.asarray(times, dtype=np.float64), np.asarray(values, dtype=np.float64)
    if len(t) < LEAST_TREND or not (np.isfinite(t).all() and np.isfinite(y).all()):
        return None
    from scipy import stats  # a second of imports that a run should not wait for

    slopes = stats.theilslopes(y, t, alpha=confidence)
    return Slope(float(slopes.slope), float(slopes.low_slope), float(slopes.high_slope))


def steadiness(done_s: npt.ArrayLike, begin_s: float, end_s: float) -> Steadiness | None:
    """Judge the times at which requests ended, in any order; None if fewer than 15 lie in the window.

    The noise is estimated from fifteen bins: an F-test asks whether the thirds differ by more than the bins
    inside them do, and the trend's interval whether the slope differs from 0. So completions may come in
    bursts or evenly, as long as the process forgets within a bin or so: a rate that wanders by 10% for a
    second at a time is called unsteady in a tenth of windows of 10 s, and should be.
    """
    counts, _ = np.histogram(np.asarray(done_s, dtype=np.float64), bins=BINS, range=(begin_s, end_s))
    total = int(counts.sum())
    if total < BINS:
        return None
    thirds = counts.reshape(3, BINS_A_THIRD)
    sums = thirds.sum(axis=1)
    inside = float(thirds.var(axis=1, ddof=1).mean())
    between = BINS_A_THIRD * float(thirds.mean(axis=1).var(ddof=1))
    middles = (np.arange(BINS) + 0.5) / BINS
    trend = theil_sen(middles, counts / counts.mean(), 1 - SIGNIFICANCE)
    return Steadiness(
        (int(sums[0]), int(sums[1]), int(sums[2])),
        float((sums.max() - sums.min()) / sums.max()),
        _f_chance(between, inside),
        math.nan if trend is None else trend.centre,
        trend is not None and trend.significant,
    )


def growth(done: npt.ArrayLike, response: npt.ArrayLike, begin: float, end: float) -> Growth | None:
    """The trend of the response times of the requests that ended in the window, by medians of fifteen bins.

    `done` and `response` have one entry a request; `done` is in the unit of begin and end. None if fewer than
    five bins have a request.
    """
    instants, values = np.asarray(done, dtype=np.float64), np.asarray(response, dtype=np.float64)
    places = np.floor((instants - begin) / (end - begin) * BINS)
    medians = [(k, float(np.median(values[places == k]))) for k in range(BINS) if (places == k).any()]
    middles = [(k + 0.5) / BINS for k, _ in medians]
    trend = theil_sen(middles, [value for _, value in medians], GROWTH_CONFIDENCE)
    if trend is None:
        return None
    middle = float(
        np.median([value - trend.centre * (x - 0.5) for x, (_, value) in zip(middles, medians, strict=True)])
    )
    return Growth(max(0.0, middle - trend.centre / 2), middle + trend.centre / 2, trend.low > 0)


def _f_chance(between: float, inside: float) -> float:
    if inside == 0:
        return 1.0 if between == 0 else 0.0
    return float(special.fdtrc(2, BINS - 3, between / inside))
