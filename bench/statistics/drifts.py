"""How fast a mean changes with time, with its interval, and by how much a window would be off for that."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

LEAST_SPANS = 5


@dataclass(frozen=True, slots=True)
class Bias:
    """By which share of itself a mean over a window differs from its value at the window's end."""

    centre: float
    low: float
    high: float

    def within(self, bound: float) -> bool:
        """Whether the whole interval lies within the bound, to both sides."""
        return -bound <= self.low and self.high <= bound

    def beyond(self, bound: float) -> bool:
        """Whether the whole interval lies beyond the bound, to one side."""
        return self.low > bound or self.high < -bound

    @property
    def most(self) -> float:
        """The largest share that the interval does not exclude, without its sign."""
        return max(abs(self.low), abs(self.high))


@dataclass(frozen=True, slots=True)
class Drift:
    """The slope of a mean as a share of it per second, with its interval."""

    per_s: float
    low: float
    high: float

    @property
    def shown(self) -> bool:
        """Whether the interval excludes that there is no trend."""
        return self.low > 0 or self.high < 0

    def bias(self, window_s: float) -> Bias:
        """By how much a window is off if the trend goes on through it: half of the change within it."""
        return Bias(*(-share * window_s / 2 for share in (self.per_s, self.high, self.low)))


def drift(times_s: npt.ArrayLike, values: npt.ArrayLike, confidence: float = 0.95) -> Drift | None:
    """The least-squares slope of values over equal spans, as a share of their mean, with its t-interval.

    None if there are fewer than five spans or their mean is not above 0. The spans count as independent.
    """
    t, y = np.asarray(times_s, dtype=np.float64), np.asarray(values, dtype=np.float64)
    n, mean = len(t), float(y.mean()) if len(y) else 0.0
    if n < LEAST_SPANS or not mean > 0:
        return None
    around = t - t.mean()
    spread = float((around**2).sum())
    slope = float((around * y).sum()) / spread
    left = y - mean - slope * around
    error = math.sqrt(float((left**2).sum()) / (n - 2) / spread)
    reach = float(special.stdtrit(n - 2, (1 + confidence) / 2)) * error
    return Drift(slope / mean, (slope - reach) / mean, (slope + reach) / mean)
