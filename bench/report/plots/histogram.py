"""How often each response time came: a line of steps for each strategy, a panel for each case."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bench.analysis.run_analysis import Floats, RunAnalysis
from bench.analysis.tails import quantiles
from bench.report import text
from bench.report.plots import colours, style
from bench.report.plots.plot import Plot, absent, figures_in_focus
from bench.report.quality_words import named

PANEL_INCHES = 2.9
BINS = 60
# fewer answers than this fill so few of the bins that steps show nothing
LEAST_N = 100
MARKED = np.array([0.5, 0.99])
# what the marks of one strategy take above the panel
MARK_INCHES = 0.16


def draw(analysis: RunAnalysis) -> Figure | None:
    """The samples of the valid rounds together, at the load that stands for the run; None without samples."""
    run, summary = analysis.run, analysis.summary
    found = {
        (name, case): np.concatenate(rounds)
        for case in summary.focus
        for name in summary.strategies
        if (rounds := analysis.latencies.get((name, case))) and sum(map(len, rounds)) >= LEAST_N
    }
    cases = [case for case in summary.focus if any(key[1] == case for key in found)]
    if not cases:
        return None
    marks = MARK_INCHES * len(summary.strategies)
    heights = [marks, PANEL_INCHES] * len(cases)
    figure, panels = style.new_figure(sum(heights), len(heights), heights)
    for above, axes, case in zip(panels[0::2], panels[1::2], cases, strict=True):
        here = {name: found[name, case] for name in summary.strategies if (name, case) in found}
        handles = _panel(axes, analysis, here)
        style.head(
            above,
            f"Response times, {summary.payloads_at(case)}",
            [*handles, *_marks(above, axes, analysis, here)],
        )
    counts = sorted(map(len, found.values()))
    span = text.spaced(counts[0]) + (f" to {text.spaced(counts[-1])}" if len(counts) > 1 else "")
    style.footer(
        figure,
        run,
        f"n = {span} right answers a line, of the valid rounds together, no interval; bins of equal width "
        "on the log axis; p50 and p99: of the same answers, where tables have medians of rounds"
        + absent(summary, {n for n, _ in found}),
    )
    return figure


def describe(analysis: RunAnalysis) -> str:
    """The p50 and the p99 of each strategy, as the tables have them."""
    middles, tails = (figures_in_focus(analysis, name) for name in ("p50", "p99"))
    what = "how often each response time came, one line a strategy, on a log scale"
    return f"{what}. The tables' p50 in ms: {middles} Their p99 in ms: {tails}"


PLOT = Plot("histogram", "Throughput and latency", draw, describe, cost=3)


def _panel(axes: Any, analysis: RunAnalysis, here: Mapping[str, Floats]) -> list[Any]:
    """Draw the steps; returns the legend."""
    looks = style.looks(analysis.summary.strategies)
    # at the least some time, which a log axis needs
    ends = max(1e-3, min(one.min() for one in here.values())), max(one.max() for one in here.values())
    axes.set_xlim(*ends)
    style.log_axis(axes.xaxis)
    low, high = axes.get_xlim()
    edges = np.geomspace(float(low), float(high), BINS + 1)
    handles = []
    top = 0.0
    for name, times in here.items():
        share = 100 * np.histogram(np.clip(times, *ends), edges)[0] / len(times)
        top = max(top, float(share.max()))
        # a line ends where its answers do: along the axis it would lie on all others
        first, last = np.flatnonzero(share)[[0, -1]]
        share[: max(0, first - 1)], share[last + 2 :] = np.nan, np.nan
        pen: Any = {"color": looks[name].colour, "linestyle": looks[name].line, "linewidth": 1.6}
        axes.stairs(share, edges, baseline=None, **pen)
        handles.append(Line2D([], [], label=named(analysis.summary, name), marker=looks[name].marker, **pen))
    axes.set_ylim(0, top * 1.06)
    axes.set_xlabel("ms from due to done (log)")
    axes.set_ylabel("% of the answers in a bin")
    return handles


def _marks(above: Any, axes: Any, analysis: RunAnalysis, here: Mapping[str, Floats]) -> list[Any]:
    """Above the panel, a mark at p50 and an upright line at p99, tied together; returns the legend."""
    looks = style.looks(analysis.summary.strategies)
    above.set(xscale="log", xlim=axes.get_xlim(), ylim=(len(here) - 0.5, -0.5))
    above.set_axis_off()
    known = False
    for place, (name, times) in enumerate(here.items()):
        colour = looks[name].colour
        middle, tail = quantiles(times, MARKED)
        above.plot([middle, tail], [place, place], color=colour, linewidth=1.2)
        pen: Any = {"color": colour, "linestyle": "none"}
        above.plot(middle, place, marker=looks[name].marker, markersize=6, markeredgecolor=colours.INK, **pen)
        if not np.isnan(tail):
            above.plot(tail, place, marker="|", markersize=9, markeredgewidth=2, **pen)
            known = True
    end: Any = {"color": colours.INK, "marker": "|", "markersize": 9, "markeredgewidth": 2}
    return [
        Line2D([], [], label="mark: p50, line end: p99" if known else "mark: p50", linestyle="none", **end)
    ]
