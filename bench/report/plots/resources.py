"""CPU and memory as bars."""

from matplotlib.figure import Figure

from bench.analysis.metrics import drawn_in
from bench.analysis.run_analysis import RunAnalysis
from bench.report.plots import style
from bench.report.plots.bars import INTERVALS, facts, grouped_bars, has_figures, panel_width
from bench.report.plots.plot import Plot, figures_in_focus

WIDEST_BESIDE = 7.0


def draw(analysis: RunAnalysis) -> Figure | None:
    """A panel for each metric of what a service uses."""
    run, summary = analysis.run, analysis.summary
    known = [metric for metric in drawn_in("resources") if has_figures(summary, metric)]
    if not known:
        return None
    width = max(4.6, panel_width(summary))
    columns = len(known) if width <= WIDEST_BESIDE else 1
    rows = len(known) // columns
    figure, all_axes = style.new_figure(max(5.2, width * columns), 4.2 * rows, rows, columns)
    for axes, metric in zip(all_axes, known, strict=True):
        grouped_bars(axes, summary, metric)
        style.head(axes, f"{metric.title} ({metric.better} is better)", width - 1)
    bars = "; ".join(f"{one.label}: {one.centre}, {INTERVALS[one.centre]}" for one in known)
    style.footer(figure, run, facts(summary, bars))
    return figure


def describe(analysis: RunAnalysis) -> str:
    """The figures of each strategy."""
    told = [f"{one.heading}: {figures_in_focus(analysis, one.name)}" for one in drawn_in("resources")]
    return f"bars of what the services used. {' '.join(told)}"


PLOT = Plot("resources", "Resources", draw, describe)
