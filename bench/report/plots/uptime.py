"""Each long trial over its uptime: throughput, p99 and memory by tenths, with the windows shaded."""

from typing import Any

from matplotlib.figure import Figure

from bench.analysis.run_analysis import RunAnalysis
from bench.analysis.uptimes import figures_of
from bench.report import text
from bench.report.plots import style
from bench.report.plots.plot import Plot

PANELS = (("throughput", "requests/s", 1.0), ("p99", "p99, ms", 1.0), ("memory", "memory, MiB", 1 / text.MIB))
SIZE = (8.2, 3.4)


def draw(analysis: RunAnalysis) -> Figure | None:
    """Three panels with a line for each long trial; None without long trials."""
    longs = [one for one in analysis.run.longs if one.spans]
    if not longs:
        return None
    figure = Figure(figsize=SIZE, dpi=style.DPI)
    said = f"n = {text.plural(len(longs), 'long trial')}, a line each, by tenths of its time, no interval"
    below = (style.footer(figure, analysis.run, said) + style.PAD_INCHES + 0.5) / SIZE[1]
    axes: Any = figure.subplots(1, len(PANELS))
    figure.subplots_adjust(left=0.08, right=0.98, top=0.80, bottom=below, wspace=0.32)
    looks = style.looks(analysis.summary.strategies)
    for panel, (name, label, scale) in zip(axes, PANELS, strict=True):
        for one in longs:
            values = [
                float("nan") if value is None else value * scale for value in figures_of(one)[name].values
            ]
            middles = [(span.begin_s + span.end_s) / 2 for span in one.spans]
            look = looks[one.trial.strategy]
            what = f"{one.trial.strategy}, {one.trial.payload_class}"
            panel.plot(middles, values, color=look.colour, marker=look.marker, markersize=3.5, label=what)
        windows = longs[0].window_begin_s, longs[0].window_end_s
        panel.axvspan(*windows, color=style.OUTSIDE, linewidth=0, zorder=0)
        panel.set_ylim(bottom=0)
        panel.set_title(label, loc="left", fontsize=9.5)
        panel.set_xlabel("seconds of uptime")
        panel.tick_params(labelsize=8.5)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="upper left", ncols=4, fontsize=8.5, bbox_to_anchor=(0.07, 1.0))
    return figure


def describe(analysis: RunAnalysis) -> str:
    """Each long trial's throughput in its first and in its last tenth."""
    told = [
        f"{one.trial.strategy}, {one.trial.payload_class}: {text.number(one.spans[0].throughput_rps)} "
        f"requests/s at first, {text.number(one.spans[-1].throughput_rps)} at last"
        for one in analysis.run.longs
        if one.spans
    ]
    return f"{'; '.join(told)}." if told else "No long trials."


PLOT = Plot("uptime", "Over uptime", draw, describe, cost=1)
