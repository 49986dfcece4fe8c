"""Tests of rounds that assume nothing about their noise: sign flips and the bootstrap."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from bench.statistics.estimates import CONFIDENCE

Floats = NDArray[np.float64]

EXACT_ROUNDS = 16
FLIPS = 2**EXACT_ROUNDS
RESAMPLES = 1999
LEAST_BOOTSTRAPPED = 4
SEED = 20
# sums in another order differ in the last bits, and are yet equally extreme
ROUNDING = 1e-12


def sign_flip_p(differences: Floats) -> float | None:
    """The two-sided p-value of "every difference might as well have the other sign" (Fisher's permutation).

    It takes one difference a round. Up to 16 rounds it is exact over all 2^R flips, beyond that over 65 536
    random flips (seeded, with the observed signs among them). It is None for a single round. The least
    possible value is 2/2^R: 0.03125 for six rounds.
    """
    if len(differences) < 2:
        return None
    sums = np.abs(_flips(len(differences)) @ differences)
    observed = abs(float(differences.sum()))
    slack = ROUNDING * float(np.abs(differences).sum())
    return float(np.mean(sums >= observed - slack))


def bca_interval(differences: Floats) -> tuple[float, float] | None:
    """A 95% interval of the mean by the bias-corrected and accelerated bootstrap (Efron 1987), seeded.

    It cross-checks the t-interval and is never a verdict: resampled means of six rounds spread by √(5/6) too
    little and lack t's heavier tails, so the interval is some 0.7 times as wide and covers the truth about 86
    times in 100 instead of 95. Its use there is its shape, which follows the skew of the rounds: if it leans
    far to one side, or lies outside the t-interval, a single round carries the result. From some 20 rounds on
    it is an interval in its own right. None below four rounds, whose resamples cannot resolve a fortieth.
    """
    if len(differences) < LEAST_BOOTSTRAPPED:
        return None
    if np.ptp(differences) <= ROUNDING * np.abs(differences).max():
        return float(differences.min()), float(differences.max())
    from scipy import stats  # a second of imports that a run should not wait for

    interval = stats.bootstrap(
        (differences,),
        np.mean,
        n_resamples=RESAMPLES,
        confidence_level=CONFIDENCE,
        method="BCa",
        rng=np.random.default_rng(SEED),
    ).confidence_interval
    return float(interval.low), float(interval.high)


@lru_cache(maxsize=EXACT_ROUNDS)
def _flips(rounds: int) -> Floats:
    """Rows of signs, each a flip: all flips up to 16 rounds, beyond that 65 536 random flips."""
    if rounds > EXACT_ROUNDS:
        signs = np.random.default_rng(SEED).choice([-1.0, 1.0], (FLIPS, rounds))
        signs[0] = 1.0
        return signs
    bits = np.arange(2**rounds)[:, None] >> np.arange(rounds) & 1
    return np.where(bits == 1, -1.0, 1.0)
