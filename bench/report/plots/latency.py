"""Latency by percentile on an axis that gives the tail room, a panel for each case."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from bench.analysis.run_analysis import RunAnalysis
from bench.analysis.summary import Summary
from bench.analysis.tails import READ_MOST, Curve, curves
from bench.report import text
from bench.report.plots import colours, style
from bench.report.plots.plot import Plot, absent, figures_in_focus
from bench.report.quality_words import named

PANEL_INCHES = 3.0
TICKS = (0.1, 0.5, 0.9, 0.95, 0.99, 0.999, 0.9999, 0.99999)


def draw(analysis: RunAnalysis) -> Figure | None:
    """The pooled samples of each strategy, as far as their number supports, with the span of the rounds."""
    run, summary = analysis.run, analysis.summary
    found = {key: curve for key, curve in curves(analysis.latencies).items() if key[1] in summary.focus}
    cases = [case for case in summary.focus if any((name, case) in found for name in summary.strategies)]
    if not cases:
        return None
    figure, panels = style.new_figure(PANEL_INCHES * len(cases), len(cases))
    for axes, case in zip(panels, cases, strict=True):
        here = {name: found[name, case] for name in summary.strategies if (name, case) in found}
        _panel(axes, summary, here)
        style.head(axes, f"Latency, {summary.payloads_at(case)}")
        axes.set_ylabel("ms from due to done (log)")
    counts = [curve.n for curve in found.values()]
    span = text.spaced(min(counts)) + (f" to {text.spaced(max(counts))}" if len(counts) > 1 else "")
    style.footer(
        figure,
        run,
        f"n = {span} right answers a line, pooled over valid rounds: above the tables' medians of "
        "rounds where a slow round makes the tail; shaded: the span of the rounds; "
        "a line ends where its n supports no 95% interval" + absent(summary, {name for name, _ in found}),
    )
    return figure


def describe(analysis: RunAnalysis) -> str:
    """The p99 of each strategy."""
    what = "response time by percentile, one line a strategy, on a log scale"
    return f"{what}. The p99 in ms: {figures_in_focus(analysis, 'p99')}"


PLOT = Plot("latency", "Throughput and latency", draw, describe)


def _panel(axes: Any, summary: Summary, here: dict[str, Curve]) -> None:
    looks = style.looks(summary.strategies)
    for name, curve in here.items():
        look = looks[name]
        x = _place(curve.quantiles)
        axes.fill_between(x, curve.lowest_ms, curve.highest_ms, color=look.colour, alpha=0.22, linewidth=0)
        axes.plot(
            x,
            curve.latency_ms,
            color=look.colour,
            linestyle=look.line,
            linewidth=1.8,
            marker=look.marker,
            markevery=_marks(curve),
            markeredgecolor=colours.INK,
            markersize=6,
            label=named(summary, name),
        )
    top = max(float(curve.quantiles[-1]) for curve in here.values())
    ticks = [tick for tick in TICKS if tick <= top]
    axes.set_xticks(_place(np.array(ticks)), [f"{100 * tick:g}" for tick in ticks])
    axes.set_xlabel("percentile of the answers (the tail spread out)")
    style.log_axis(axes.yaxis)


def _place(quantiles: Any) -> Any:
    return -np.log10(1 - quantiles)


def _marks(curve: Curve) -> list[int]:
    return [place for place, quantile in enumerate(curve.quantiles) if quantile in READ_MOST]
