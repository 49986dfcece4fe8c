"""What the services used, CPU and memory first, as bars."""

from functools import partial

from bench.report.plots.bars import describe_bars, draw_bars
from bench.report.plots.plot import Plot

PLOT = Plot(
    "resources",
    "Resources",
    partial(draw_bars, picture="resources"),
    partial(describe_bars, picture="resources", what="what the services used"),
)
