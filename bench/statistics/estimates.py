"""Centres and 95% intervals: means over rounds, quantiles of raw samples by order statistics.

A trial is one replicate: a mean takes one value from each round. A single round has no interval.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

CONFIDENCE = 0.95
TAIL = (1 - CONFIDENCE) / 2
UPPER = 1 - TAIL


@dataclass(frozen=True, slots=True)
class Estimate:
    """A centre with its two-sided interval; low and high are None if n is too small for an interval."""

    centre: float
    low: float | None
    high: float | None
    n: int
    confidence: float = CONFIDENCE


def geometric_mean(values: Sequence[float]) -> Estimate | None:
    """The geometric mean of one value a round, t-interval on the logs; None unless all are above 0."""
    if not positive(values):
        return None
    centre, half = centre_and_half_width([math.log(value) for value in values])
    low, high = _minus(centre, half), _plus(centre, half)
    return Estimate(math.exp(centre), _exp(low), _exp(high), len(values))


def median(values: Sequence[float]) -> Estimate | None:
    """The median with its order-statistic interval, which needs six values; None unless all are finite."""
    return endless_median(values) if np.isfinite(values).all() else None


def endless_median(values: Sequence[float]) -> Estimate | None:
    """The same of values some of which may be infinite, as its centre and its ends may be then."""
    if not values or np.isnan(values).any():
        return None
    ordered = np.sort(np.asarray(values, dtype=np.float64))
    ranks = _interval_ranks(len(ordered), 0.5)
    low, high = (float(ordered[ranks[0] - 1]), float(ordered[ranks[1] - 1])) if ranks else (None, None)
    return Estimate(float(np.median(ordered)), low, high, len(ordered))


def quantile(samples: npt.ArrayLike, probability: float) -> Estimate | None:
    """The nearest-rank quantile of raw samples with its order-statistic interval.

    It is None if there are fewer than `least_n(probability)` samples, which have no finite interval, or if a
    sample is NaN, which could stand at any rank.
    """
    ordered = np.sort(np.asarray(samples, dtype=np.float64))
    ranks = _interval_ranks(len(ordered), probability)
    if ranks is None or np.isnan(ordered[-1]):
        return None
    centre = ordered[_nearest_rank(len(ordered), probability) - 1]
    return Estimate(float(centre), float(ordered[ranks[0] - 1]), float(ordered[ranks[1] - 1]), len(ordered))


def least_n(probability: float) -> int:
    """The fewest samples for which a quantile has a finite two-sided 95% interval."""
    return math.ceil(math.log(TAIL) / math.log(max(probability, 1 - probability)))


def greatest_quantile(n: int) -> float:
    """The highest quantile for which n samples give a finite interval; 0 if there is none."""
    return float(TAIL ** (1 / n)) if n >= least_n(0.5) else 0.0


def positive(values: Sequence[float]) -> bool:
    """Whether there are values and all are finite and above 0, so that they have logarithms."""
    return len(values) > 0 and all(0 < value < math.inf for value in values)


def centre_and_half_width(values: npt.ArrayLike) -> tuple[float, float | None]:
    """The mean and half the width of its t-interval; None for the width of a single value."""
    array = np.asarray(values, dtype=np.float64)
    if len(array) < 2:
        return float(array.mean()), None
    error = float(array.std(ddof=1)) / math.sqrt(len(array))
    return float(array.mean()), student(len(array) - 1, UPPER) * error


def _interval_ranks(n: int, probability: float) -> tuple[int, int] | None:
    """The 1-based ranks whose values enclose the quantile, each tail at most 2.5%."""
    if n < least_n(probability):
        return None
    # both ranks lie within ten standard deviations: a million samples cost no more than a thousand
    reach = 10 * math.sqrt(n * probability * (1 - probability)) + 10
    first = max(0, math.floor(n * probability - reach))
    counts = np.arange(first, min(n, math.ceil(n * probability + reach)) + 1)
    at_most = special.bdtr(counts.astype(np.float64), n, probability)
    low = first + int(np.searchsorted(at_most, TAIL, side="right"))
    high = first + int(np.searchsorted(at_most, UPPER, side="left")) + 1
    return max(low, 1), min(high, n)


def _nearest_rank(n: int, probability: float) -> int:
    """The least rank that covers the probability; 1e-9 keeps 0.95 * 100 from being counted as 96."""
    return max(1, math.ceil(n * probability - 1e-9))


def student(freedom: float, probability: float) -> float:
    """The quantile of Student's t."""
    return float(special.stdtrit(freedom, probability))


def _minus(centre: float, half: float | None) -> float | None:
    return None if half is None else centre - half


def _plus(centre: float, half: float | None) -> float | None:
    return None if half is None else centre + half


def _exp(value: float | None) -> float | None:
    return None if value is None else math.exp(value)
