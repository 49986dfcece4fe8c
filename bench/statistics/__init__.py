"""Centres, intervals and comparisons: what figures may say of rounds and of raw samples, and no more."""

from bench.statistics.estimates import (
    CONFIDENCE,
    POWER,
    Comparison,
    Estimate,
    geometric_mean,
    greatest_quantile,
    least_n,
    mean,
    median,
    paired_ratio,
    quantile,
    unpaired_ratio,
)

__all__ = [
    "CONFIDENCE",
    "POWER",
    "Comparison",
    "Estimate",
    "geometric_mean",
    "greatest_quantile",
    "least_n",
    "mean",
    "median",
    "paired_ratio",
    "quantile",
    "unpaired_ratio",
]
