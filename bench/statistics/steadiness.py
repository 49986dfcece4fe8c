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
# bins with a request on each side of a change of level
LEAST_SIDE = 4
TINY = 1e-9
TOLERANCE = 0.10
GROWTH_CONFIDENCE = 0.99
# of the rise of response times that the requests that wait would make if they waited in turn
LEAST_EXPLAINED = 0.25
# what a shift of response times must exceed in its own standard errors: this much if requests do not wait,
# and more the longer a queue remembers, up to the most
LEAST_SHIFT, SHIFT_BY_MEMORY, MOST_SHIFT = 4.0, 7.0, 14.0
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


@dataclass(frozen=True, slots=True)
class Shift:
    """How response times change within a window: from one level to another, or bit by bit.

    `factor` is the change as a multiple (2 is twice as slow), `errors` the size of the change in its own
    standard errors, and `bound` how many of them chance explains.
    """

    factor: float
    errors: float
    bound: float

    def beyond(self, tolerance: float = TOLERANCE) -> bool:
        """Whether it is more than the tolerance, either way, and than chance explains."""
        return abs(math.log(self.factor)) > math.log1p(tolerance) and self.errors > self.bound


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


def shift(instants: npt.ArrayLike, response: npt.ArrayLike, begin: float, end: float) -> Shift | None:
    """The greatest change of the response times of the requests whose instants lie in the window.

    All arguments are in one unit. The window has fifteen bins, each with its median on a log scale. A change
    from one level to another is looked for at each bin of the middle third, which is left out, since it may
    hold both levels; a change bit by bit is a line through all bins. Each is measured in standard errors by
    how the bins scatter about it, so that a stall, which is in a few bins alone, is no change of level.

    A queue remembers: bins beside each other are alike, and scatter less than the level wanders. Its memory
    is about 4 N² services (M/M/1, N the mean number in flight), so the bound grows with the square root of
    the share of the window's requests that this is. Simulated queues (M/D/1 and M/M/1 at 0.5 to 0.9 of
    capacity, 20 to 1000 requests/s, windows of 5 to 20 s) exceed it in at most about 1 of 100 windows.

    None if there are fewer than fifteen such requests, or too few bins with a request.
    """
    at, values = np.asarray(instants, dtype=np.float64), np.asarray(response, dtype=np.float64)
    places = np.floor((at - begin) / (end - begin) * BINS)
    inside = (places >= 0) & (places < BINS) & (values > 0)
    places, values = places[inside], values[inside]
    if len(values) < BINS:
        return None
    medians = [np.median(values[places == k]) if (places == k).any() else math.nan for k in range(BINS)]
    levels = np.log(np.asarray(medians, dtype=np.float64))
    in_flight = float(values.sum()) / (end - begin)
    memory = 4 * in_flight**2 / len(values)
    bound = min(MOST_SHIFT, LEAST_SHIFT + SHIFT_BY_MEMORY * math.sqrt(memory))
    middle = range(BINS_A_THIRD, 2 * BINS_A_THIRD)
    changes = [_step(levels[:k], levels[k + 1 :]) for k in middle] + [_ramp(levels)]
    known = [one for one in changes if one is not None]
    if not known:
        return None
    change, errors = max(known, key=lambda one: one[1])
    return Shift(math.exp(change), errors, bound)


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


def _step(before: npt.NDArray[np.float64], after: npt.NDArray[np.float64]) -> tuple[float, float] | None:
    """The difference of two levels, and its size in standard errors; None if a side has too few bins."""
    sides = [side[np.isfinite(side)] for side in (before, after)]
    counts = [len(side) for side in sides]
    if min(counts) < LEAST_SIDE:
        return None
    change = float(sides[1].mean() - sides[0].mean())
    squares = sum(float(((side - side.mean()) ** 2).sum()) for side in sides)
    error = math.sqrt(squares / (sum(counts) - 2) * sum(1 / count for count in counts))
    return change, abs(change) / max(error, TINY)


def _ramp(levels: npt.NDArray[np.float64]) -> tuple[float, float] | None:
    """The rise of a line through all bins over the window, and its size in standard errors."""
    places = np.flatnonzero(np.isfinite(levels))
    if len(places) < 2 * LEAST_SIDE:
        return None
    x, y = places - places.mean(), levels[places] - levels[places].mean()
    slope = float(x @ y / (x @ x))
    error = math.sqrt(float(((y - slope * x) ** 2).sum()) / (len(x) - 2) / float(x @ x))
    return slope * BINS, abs(slope) / max(error, TINY)


def _f_chance(between: float, inside: float) -> float:
    if inside == 0:
        return 1.0 if between == 0 else 0.0
    return float(special.fdtrc(2, BINS - 3, between / inside))
