"""Centres, intervals and comparisons: what figures may say of rounds and of raw samples, and no more."""

from bench.statistics.drifts import Bias, Drift, drift
from bench.statistics.estimates import (
    CONFIDENCE,
    Estimate,
    endless_median,
    geometric_mean,
    greatest_quantile,
    least_n,
    median,
    quantile,
)
from bench.statistics.later_levels import LaterChange, later_change, later_span_s
from bench.statistics.proportions import proportion
from bench.statistics.ratios import (
    Comparison,
    holm,
    paired_ratio,
    rounds_needed,
    unpaired_ratio,
)
from bench.statistics.shifts import Shift, shifts
from bench.statistics.steadiness import Growth, Slope, Steadiness, growth, steadiness, theil_sen
from bench.statistics.tail_bounds import TailConfirmation, WeighedRounds, confirm_tail, tail_bound, weigh

__all__ = [
    "CONFIDENCE",
    "Bias",
    "Comparison",
    "Drift",
    "Estimate",
    "Growth",
    "LaterChange",
    "Shift",
    "Slope",
    "Steadiness",
    "TailConfirmation",
    "WeighedRounds",
    "confirm_tail",
    "drift",
    "endless_median",
    "geometric_mean",
    "greatest_quantile",
    "growth",
    "holm",
    "later_change",
    "later_span_s",
    "least_n",
    "median",
    "paired_ratio",
    "proportion",
    "quantile",
    "rounds_needed",
    "shifts",
    "steadiness",
    "tail_bound",
    "theil_sen",
    "unpaired_ratio",
    "weigh",
]
