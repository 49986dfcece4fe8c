"""Panels of bars: a panel for each metric, a bar for each strategy and case, and its rounds as points."""

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from bench.analysis.metrics import Centre, Metric, Picture, drawn_in
from bench.analysis.run_analysis import RunAnalysis
from bench.analysis.summary import Row, Summary
from bench.report import text
from bench.report.plots import style
from bench.report.plots.plot import counted, figures_in_focus, interval, rows_in_focus

GROUP_WIDTH = 0.8
WIDEST_BAR = 0.3
BAR_INCHES = 0.48
PANEL_INCHES = 4.2
# panels up to this width stand in pairs
WIDEST_BESIDE = 7.0
INTERVALS: Mapping[Centre, str] = {
    "geometric mean": "95% t-interval on the logs",
    "median": "95% order-statistic interval",
}


def draw_bars(analysis: RunAnalysis, picture: Picture, narrowest: float) -> Figure | None:
    """A panel for each metric of this picture that has figures; bars start at 0.

    A panel is at least `narrowest` inches wide.
    """
    run, summary = analysis.run, analysis.summary
    metrics = _known(summary, picture)
    if not metrics:
        return None
    # so wide that each bar has room for its figure
    width = max(narrowest, 1.0 + BAR_INCHES * len(summary.focus) * (len(summary.strategies) + 1))
    columns = 2 if len(metrics) > 1 and width <= WIDEST_BESIDE else 1
    rows = -(-len(metrics) // columns)
    figure, panels = style.new_figure(max(5.2, width * columns), PANEL_INCHES * rows, rows, columns)
    for axes, metric in zip(panels, metrics, strict=False):
        _grouped_bars(axes, summary, metric)
        style.head(axes, f"{metric.title} ({_direction(summary, metric)})", width - 1)
        axes.set_ylabel(metric.shown_unit)
    for axes in panels[len(metrics) :]:
        axes.remove()
    if len(metrics) == 1:
        marks = f"bars: {metrics[0].centre}; whiskers: {INTERVALS[metrics[0].centre]}; "
    else:
        marks = "".join(f"{one.label}: {one.centre}, {INTERVALS[one.centre]}; " for one in metrics)
    shown = "" if summary.one_round else marks
    style.footer(figure, run, f"{counted(summary, summary.focus)}; {shown}points: rounds")
    return figure


def describe_bars(analysis: RunAnalysis, picture: Picture, what: str) -> str:
    """The figures of each metric of this picture, each by its name if the picture has several."""
    several = len(drawn_in(picture)) > 1
    clauses = []
    for metric in _known(analysis.summary, picture):
        figures = figures_in_focus(analysis, metric.name)
        clauses.append(f"{metric.heading}: {figures}" if several else figures)
    return f"bars of {what}. {' '.join(clauses)}"


def _known(summary: Summary, picture: Picture) -> list[Metric]:
    """The metrics of this picture that have a figure in any of the cases that stand for the run."""
    return [
        metric
        for metric in drawn_in(picture)
        if any(row.estimates[metric.name] for row in rows_in_focus(summary))
    ]


def _direction(summary: Summary, metric: Metric) -> str:
    # what is offered in an open loop is what a service that keeps up answers
    if metric.set_by_schedule and any(case.at_due_times for case in summary.focus):
        return f"offered: {summary.focus[0].load}"
    return f"{metric.better} is better"


def _grouped_bars(axes: Any, summary: Summary, metric: Metric) -> None:
    """A bar for each strategy and case, grouped by case."""
    looks = style.looks(summary.strategies)
    width = min(WIDEST_BAR, GROUP_WIDTH / len(summary.strategies))
    for place, name in enumerate(summary.strategies):
        for group, case in enumerate(summary.focus):
            x = group + (place - (len(summary.strategies) - 1) / 2) * width
            row = summary.rows.get((name, case))
            _bar(axes, x, width, row, metric, looks[name], name if group == 0 else None)
    axes.set_xticks(range(len(summary.focus)), [summary.case_label(case) for case in summary.focus])
    axes.set_xlabel("payloads")
    axes.set_xlim(-0.5, len(summary.focus) - 0.5)
    axes.margins(y=0.1)
    axes.set_ylim(bottom=0)
    axes.grid(visible=False, axis="x")


def _bar(
    axes: Any, x: float, width: float, row: Row | None, metric: Metric, look: style.Look, label: str | None
) -> None:
    """A bar with its interval, its rounds in their order left of that, and its figure above."""
    estimate = row.estimates[metric.name] if row else None
    height = estimate.centre * metric.scale if estimate else 0.0
    pen = {"color": look.colour, "hatch": look.hatch, "edgecolor": style.INK}
    axes.bar(x, height, width * 0.92, label=label, **pen)
    if row is None or estimate is None:
        axes.text(x, 0, text.MISSING, ha="center", va="bottom", fontsize=8)
        return
    ends = [end * metric.scale for end in interval(estimate) or ()]
    if ends:
        span = [[height - ends[0]], [ends[1] - height]]
        axes.errorbar(x + 0.28 * width, height, span, color=style.INK, capsize=4, linewidth=1.4)
    rounds = [value * metric.scale for _, value in sorted(row.rounds[metric.name].items())]
    style.dots(axes, x + style.spread(len(rounds), -0.36, 0.08) * width, rounds, look.marker)
    note = {"xytext": (0, 6), "textcoords": "offset points", "ha": "center", "fontsize": 9}
    axes.annotate(text.number(height), (x, max([height, *ends, *rounds])), **note)
