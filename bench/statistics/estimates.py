"""Centres and 95% intervals: means and ratios over rounds, quantiles by order statistics.

The replicate is the trial: a mean or a ratio has one value a round. With one round there is no interval.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

CONFIDENCE = 0.95
POWER = 0.80


@dataclass(frozen=True, slots=True)
class Estimate:
    """A centre with its two-sided interval; low and high are None where n is too small for one."""

    centre: float
    low: float | None
    high: float | None
    n: int
    confidence: float = CONFIDENCE


@dataclass(frozen=True, slots=True)
class Comparison:
    """B over A: a ratio with its interval over n rounds, or without one where there is one round.

    `minimal_detectable_effect` is the least relative change that n such rounds find in 80 of 100 cases
    (0.05 is 5%).
    """

    ratio: float
    low: float | None
    high: float | None
    n: int
    minimal_detectable_effect: float | None
    confidence: float = CONFIDENCE

    @property
    def shows_difference(self) -> bool:
        """Whether the interval excludes 1; without an interval nothing is shown."""
        return self.low is not None and self.high is not None and not self.low <= 1.0 <= self.high


def mean(values: Sequence[float]) -> Estimate | None:
    """The arithmetic mean of one value a round with its t-interval; None without values."""
    if not values:
        return None
    centre, half = _centre_and_half_width(values)
    return Estimate(centre, _minus(centre, half), _plus(centre, half), len(values))


def geometric_mean(values: Sequence[float]) -> Estimate | None:
    """The geometric mean of one value a round, t-interval on the logs; None unless all are above 0."""
    if not values or min(values) <= 0:
        return None
    centre, half = _centre_and_half_width([math.log(value) for value in values])
    low, high = _minus(centre, half), _plus(centre, half)
    return Estimate(math.exp(centre), _exp(low), _exp(high), len(values))


def median(values: Sequence[float]) -> Estimate | None:
    """The median with its order-statistic interval, which needs six values; None without values."""
    if not values:
        return None
    ordered = np.sort(np.asarray(values, dtype=np.float64))
    ranks = _interval_ranks(len(ordered), 0.5)
    low, high = (float(ordered[ranks[0] - 1]), float(ordered[ranks[1] - 1])) if ranks else (None, None)
    return Estimate(float(np.median(ordered)), low, high, len(ordered))


def quantile(samples: npt.ArrayLike, probability: float) -> Estimate | None:
    """The nearest-rank quantile of raw samples with its order-statistic interval.

    None where there are fewer than `least_n(probability)` samples: no finite interval, so no figure.
    """
    ordered = np.sort(np.asarray(samples, dtype=np.float64))
    ranks = _interval_ranks(len(ordered), probability)
    if ranks is None:
        return None
    centre = ordered[_nearest_rank(len(ordered), probability) - 1]
    return Estimate(float(centre), float(ordered[ranks[0] - 1]), float(ordered[ranks[1] - 1]), len(ordered))


def least_n(probability: float) -> int:
    """The fewest samples for which a quantile has a finite two-sided 95% interval."""
    tail = (1 - CONFIDENCE) / 2
    return math.ceil(math.log(tail) / math.log(max(probability, 1 - probability)))


def greatest_quantile(n: int) -> float:
    """The highest quantile for which n samples give a finite interval; 0 where there is none."""
    return float(((1 - CONFIDENCE) / 2) ** (1 / n)) if n >= least_n(0.5) else 0.0


def paired_ratio(a: Mapping[int, float], b: Mapping[int, float]) -> Comparison | None:
    """B over A, paired by round: exp of the mean of ln(B/A) with its t-interval.

    None where no round has both, or a value is not above 0.
    """
    rounds = sorted(a.keys() & b.keys())
    if not rounds or min(min(a[r], b[r]) for r in rounds) <= 0:
        return None
    differences = [math.log(b[r] / a[r]) for r in rounds]
    centre, half = _centre_and_half_width(differences)
    effect = None
    if half is not None:
        freedom = len(rounds) - 1
        effect = math.expm1(half * (1 + _student(freedom, POWER) / _student(freedom, _upper())))
    low, high = _minus(centre, half), _plus(centre, half)
    return Comparison(math.exp(centre), _exp(low), _exp(high), len(rounds), effect)


def unpaired_ratio(a: Sequence[float], b: Sequence[float]) -> Estimate | None:
    """B over A where rounds do not pair: the ratio of geometric means with Welch's t-interval on logs."""
    if not a or not b or min(*a, *b) <= 0:
        return None
    logs_a, logs_b = np.log(np.asarray(a, dtype=float)), np.log(np.asarray(b, dtype=float))
    centre, n = float(logs_b.mean() - logs_a.mean()), min(len(a), len(b))
    if n < 2:
        return Estimate(math.exp(centre), None, None, n)
    share_a, share_b = logs_a.var(ddof=1) / len(a), logs_b.var(ddof=1) / len(b)
    spread = float(share_a + share_b)
    if spread == 0:
        return Estimate(math.exp(centre), math.exp(centre), math.exp(centre), n)
    freedom = spread**2 / float(share_a**2 / (len(a) - 1) + share_b**2 / (len(b) - 1))
    half = _student(freedom, _upper()) * math.sqrt(spread)
    return Estimate(math.exp(centre), math.exp(centre - half), math.exp(centre + half), n)


def _centre_and_half_width(values: Sequence[float]) -> tuple[float, float | None]:
    array = np.asarray(values, dtype=np.float64)
    if len(array) < 2:
        return float(array.mean()), None
    error = float(array.std(ddof=1)) / math.sqrt(len(array))
    return float(array.mean()), _student(len(array) - 1, _upper()) * error


def _interval_ranks(n: int, probability: float) -> tuple[int, int] | None:
    """The 1-based ranks whose values enclose the quantile, each tail at most 2.5%."""
    if n < least_n(probability):
        return None
    tail = (1 - CONFIDENCE) / 2
    # both ranks lie within ten standard deviations: a million samples cost no more than a thousand
    reach = 10 * math.sqrt(n * probability * (1 - probability)) + 10
    first = max(0, math.floor(n * probability - reach))
    counts = np.arange(first, min(n, math.ceil(n * probability + reach)) + 1)
    at_most = special.bdtr(counts.astype(np.float64), n, probability)
    low = first + int(np.searchsorted(at_most, tail, side="right"))
    high = first + int(np.searchsorted(at_most, 1 - tail, side="left")) + 1
    return max(low, 1), min(high, n)


def _nearest_rank(n: int, probability: float) -> int:
    """The least rank that covers the probability; 1e-9 keeps 0.95 * 100 from being counted as 96."""
    return max(1, math.ceil(n * probability - 1e-9))


def _upper() -> float:
    return 1 - (1 - CONFIDENCE) / 2


def _student(freedom: float, probability: float) -> float:
    return float(special.stdtrit(freedom, probability))


def _minus(centre: float, half: float | None) -> float | None:
    return None if half is None else centre - half


def _plus(centre: float, half: float | None) -> float | None:
    return None if half is None else centre + half


def _exp(value: float | None) -> float | None:
    return None if value is None else math.exp(value)
