"""Against the load that was offered: throughput and goodput, and latency."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator
from matplotlib.transforms import ScaledTranslation

from bench.analysis.cases import Case
from bench.analysis.run_analysis import RunAnalysis
from bench.analysis.summary import Row, Summary
from bench.model import SloResult, objective_label
from bench.report import style
from bench.report.plot_words import absent, counted, interval
from bench.statistics import Estimate

PANEL_INCHES = (4.1, 3.7)
# whiskers of two figures at one load stand side by side
APART_POINTS = 2.0
Points = list[tuple[float, Estimate]]


def load(analysis: RunAnalysis) -> Figure | None:
    """A row of panels a class of payloads and kind of load, where there were two or more of that kind."""
    run, summary = analysis.run, analysis.summary
    groups = groups_of(summary)
    if not groups:
        return None
    width, height = PANEL_INCHES
    figure, axes = style.new_figure(2 * width, height * len(groups), len(groups), 2)
    objectives = [_objective(analysis, cases) for cases in groups]
    for place, (cases, objective) in enumerate(zip(groups, objectives, strict=True)):
        left, right = axes[2 * place : 2 * place + 2]
        of = described(summary, cases)
        what = "Requests answered" if objective is None else "Throughput and goodput"
        answered = (left, f"{what}, {of}", _throughput(left, analysis, cases, objective))
        waited = (right, f"Latency, {of}", _latency(right, summary, cases, objective))
        style.heads([answered, waited], width - style.BESIDE_INCHES)
        for panel in (left, right):
            load_axis(panel, cases)
    goodput = (
        "; goodput: right answers within the objective's bound, rounds together" if any(objectives) else ""
    )
    style.footer(
        figure,
        run,
        f"{counted(summary, *groups)}; throughput: geometric mean of rounds; latency: median{goodput}; "
        "whiskers: 95% interval over rounds, of throughput from three of them, of latency from six"
        + absent(summary, having(summary, groups, "throughput", "p50", "p99")),
    )
    return figure


def having(summary: Summary, groups: Sequence[Sequence[Case]], *metrics: str) -> set[str]:
    """The strategies that have any of these figures in these cases."""
    rows = [row for row in summary.rows.values() if any(row.case in cases for cases in groups)]
    return {row.strategy for row in rows if any(row.estimates[metric] for metric in metrics)}


def _objective(analysis: RunAnalysis, cases: Sequence[Case]) -> SloResult | None:
    """The objective of these payloads; none in a closed loop, which keeps a service full, or of several."""
    if not cases[0].at_due_times:
        return None
    wanted = cases[0].payload_class, cases[0].encoding
    found = [one for one in analysis.run.objectives if (one.payload_class, one.encoding) == wanted]
    return found[0] if len({(one.quantile, one.bound_ms) for one in found}) == 1 else None


def groups_of(summary: Summary) -> list[list[Case]]:
    """Cases that differ in nothing but how much load there was, closed or by a schedule of one kind.

    A rate that was given and one that is a share of capacity are points of the same curve.
    """
    groups: dict[tuple[bool, bool, str, str], list[Case]] = {}
    for case in summary.cases:
        key = case.at_due_times, case.even, case.payload_class, case.encoding
        groups.setdefault(key, []).append(case)
    return [cases for _, cases in sorted(groups.items(), key=lambda item: item[0][:2]) if len(cases) > 1]


def described(summary: Summary, cases: Sequence[Case]) -> str:
    """The payloads of a row of panels, and how their requests came where that differs in the run."""
    payloads = summary.payload_label(cases[0])
    if not any(case.at_due_times for case in summary.cases):
        return f"{payloads} payloads"
    if not cases[0].at_due_times:
        return f"{payloads}, closed"
    return f"{payloads}, open, evenly" if cases[0].even else f"{payloads}, open"


def _throughput(
    axes: Any, analysis: RunAnalysis, cases: Sequence[Case], objective: SloResult | None
) -> list[Any]:
    summary = analysis.summary
    lines(axes, summary, cases, lambda row: row.estimates["throughput"])
    handles = list(axes.get_legend_handles_labels()[0])
    if cases[0].at_due_times:
        most = max(size for name in summary.strategies for size, _ in _rows(summary, name, cases))
        (offered,) = axes.plot([0, most], [0, most], color=style.PALE, linestyle=(0, (5, 3)), label="offered")
        handles.append(offered)
    if objective is not None:
        _goodput(axes, analysis, cases, objective.bound_ms)
        handles.append(_mark(f"goodput, within {objective.bound_ms:g} ms", hollow=True))
    axes.set_ylabel("requests/s")
    axes.set_ylim(bottom=0)
    return handles


def _goodput(axes: Any, analysis: RunAnalysis, cases: Sequence[Case], bound_ms: float) -> None:
    """Right answers within the bound a second, all valid rounds together."""
    looks = style.looks(analysis.summary.strategies)
    for name in analysis.summary.strategies:
        points = []
        for size, row in _rows(analysis.summary, name, cases):
            rounds = analysis.latencies.get((name, row.case))
            if rounds:
                within = sum(int(np.searchsorted(one, bound_ms, side="right")) for one in rounds)
                points.append((size, within / analysis.windows_s[name, row.case]))
        if points:
            axes.plot(*zip(*points, strict=True), **_pen(looks[name], hollow=True))


def _latency(axes: Any, summary: Summary, cases: Sequence[Case], objective: SloResult | None) -> list[Any]:
    lines(axes, summary, cases, lambda row: row.estimates["p99"])
    lines(axes, summary, cases, lambda row: row.estimates["p50"], hollow=True)
    shown = having(summary, [cases], "p50", "p99")
    looks = style.looks(summary.strategies)
    handles = [
        Line2D([], [], **_pen(looks[name], hollow=False), label=name)
        for name in summary.strategies
        if name in shown
    ]
    handles += [_mark("p99"), _mark("p50", hollow=True)]
    if objective is not None:
        words = objective_label(objective.quantile, objective.bound_ms)
        handles.append(axes.axhline(objective.bound_ms, **style.LIMIT, label=f"objective: {words}"))
    axes.set_ylabel("ms from due to done (log)")
    axes.set_yscale("log")
    style.plain_log_labels(axes)
    return handles


def _mark(label: str, *, hollow: bool = False) -> Line2D:
    """What a filled and a hollow mark are, whatever the strategy."""
    look = style.Look(style.INK, "", "o", "-")
    return Line2D([], [], **_pen(look, hollow=hollow), label=label)


def _pen(look: style.Look, *, hollow: bool) -> dict[str, Any]:
    return {
        "color": look.colour,
        "linestyle": ":" if hollow else "-",
        "linewidth": 1.4 if hollow else 1.8,
        "marker": look.marker,
        "markeredgecolor": look.colour if hollow else style.INK,
        "markerfacecolor": "white" if hollow else look.colour,
        "markersize": 6,
    }


def lines(
    axes: Any,
    summary: Summary,
    cases: Sequence[Case],
    figure_of: Callable[[Row], Estimate | None],
    *,
    hollow: bool = False,
) -> Points:
    """A line a strategy through those loads at which it has the figure; returns all its points."""
    looks = style.looks(summary.strategies)
    drawn: Points = []
    for name in summary.strategies:
        rows = _rows(summary, name, cases)
        points: Points = [(size, found) for size, row in rows if (found := figure_of(row)) is not None]
        if points:
            sizes, centres = [size for size, _ in points], [found.centre for _, found in points]
            axes.plot(sizes, centres, **_pen(looks[name], hollow=hollow), label=name)
            _whiskers(axes, points, looks[name].colour, hollow=hollow)
        drawn += points
    return drawn


def _rows(summary: Summary, name: str, cases: Sequence[Case]) -> list[tuple[float, Row]]:
    """A strategy's rows with what it was offered: clients, or its own rate in requests/s; the least first."""
    rows = [summary.rows[name, case] for case in cases if (name, case) in summary.rows]
    sized = [(row.offered_rps if row.case.at_due_times else row.case.size, row) for row in rows]
    return sorted(((size, row) for size, row in sized if size is not None), key=lambda pair: pair[0])


