"""Centres, intervals and comparisons: what figures may say of rounds and of raw samples, and no more."""

from bench.statistics.comparisons import (
    POWER,
    Comparison,
    holm,
    paired_ratio,
    rounds_needed,
    unpaired_ratio,
)
from bench.statistics.estimates import (
    CONFIDENCE,
    Estimate,
    geometric_mean,
    greatest_quantile,
    least_n,
    median,
    quantile,
)
from bench.statistics.tails import TailConfirmation, confirm_tail, tail_bound
from bench.statistics.trends import Growth, Steadiness, Trend, growth, steadiness, theil_sen

__all__ = [
    "CONFIDENCE",
    "POWER",
    "Comparison",
    "Estimate",
    "Growth",
    "Steadiness",
    "TailConfirmation",
    "Trend",
    "confirm_tail",
    "geometric_mean",
    "greatest_quantile",
    "growth",
    "holm",
    "least_n",
    "median",
    "paired_ratio",
    "quantile",
    "rounds_needed",
    "steadiness",
    "tail_bound",
    "theil_sen",
    "unpaired_ratio",
]
