"""How often each response time came: a line of steps for each strategy, a panel for each case."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bench.analysis.cases import Case
from bench.analysis.run_analysis import Floats, RunAnalysis
from bench.report import text
from bench.report.plots import colours, style
from bench.report.plots.plot import Plot, absent, figures_in_focus

PANEL_INCHES = 2.9
BINS = 60
# fewer answers than this fill so few of the bins that steps show nothing
LEAST_N = 100
# of the panel's height, how much the marks of one strategy take
MARKS = 0.075


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
    figure, panels = style.new_figure(PANEL_INCHES * len(cases), len(cases))
    for axes, case in zip(panels, cases, strict=True):
        here = {name: found[name, case] for name in summary.strategies if (name, case) in found}
        style.head(axes, f"Response times, {summary.payloads_at(case)}", _panel(axes, analysis, case, here))
    counts = sorted(map(len, found.values()))
    span = text.spaced(counts[0]) + (f" to {text.spaced(counts[-1])}" if len(counts) > 1 else "")
    style.footer(
        figure,
        run,
        f"n = {span} right answers a line, of the valid rounds together, no interval; bins of equal width "
        "on the log axis; p50 and p99: the tables' medians of rounds"
        + absent(summary, {n for n, _ in found}),
    )
    return figure


def describe(analysis: RunAnalysis) -> str:
    """The p50 and the p99 of each strategy."""
    middles, tails = (figures_in_focus(analysis, name) for name in ("p50", "p99"))
    what = "how often each response time came, one line a strategy, on a log scale"
    return f"{what}. The p50 in ms: {middles} The p99 in ms: {tails}"


PLOT = Plot("histogram", "Throughput and latency", draw, describe, cost=3)


def _panel(axes: Any, analysis: RunAnalysis, case: Case, here: Mapping[str, Floats]) -> list[Any]:
    """Draw the steps and, above them, the marks; returns the legend."""
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
        handles.append(Line2D([], [], label=name, marker=looks[name].marker, **pen))
    for place, name in enumerate(here):
        _marks(axes, analysis, (name, case), looks[name], top * (1.06 + MARKS * (len(here) - 1 - place)))
    axes.set_ylim(0, top * (1.06 + MARKS * len(here)))
    axes.set_xlabel("ms from due to done (log)")
    axes.set_ylabel("% of the answers in a bin")
    dot: Any = {"color": colours.INK, "linestyle": "none"}
    return [
        *handles,
        Line2D([], [], label="p50", marker="o", **dot),
        Line2D([], [], label="p99", marker="|", markersize=9, markeredgewidth=2, **dot),
    ]


def _marks(axes: Any, analysis: RunAnalysis, key: tuple[str, Case], look: style.Look, y: float) -> None:
    """A mark at p50 and an upright line at p99, tied together."""
    estimates = analysis.summary.rows[key].estimates
    known = {name: found.centre for name in ("p50", "p99") if (found := estimates[name]) is not None}
    axes.plot([*known.values()], [y] * len(known), color=look.colour, linewidth=1.2)
    pens: dict[str, Any] = {
        "p50": {"marker": look.marker, "markersize": 6, "markeredgecolor": colours.INK},
        "p99": {"marker": "|", "markersize": 9, "markeredgewidth": 2},
    }
    for name, value in known.items():
        axes.plot(value, y, color=look.colour, linestyle="none", **pens[name])
