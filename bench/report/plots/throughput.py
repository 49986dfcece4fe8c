"""Requests per second as bars."""

from functools import partial

from bench.report.plots.bars import describe_bars, draw_bars
from bench.report.plots.plot import Plot

PLOT = Plot(
    "throughput",
    "Throughput and latency",
    partial(draw_bars, picture="throughput"),
    partial(describe_bars, picture="throughput", what="requests per second"),
)
