"""CPU and memory as bars."""

from matplotlib.figure import Figure

from bench.analysis.run_analysis import RunAnalysis
from bench.report import text
from bench.report.plots import style
from bench.report.plots.bars import facts, grouped_bars, has_figures, panel_width
from bench.report.plots.plot import Plot, figures_in_focus

WIDEST_BESIDE = 7.0


def draw(analysis: RunAnalysis) -> Figure | None:
    """CPU per request and peak memory, one panel each."""
    run, summary = analysis.run, analysis.summary
    panels = {
        "cpu": ("CPU per request (less is better)", "CPU-ms", 1.0),
        "memory": ("Peak memory (less is better)", "MiB", 1 / text.MIB),
    }
    known = {name: panel for name, panel in panels.items() if has_figures(summary, name)}
    if not known:
        return None
    width = max(4.6, panel_width(summary))
    columns = len(known) if width <= WIDEST_BESIDE else 1
    rows = len(known) // columns
    figure, all_axes = style.new_figure(max(5.2, width * columns), 4.2 * rows, rows, columns)
    for axes, (name, (title, unit, scale)) in zip(all_axes, known.items(), strict=True):
        grouped_bars(axes, summary, name, scale)
        style.head(axes, title, width - 1)
        axes.set_ylabel(unit)
    bars = "CPU: geometric mean, 95% t-interval on the logs; memory: median, 95% order-statistic interval"
    style.footer(figure, run, facts(summary, bars))
    return figure


def describe(analysis: RunAnalysis) -> str:
    """CPU and memory of each strategy."""
    cpu = figures_in_focus(analysis, "cpu")
    memory = figures_in_focus(analysis, "memory", 1 / text.MIB)
    return f"bars of CPU and memory. CPU-ms a request: {cpu} Peak memory in MiB: {memory}"


PLOT = Plot("resources", "Resources", draw, describe)
