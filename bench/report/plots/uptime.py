"""Each long trial over its uptime: throughput, p99 and memory by tenths, with the windows shaded."""

import math

from matplotlib.figure import Figure

from bench.analysis.run_analysis import RunAnalysis
from bench.analysis.uptimes import figures_of
from bench.report import text
from bench.report.plots import colours, style
from bench.report.plots.plot import Plot
from bench.report.quality_words import named

PANELS = (
    ("throughput", "Throughput", "requests/s", 1.0),
    ("p99", "Response time, p99", "ms", 1.0),
    ("memory", "Memory in use", "MiB", 1 / text.MIB),
)
PANEL_INCHES = 2.2


def draw(analysis: RunAnalysis) -> Figure | None:
    """Three panels with a line for each long trial; None without long trials."""
    longs = [one for one in analysis.run.longs if one.spans]
    if not longs:
        return None
    figure, axes = style.new_figure(PANEL_INCHES * len(PANELS), len(PANELS))
    looks = style.looks(list(dict.fromkeys(one.trial.strategy for one in longs)))
    for panel, (name, title, unit, scale) in zip(axes, PANELS, strict=True):
        for one in longs:
            values = [math.nan if value is None else value * scale for value in figures_of(one)[name].values]
            middles = [(span.begin_s + span.end_s) / 2 for span in one.spans]
            look = looks[one.trial.strategy]
            what = f"{named(analysis.summary, one.trial.strategy)}, {one.trial.payload_class}"
            panel.plot(
                middles, values, color=look.colour, marker=look.marker, linestyle=look.line, label=what
            )
        windows = min(one.window_begin_s for one in longs), max(one.window_end_s for one in longs)
        panel.axvspan(*windows, color=colours.OUTSIDE, linewidth=0, zorder=0)
        panel.update_datalim([(0, 0)])
        panel.margins(y=0.1)
        panel.set_ylim(bottom=0)
        panel.set_ylabel(unit)
        style.head(panel, title, None if panel is axes[0] else [])
    axes[-1].set_xlabel("seconds of uptime")
    said = (
        f"n = {text.plural(len(longs), 'long trial')}, a line each, by tenths of its time, no interval; "
        "grey: the uptimes that the windows cover"
    )
    style.footer(figure, analysis.run, said)
    return figure


def describe(analysis: RunAnalysis) -> str:
    """Each long trial's throughput in its first and in its last tenth."""
    told = [
        f"{named(analysis.summary, one.trial.strategy)}, {one.trial.payload_class}: "
        f"{text.number(one.spans[0].throughput_rps)} requests/s at first, "
        f"{text.number(one.spans[-1].throughput_rps)} at last"
        for one in analysis.run.longs
        if one.spans
    ]
    return f"{'; '.join(told)}." if told else "No long trials."


PLOT = Plot("uptime", "Over uptime", draw, describe, cost=1)