def _whiskers(axes: Any, points: Points, colour: str, *, hollow: bool) -> None:
    known = [(size, *ends) for size, found in points if (ends := interval(found))]
    if known:
        sizes, lows, highs = zip(*known, strict=True)
        aside = ScaledTranslation((1 if hollow else -1) * APART_POINTS / 72, 0, axes.figure.dpi_scale_trans)
        pen: Any = {"colors": colour, "linewidth": 1.2 if hollow else 2.4, "alpha": 0.75}
        axes.vlines(sizes, lows, highs, transform=axes.transData + aside, **pen)
        # the axis ends beyond them too, which lines set aside are not seen to need
        axes.update_datalim([*zip(sizes, lows, strict=True), *zip(sizes, highs, strict=True)])
        axes.autoscale_view()


def load_axis(axes: Any, cases: Sequence[Case]) -> None:
    """Numbers of clients double, so they stand evenly on a log scale; rates stand where they are."""
    axes.xaxis.set_minor_locator(NullLocator())
    if cases[0].at_due_times:
        axes.set_xlim(left=0)
        axes.set_xlabel("offered, requests/s")
        if any(not case.same_for_all for case in cases):
            return  # each strategy has rates of its own
    else:
        axes.set_xscale("log", base=2)
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xlabel("clients, each waiting for its answer (log)")
    sizes = sorted({case.size for case in cases})
    axes.set_xticks(sizes, [f"{size:g}" for size in sizes])
