"""Panels of bars: a panel for each metric, a bar for each strategy and case, and its rounds as points."""

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from bench.analysis.metrics import Centre, Metric, Picture, drawn_in
from bench.analysis.run_analysis import RunAnalysis
from bench.analysis.summary import Row, Summary
from bench.report import text
from bench.report.plots import colours, style
from bench.report.plots.plot import counted, figures_in_focus, interval, rows_in_focus, ticks

BAR, BAR_INCHES = 0.84, 0.36
AXIS_INCHES = 0.45
# between the bars of one case and those of the next, in bars, where the next case's name stands
GAP = 0.75
# what stands right of the longest bar, to its length
ROOM = 1.2
INTERVALS: Mapping[Centre, str] = {
    "geometric mean": "95% t-interval on the logs",
    "median": "95% order-statistic interval",
}


def draw_bars(analysis: RunAnalysis, picture: Picture) -> Figure | None:
    """A panel for each metric of this picture that has two figures or more; bars start at 0."""
    run, summary = analysis.run, analysis.summary
    metrics = _compared(summary, picture)
    if not metrics:
        return None
    places = _places(summary)
    height = AXIS_INCHES + BAR_INCHES * (max(places.values()) + 1)
    figure, panels = style.new_figure(height * len(metrics), len(metrics))
    unknown = False
    for axes, metric in zip(panels, metrics, strict=True):
        unknown |= _panel(axes, summary, metric, places)
        names = style.beside(ticks(summary, summary.strategies))
        style.head(axes, f"{metric.title} ({_direction(summary, metric)})", [], names)
    if len(metrics) == 1:
        marks = f"bars: {metrics[0].centre}; whiskers: {INTERVALS[metrics[0].centre]}; "
    else:
        marks = "".join(f"{one.label}: {one.centre}, {INTERVALS[one.centre]}; " for one in metrics)
    shown = "" if summary.one_round else marks + ("open bars: no interval is known; " if unknown else "")
    style.footer(figure, run, f"{counted(summary, summary.focus)}; {shown}points: rounds")
    return figure


def describe_bars(analysis: RunAnalysis, picture: Picture, what: str) -> str:
    """The figures of each metric of this picture, each by its name if the picture has several."""
    several = len(drawn_in(picture)) > 1
    clauses = []
    for metric in _compared(analysis.summary, picture):
        figures = figures_in_focus(analysis, metric.name)
        clauses.append(f"{metric.heading}: {figures}" if several else figures)
    return f"bars of {what}. {' '.join(clauses)}"


def _compared(summary: Summary, picture: Picture) -> list[Metric]:
    """The metrics of this picture that have two figures or more: a lone bar shows nothing."""
    return [
        metric
        for metric in drawn_in(picture)
        if sum(row.estimates[metric.name] is not None for row in rows_in_focus(summary)) > 1
    ]


def _direction(summary: Summary, metric: Metric) -> str:
    # what is offered in an open loop is what a service that keeps up answers
    if metric.set_by_schedule and any(case.at_due_times for case in summary.focus):
        return f"offered: {summary.focus[0].load}"
    return f"{metric.better} is better"


def _places(summary: Summary) -> dict[tuple[int, str], float]:
    """Where the bar of each case and strategy lies, from the top, in bars."""
    first = GAP if len(summary.focus) > 1 else 0.0
    each = len(summary.strategies) + first
    return {
        (group, name): first + group * each + place
        for group in range(len(summary.focus))
        for place, name in enumerate(summary.strategies)
    }


def _panel(axes: Any, summary: Summary, metric: Metric, places: Mapping[tuple[int, str], float]) -> bool:
    """Draw the bars, grouped by case; returns whether the interval of any is not known."""
    looks = style.looks(summary.strategies)
    rows = {key: summary.rows.get((key[1], summary.focus[key[0]])) for key in places}
    ends = [_bar(axes, places[key], row, metric, looks[key[1]]) for key, row in rows.items()]
    names = ticks(summary, [name for _, name in places])
    most = ROOM * max([1e-9, *ends])
    style.name_bars(axes, [*places.values()], names, metric.shown_unit, most)
    if len(summary.focus) > 1:
        axes.set_ylim(top=-0.3)
        for group, case in enumerate(summary.focus):
            y = places[group, summary.strategies[0]] - BAR / 2 - GAP / 3
            said = {"ha": "left", "va": "center", "fontsize": style.SMALL, "color": colours.QUIET}
            axes.text(0, y, summary.case_label(case), **said)
    known = [(row, found) for row in rows.values() if row and (found := row.estimates[metric.name])]
    return any(interval(found) is None for _, found in known)


def _bar(axes: Any, y: float, row: Row | None, metric: Metric, look: style.Look) -> float:
    """Draw a bar with its interval, its rounds in their order above that, and its figure; returns its end."""
    estimate = row.estimates[metric.name] if row else None
    if row is None or estimate is None:
        axes.annotate(text.MISSING, (0, y), **style.BESIDE)
        return 0.0
    length = estimate.centre * metric.scale
    ends = [end * metric.scale for end in interval(estimate) or ()]
    pen: Any = {"color": look.colour, "edgecolor": colours.INK}
    if not ends:
        pen = {"color": colours.PAPER, "edgecolor": look.colour, "linewidth": 1.5}
    axes.barh(y, length, BAR, hatch=look.hatch, **pen)
    if ends:
        span = [[length - ends[0]], [ends[1] - length]]
        axes.errorbar(length, y + 0.24, xerr=span, color=colours.INK, capsize=3.5, linewidth=1.4)
    rounds = [value * metric.scale for _, value in sorted(row.rounds[metric.name].items())]
    style.dots(axes, rounds, y + style.spread(len(rounds), -0.32, 0.08))
    most = max([length, *ends, *rounds])
    axes.annotate(text.number(length), (most, y), **style.BESIDE)
    return most
