"""Requests per second as bars."""

from matplotlib.figure import Figure

from bench.analysis.metrics import METRICS
from bench.analysis.run_analysis import RunAnalysis
from bench.report.plots import style
from bench.report.plots.bars import facts, grouped_bars, has_figures, panel_width
from bench.report.plots.plot import Plot, figures_in_focus


def draw(analysis: RunAnalysis) -> Figure | None:
    """Requests per second with 95% intervals and the value of each round."""
    run, summary = analysis.run, analysis.summary
    metric = METRICS["throughput"]
    if not has_figures(summary, metric):
        return None
    width = max(6.4, panel_width(summary))
    figure, (axes,) = style.new_figure(width, 4.2)
    grouped_bars(axes, summary, metric)
    # what is offered in an open loop is what a service that keeps up answers
    closed = all(case.kind == "closed" for case in summary.focus)
    what = f"{metric.better} is better" if closed else f"offered: {summary.focus[0].load}"
    style.head(axes, f"{metric.title} ({what})", width - 1)
    style.footer(figure, run, facts(summary, "bars: geometric mean; whiskers: 95% t-interval on the logs"))
    return figure


def describe(analysis: RunAnalysis) -> str:
    """Requests per second of each strategy."""
    return f"bars of requests per second. {figures_in_focus(analysis, 'throughput')}"


PLOT = Plot("throughput", "Throughput and latency", draw, describe)
