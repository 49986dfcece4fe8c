"""Curves over the load that was offered: a line for each strategy, for the plots that draw such curves."""

from collections.abc import Sequence
from typing import Any

from matplotlib.ticker import NullLocator
from matplotlib.transforms import ScaledTranslation

from bench.analysis.cases import Case
from bench.analysis.summary import Row, Summary
from bench.model import ARRIVALS
from bench.report import text
from bench.report.plots import colours, style
from bench.report.plots.plot import interval
from bench.report.quality_words import named
from bench.statistics import Estimate

PANEL_INCHES = 2.9
# whiskers of two figures at one load stand side by side
APART_POINTS = 2.0
Points = list[tuple[float, Estimate]]


def groups_of(summary: Summary) -> list[list[Case]]:
    """Groups of cases that differ only in how much load there was, closed or by a schedule of one kind.

    A rate in requests/s and a rate as a share of capacity are points of the same curve.
    """
    groups: dict[tuple[bool, int, str, str], list[Case]] = {}
    for case in summary.cases:
        key = case.at_due_times, case.arrivals_place, case.payload_class, case.encoding
        groups.setdefault(key, []).append(case)
    return [cases for _, cases in sorted(groups.items(), key=lambda item: item[0][:2]) if len(cases) > 1]


def described(summary: Summary, cases: Sequence[Case]) -> str:
    """The payloads of a row of panels, and how their requests came if that differs in the run."""
    payloads = summary.payload_label(cases[0])
    if not any(case.at_due_times for case in summary.cases):
        return f"{payloads} payloads"
    if not cases[0].at_due_times:
        return f"{payloads}, closed"
    return f"{payloads}, open{ARRIVALS[cases[0].arrivals].label}"


def having(summary: Summary, groups: Sequence[Sequence[Case]], *metrics: str) -> set[str]:
    """The strategies that have any of these figures in these cases."""
    rows = [row for row in summary.rows.values() if any(row.case in cases for cases in groups)]
    return {row.strategy for row in rows if any(row.estimates[metric] for metric in metrics)}


def lines(
    axes: Any,
    summary: Summary,
    cases: Sequence[Case],
    metric: str,
    *,
    second: bool = False,
) -> Points:
    """Draw a line for each strategy through the loads at which it has the metric; return all points.

    The mark of a figure whose interval is not known is hollow.
    """
    looks = style.looks(summary.strategies)
    drawn: Points = []
    for name in summary.strategies:
        rows = rows_of(summary, name, cases)
        points: Points = [(size, found) for size, row in rows if (found := _figure(row, metric)) is not None]
        if points:
            curve(axes, points, looks[name], named(summary, name), second=second)
        drawn += points
    return drawn


def curve(axes: Any, points: Points, look: style.Look, label: str, *, second: bool = False) -> None:
    """Draw a line through the points, whiskers where an interval is known, and hollow marks elsewhere."""
    sizes, centres = [size for size, _ in points], [found.centre for _, found in points]
    axes.plot(sizes, centres, **pen(look, second=second), label=label)
    _whiskers(axes, points, look.colour, second=second)
    vague = [(size, found.centre) for size, found in points if interval(found) is None]
    if vague:
        marks = {**pen(look, second=second, hollow=True), "linestyle": "none"}
        axes.plot(*zip(*vague, strict=True), **marks)


def _figure(row: Row, metric: str) -> Estimate | None:
    """The row's figure; its ends are the least and the most round if the load was too much for it."""
    found, spread = row.estimates[metric], row.spread(metric)
    if found is None or spread is None or not row.overloaded:
        return found
    return Estimate(found.centre, spread.least, spread.most, found.n)


def overloads(summary: Summary, groups: Sequence[Sequence[Case]]) -> str:
    """A clause that names the overloaded rows, whose whiskers mean something else; empty without any."""
    named = [
        f"{name} at {text.number(size)}/s in {row.overloaded_trials} of {row.made_trials}"
        for cases in groups
        for name in summary.strategies
        for size, row in rows_of(summary, name, cases)
        if row.overloaded
    ]
    return f"; overloaded, whiskers from the least to the most round: {'; '.join(named)}" if named else ""


def rows_of(summary: Summary, name: str, cases: Sequence[Case]) -> list[tuple[float, Row]]:
    """A strategy's rows with its load, clients or its own rate in requests/s, the least load first."""
    rows = [summary.rows[name, case] for case in cases if (name, case) in summary.rows]
    sized = [(row.offered_rps if row.case.at_due_times else row.case.size, row) for row in rows]
    return sorted(((size, row) for size, row in sized if size is not None), key=lambda pair: pair[0])


def pen(look: style.Look, *, second: bool = False, hollow: bool = False) -> dict[str, Any]:
    """How a line and its marks are drawn; the second figure of a panel is dotted, with smaller marks."""
    return {
        "color": look.colour,
        "linestyle": ":" if second else "-",
        "linewidth": 1.4 if second else 1.8,
        "marker": look.marker,
        "markeredgecolor": look.colour if hollow else colours.INK,
        "markeredgewidth": 1.4 if hollow else 0.9,
        "markerfacecolor": colours.PAPER if hollow else look.colour,
        "markersize": 4.5 if second else 6.5,
    }


def _whiskers(axes: Any, points: Points, colour: str, *, second: bool) -> None:
    known = [(size, *ends) for size, found in points if (ends := interval(found))]
    if known:
        sizes, lows, highs = zip(*known, strict=True)
        aside = ScaledTranslation((1 if second else -1) * APART_POINTS / 72, 0, axes.figure.dpi_scale_trans)
        pen: Any = {"colors": colour, "linewidth": 1.2 if second else 2.4, "alpha": 0.75}
        axes.vlines(sizes, lows, highs, transform=axes.transData + aside, **pen)
        # the axis ends beyond them too, which lines set aside are not seen to need
        axes.update_datalim([*zip(sizes, lows, strict=True), *zip(sizes, highs, strict=True)])
        axes.autoscale_view()


def load_axis(axes: Any, cases: Sequence[Case]) -> None:
    """Label the axis of the load: clients, whose numbers double, on a log scale; rates on a linear one."""
    axes.xaxis.set_minor_locator(NullLocator())
    if cases[0].at_due_times:
        axes.set_xlim(left=0)
        axes.set_xlabel("offered, requests/s")
        if any(case.by_capacity for case in cases):
            return  # the rates follow what was measured
    else:
        axes.set_xscale("log", base=2)
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xlabel("clients, each waiting for its answer (log)")
    sizes = sorted({case.size for case in cases})
    axes.set_xticks(sizes, [f"{size:g}" for size in sizes])
