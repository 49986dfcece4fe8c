"""Throughput against p99: dominated points, and points among which to choose."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from bench.analysis.cases import Case
from bench.analysis.run_analysis import RunAnalysis
from bench.analysis.summary import Row, Summary
from bench.report.plots import colours, style
from bench.report.plots.labels import place_labels
from bench.report.plots.plot import Plot, absent, counted, figures_in_focus, interval, not_exact
from bench.report.quality_words import DAGGER
from bench.statistics import Estimate

PANEL_INCHES = 3.6
# more than this between the lowest and the highest latency is read on a log scale only
LINEAR = 6
# a share of capacity that was reached is said if it is so far from the share that was asked for
ALIKE = 0.01


@dataclass(frozen=True, slots=True)
class Point:
    """One strategy under one load: requests/s, and p99 in ms.

    `set_aside` says why it is not a choice, whatever its figures: the rate was more than the service could
    answer, or a round of it is invalid. It is empty if the point may be chosen.
    """

    strategy: str
    label: str
    throughput: Estimate
    p99: Estimate
    set_aside: str = ""

    @property
    def known(self) -> bool:
        """Whether both figures have an interval that is drawn."""
        return interval(self.throughput) is not None and interval(self.p99) is not None


def draw(analysis: RunAnalysis) -> Figure | None:
    """A panel for each class of payloads that has two points or more at due times; each point is labelled.

    A closed loop has no such choice: its p99 follows from its throughput and the number of its clients.
    """
    run, summary = analysis.run, analysis.summary
    panels = {cases: found for cases in _panels(summary) if len(found := _points(summary, cases)) > 1}
    if not panels:
        return None
    figure, axes = style.new_figure(PANEL_INCHES * len(panels), len(panels))
    lines = []
    for one, (cases, points) in zip(axes, panels.items(), strict=True):
        lines.append(_panel(one, points, style.looks(summary.strategies)))
        many = len(cases) > 1
        what = f"{summary.payload_label(cases[0])} payloads" if many else summary.payloads_at(cases[0])
        style.head(one, f"Throughput against p99, {what}", _marks(points))
    shown = [case for cases in panels for case in cases]
    style.footer(
        figure,
        run,
        f"{counted(summary, shown)}; throughput: geometric mean, 95% t-interval on the logs (from three); "
        "p99: median, 95% order-statistic interval (from six). Dominated: another point has more throughput "
        "and a lower p99, by the centres; where intervals overlap that is no proof. Hollow: an "
        "interval is not known"
        + _why_aside([point for points in panels.values() for point in points])
        + _not_drawn(summary, panels)
        + not_exact(summary, DAGGER)
        + absent(summary, {point.strategy for points in panels.values() for point in points}),
    )
    # labels go where there is room, which is known once everything else has its place
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for one, points, line in zip(axes, panels.values(), lines, strict=True):
        places = [(point.throughput.centre, point.p99.centre) for point in points]
        place_labels(one, places, _texts(points), line)
    return figure


def describe(analysis: RunAnalysis) -> str:
    """Throughput and p99 of each strategy."""
    rates, tails = (figures_in_focus(analysis, name) for name in ("throughput", "p99"))
    what = "throughput against p99: right and low is better"
    return f"{what}. Requests per second: {rates} The p99 in ms: {tails}"


PLOT = Plot("pareto", "Throughput and latency", draw, describe, cost=5)


def frontier(points: Sequence[Point]) -> list[Point]:
    """The points that no other point dominates, by throughput; points that are set aside do not count."""
    best: list[Point] = []
    choices = [point for point in points if not point.set_aside]
    for point in sorted(choices, key=lambda one: (-one.throughput.centre, one.p99.centre)):
        if not best or point.p99.centre < best[-1].p99.centre:
            best.append(point)
    return best[::-1]


def _panels(summary: Summary) -> list[tuple[Case, ...]]:
    """All rates of each class of payloads, if a rate stands for the run.

    At one rate all services that keep up answer alike, so only several rates show a difference.
    """
    if any(not case.at_due_times for case in summary.focus):
        return []
    kinds = {case.kind for case in summary.focus}
    groups: dict[str, list[Case]] = {}
    for case in summary.cases:
        if case.kind in kinds and case.arrivals == summary.focus[0].arrivals:
            groups.setdefault(summary.payload_label(case), []).append(case)
    return [tuple(cases) for cases in groups.values()]


def _rows(summary: Summary, cases: Sequence[Case]) -> list[Row]:
    return [
        summary.rows[name, case]
        for name in summary.strategies
        for case in cases
        if (name, case) in summary.rows
    ]


def _has_point(row: Row) -> bool:
    return bool(row.estimates["throughput"] and row.estimates["p99"])


def _points(summary: Summary, cases: Sequence[Case]) -> list[Point]:
    rows = _rows(summary, cases)
    several = len(cases) > 1
    alone = len({row.strategy for row in rows}) == 1
    return [
        Point(row.strategy, _label(summary, row, several=several, alone=alone), throughput, p99, _aside(row))
        for row in rows
        if (throughput := row.estimates["throughput"]) and (p99 := row.estimates["p99"])
    ]


def _label(summary: Summary, row: Row, *, several: bool, alone: bool) -> str:
    """The strategy, marked if it is not exact, and the load, as far as other points have another."""
    name = row.strategy + ("" if summary.quality_of(row.strategy).exact else DAGGER)
    if not several:
        return name
    load = f"{row.case.size:g}/s"
    if row.case.by_capacity:
        reached = row.utilisation.centre if row.utilisation else row.case.size
        far = abs(reached - row.case.size) > ALIKE and row.case.kind == "share"
        load = f"{100 * row.case.size:g}%" + (f" (reached {100 * reached:.0f}%)" if far else "")
    return load if alone else f"{name} {load}"


def _aside(row: Row) -> str:
    """Why a rate is not a choice."""
    if row.overloaded:
        return "overloaded"
    trials = row.invalid_trials + row.valid_trials
    return f"{row.invalid_trials} of {trials} invalid" if row.invalid_trials else ""


def _texts(points: Sequence[Point]) -> list[str]:
    """The label of each point, with why it is set aside unless the legend says it for all of them."""
    if len(_reasons(points)) == 1:
        return [point.label for point in points]
    return [f"{point.label} ({point.set_aside})" if point.set_aside else point.label for point in points]


def _reasons(points: Sequence[Point]) -> set[str]:
    return {point.set_aside for point in points if point.set_aside}


def _not_drawn(summary: Summary, panels: Mapping[tuple[Case, ...], Sequence[Point]]) -> str:
    """A clause that names the rates without a point of the strategies that have points; empty without any."""
    shown = {point.strategy for points in panels.values() for point in points}
    rows = [row for cases in panels for row in _rows(summary, cases) if row.strategy in shown]
    alone = len(shown) == 1
    named = [_label(summary, row, several=True, alone=alone) for row in rows if not _has_point(row)]
    return f"; too few answers for a p99: {', '.join(named)}" if named else ""


def _why_aside(points: Sequence[Point]) -> str:
    if not any(point.set_aside for point in points):
        return ""
    return "; no choice: a rate at which requests were refused, or a round is overloaded or invalid"


def _panel(axes: Any, points: Sequence[Point], looks: dict[str, style.Look]) -> list[tuple[float, float]]:
    """Draw the points and their frontier, whose corners are returned."""
    best = frontier(points)
    for point in points:
        look = looks[point.strategy]
        axes.errorbar(
            point.throughput.centre,
            point.p99.centre,
            xerr=_span(point.throughput),
            yerr=_span(point.p99),
            color=look.colour,
            marker=look.marker,
            markersize=8.5,
            markeredgecolor=colours.INK if point.known else look.colour,
            markerfacecolor=look.colour if point.known else colours.PAPER,
            markeredgewidth=1.0 if point.known else 1.6,
            capsize=3,
            linewidth=1.3,
        )
        if point.set_aside:
            cross: Any = {"color": colours.INK, "marker": "x", "markersize": 6, "markeredgewidth": 1.4}
            axes.plot(point.throughput.centre, point.p99.centre, **cross, zorder=4)
    latencies = [point.p99.centre for point in points]
    log = max(latencies) > LINEAR * min(latencies)
    axes.set_xlabel("requests answered per second (right is better)")
    axes.set_ylabel(f"p99, ms{', log' if log else ''} (down is better)")
    axes.set_xlim(0, 1.15 * max(_end(point.throughput) for point in points))
    if log:
        axes.set_ylim(0.8 * min(latencies), 1.6 * max(_end(point.p99) for point in points))
        style.log_axis(axes.yaxis)
    else:
        axes.set_ylim(0, 1.1 * max(_end(point.p99) for point in points))
    return _dominated(axes, best) if best else []


def _dominated(axes: Any, best: Sequence[Point]) -> list[tuple[float, float]]:
    """Shade where a point would be dominated, left of and above the frontier; returns its corners."""
    top = axes.get_ylim()[1]
    rates = [0.0, *(point.throughput.centre for point in best), best[-1].throughput.centre]
    latencies = [best[0].p99.centre, *(point.p99.centre for point in best), top]
    axes.fill_between(rates, latencies, top, step="pre", color=colours.OUTSIDE, linewidth=0, zorder=0)
    axes.plot(rates, latencies, color=colours.PALE, linewidth=1.2, drawstyle="steps-pre", zorder=1)
    axes.set_ylim(top=top)
    corners = [(rates[0], latencies[0])]
    for rate, latency in zip(rates[1:], latencies[1:], strict=True):
        corners += [(corners[-1][0], latency), (rate, latency)]
    return corners


def _crosses(points: Sequence[Point]) -> str:
    reasons = _reasons(points)
    return "overloaded or invalid" if len(reasons) > 1 else next(iter(reasons))


def _end(found: Estimate) -> float:
    """The upper end of a figure as it is drawn, with its interval."""
    return found.centre + (span[1][0] if (span := _span(found)) else 0.0)


def _span(found: Estimate) -> list[list[float]] | None:
    ends = interval(found)
    return [[found.centre - ends[0]], [ends[1] - found.centre]] if ends else None


def _marks(points: Sequence[Point]) -> list[Any]:
    """The legend: hollow and crossed points as far as there are any, and the shade."""
    dot: Any = {"color": colours.INK, "marker": "o", "markersize": 7, "linestyle": "none"}
    marks: list[Any] = []
    if any(not point.known for point in points):
        hollow: Any = {**dot, "markerfacecolor": colours.PAPER}
        marks.append(Line2D([], [], label="an interval not known", **hollow))
    if any(point.set_aside for point in points):
        crossed: Any = {**dot, "marker": "x", "markeredgewidth": 1.4}
        marks.append(Line2D([], [], label=_crosses(points), **crossed))
    return [
        *marks,
        Patch(facecolor=colours.OUTSIDE, edgecolor=colours.PALE, label="where points are dominated"),
    ]
