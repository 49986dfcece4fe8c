"""Ratios over rounds: how much faster B is than A, how sure that is, and how many rounds would show it."""

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from bench.statistics.estimates import (
    CONFIDENCE,
    UPPER,
    Estimate,
    centre_and_half_width,
    positive,
    student,
)
from bench.statistics.resampling import ROUNDING, bca_interval, sign_flip_p

POWER = 0.80
MOST_ROUNDS = 10_000


@dataclass(frozen=True, slots=True)
class Comparison:
    """B over A: a ratio with its interval over n rounds; a single round has no interval.

    `minimal_detectable_effect` is the least relative change that n such rounds find in 80 of 100 cases (0.05
    is 5%). `spread` is the standard deviation of the rounds' log ratios. Both p-values are two-sided.
    `p_value` is that of the sign-flip test, which assumes only that A and B could change names. Six rounds
    cannot give less than 0.03125 there, so no correction for a second comparison leaves it below 0.05.
    `t_p_value` belongs to the interval: it is below 0.05 exactly if the interval excludes 1, and `holm` can
    correct it at six rounds. `bootstrap` cross-checks the interval (`bca_interval`).
    """

    ratio: float
    low: float | None
    high: float | None
    n: int
    minimal_detectable_effect: float | None
    confidence: float = CONFIDENCE
    p_value: float | None = None
    t_p_value: float | None = None
    bootstrap: tuple[float, float] | None = None
    spread: float | None = None

    @property
    def shows_difference(self) -> bool:
        """Whether the interval excludes 1; without an interval it shows nothing."""
        return self.low is not None and self.high is not None and (self.low > 1.0 or self.high < 1.0)


def paired_ratio(
    a: Mapping[int, float], b: Mapping[int, float], *, bootstrap: bool = True
) -> Comparison | None:
    """B over A, paired by round: exp of the mean of ln(B/A) with its t-interval.

    None if no round has both, or if a value is not finite and above 0. The bootstrap, which costs some
    milliseconds, can be left out.
    """
    rounds = sorted(a.keys() & b.keys())
    if not positive([value for r in rounds for value in (a[r], b[r])]):
        return None
    logs = np.array([math.log(b[r] / a[r]) for r in rounds])
    centre, half = centre_and_half_width(logs)
    if half is None:
        return Comparison(math.exp(centre), None, None, 1, None)
    freedom, spread = len(logs) - 1, float(logs.std(ddof=1))
    resampled = bca_interval(logs) if bootstrap else None
    return Comparison(
        math.exp(centre),
        math.exp(centre - half),
        math.exp(centre + half),
        len(logs),
        math.expm1(_detectable(spread, len(logs))),
        p_value=sign_flip_p(logs),
        t_p_value=_t_p_value(centre, half / student(freedom, UPPER), freedom),
        bootstrap=None if resampled is None else (math.exp(resampled[0]), math.exp(resampled[1])),
        spread=spread,
    )


def unpaired_ratio(a: Sequence[float], b: Sequence[float]) -> Estimate | None:
    """B over A if rounds do not pair: the ratio of geometric means with Welch's t-interval on logs."""
    if not positive(a) or not positive(b):
        return None
    centre, n = float(np.log(b).mean() - np.log(a).mean()), min(len(a), len(b))
    centre = 0.0 if abs(centre) < ROUNDING else centre
    if n < 2:
        return Estimate(math.exp(centre), None, None, n)
    error, freedom, _ = _welch(a, b)
    half = student(freedom, UPPER) * error
    return Estimate(math.exp(centre), math.exp(centre - half), math.exp(centre + half), n)


def unpaired_comparison(a: Sequence[float], b: Sequence[float]) -> Comparison | None:
    """B over A if rounds do not pair, as in two runs: `unpaired_ratio` with its p and what it can detect.

    Welch's t on logs (Welch 1947) does not assume that both sides have as many rounds or as much noise. `n`
    is that of the side with fewer values, `spread` the standard deviation of the log ratio of one value of
    each side. Without pairs there are no signs to flip, so there is no sign-flip p and no bootstrap. None if
    a value is not finite and above 0.
    """
    ratio = unpaired_ratio(a, b)
    if ratio is None:
        return None
    if ratio.low is None:
        return Comparison(ratio.centre, None, None, ratio.n, None)
    error, freedom, spread = _welch(a, b)
    effect = (student(freedom, UPPER) + student(freedom, POWER)) * error
    return Comparison(
        ratio.centre,
        ratio.low,
        ratio.high,
        ratio.n,
        math.expm1(effect),
        t_p_value=_t_p_value(math.log(ratio.centre), error, freedom),
        spread=spread,
    )


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Adjusted p-values of a family (Holm 1979): those below 0.05 err anywhere at most 5 times in 100.

    A missing p-value stays None and does not count to the family. Raises ValueError if a p-value is not a
    probability.
    """
    if any(p is not None and not 0 <= p <= 1 for p in p_values):
        raise ValueError("a p-value lies from 0 to 1")
    there = sorted((p, place) for place, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    least = 0.0
    for rank, (p, place) in enumerate(there):
        least = max(least, min(1.0, (len(there) - rank) * p))
        adjusted[place] = least
    return adjusted


def rounds_needed(spread: float, effect: float) -> int:
    """The fewest rounds that find this effect in 80 of 100 cases, from 2 to 10 000.

    `spread` is the standard deviation of the rounds' log ratios; `effect` is relative (0.1: B is 10% above A;
    -0.1: below it). It uses the noncentral t, which sometimes asks for a round more than the formula of the
    minimal detectable effect. Raises ValueError if the effect is 0, or -1 and below.
    """
    if effect <= -1 or effect == 0 or not math.isfinite(effect):
        raise ValueError(f"an effect of {effect:g} is none to look for")
    if not spread > 0:
        return 2
    sought = abs(math.log1p(effect)) / spread
    enough = range(2, MOST_ROUNDS)
    return enough.start + bisect_left(enough, True, key=lambda rounds: _power(sought, rounds) >= POWER)


def _power(effect: float, rounds: int) -> float:
    """How often the interval excludes 1 on the right side; the effect in standard deviations of a round."""
    # beyond this it is all but certain, and nctdtr loses its way
    shift = min(effect * math.sqrt(rounds), 30.0)
    return 1 - float(special.nctdtr(rounds - 1, shift, student(rounds - 1, UPPER)))


def _detectable(spread: float, rounds: int) -> float:
    """(t₀.₉₇₅ + t₀.₈₀)·s/√R, on the logs."""
    freedom = rounds - 1
    return (student(freedom, UPPER) + student(freedom, POWER)) * spread / math.sqrt(rounds)


def _welch(a: Sequence[float], b: Sequence[float]) -> tuple[float, float, float]:
    """The standard error of ln(B/A) from two or more values each, its degrees of freedom, a pair's spread.

    The degrees of freedom are Welch's and Satterthwaite's; without noise, as many as both sides have.
    """
    of_a, of_b = (0.0 if min(side) == max(side) else float(np.log(side).var(ddof=1)) for side in (a, b))
    share_a, share_b = of_a / len(a), of_b / len(b)
    weight = share_a**2 / (len(a) - 1) + share_b**2 / (len(b) - 1)
    freedom = (share_a + share_b) ** 2 / weight if weight > 0 else float(len(a) + len(b) - 2)
    return math.sqrt(share_a + share_b), freedom, math.sqrt(of_a + of_b)


def _t_p_value(centre: float, error: float, freedom: float) -> float:
    if error == 0:
        return 1.0 if centre == 0 else 0.0
    return float(2 * special.stdtr(freedom, -abs(centre) / error))
