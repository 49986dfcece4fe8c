"""Against the load that was offered: throughput and goodput, and latency."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bench.analysis.cases import Case
from bench.analysis.run_analysis import RunAnalysis
from bench.analysis.summary import Row, Summary
from bench.model import SloResult, objective_label
from bench.report import text
from bench.report.plots import colours, style
from bench.report.plots.over_load import (
    PANEL_INCHES,
    described,
    groups_of,
    having,
    lines,
    load_axis,
    overloads,
    pen,
    rows_of,
)
from bench.report.plots.plot import Plot, absent, counted, listed
from bench.report.quality_words import named
from bench.report.text import MISSING

# who answers all but this share of what is offered keeps up
OFF = 0.02


def draw(analysis: RunAnalysis) -> Figure | None:
    """Two panels for each class of payloads and kind of load that had two loads or more.

    Where all answered what was offered, the first of them would be a diagonal: it is left out.
    """
    run, summary = analysis.run, analysis.summary
    groups = groups_of(summary)
    if not groups:
        return None
    objectives = [_objective(analysis, cases) for cases in groups]
    told = [
        objective is not None or not _kept_up(summary, cases)
        for cases, objective in zip(groups, objectives, strict=True)
    ]
    count = len(groups) + sum(told)
    figure, panels = style.new_figure(PANEL_INCHES * count, count)
    axes = iter(panels)
    for cases, objective, tells in zip(groups, objectives, told, strict=True):
        of = described(summary, cases)
        if tells:
            above = next(axes)
            what = "Requests answered" if objective is None else "Throughput and goodput"
            style.head(above, f"{what}, {of}", _throughput(above, analysis, cases, objective))
            load_axis(above, cases)
        below = next(axes)
        style.head(below, f"Latency, {of}", _latency(below, summary, cases, objective))
        load_axis(below, cases)
    goodput = (
        "; goodput: right answers within the objective's bound, rounds together" if any(objectives) else ""
    )
    style.footer(
        figure,
        run,
        f"{counted(summary, *groups)}; {_marks(any(told))}{goodput}; hollow: no interval is known"
        + ("" if all(told) else f"; all answered what was offered, within {OFF:.0%}")
        + _reached(summary)
        + overloads(summary, groups)
        + absent(summary, having(summary, groups, "throughput", "p50", "p99")),
    )
    return figure


def _kept_up(summary: Summary, cases: Sequence[Case]) -> bool:
    """Whether every strategy answered all that was offered at all of these rates."""
    rows = [row for row in summary.rows.values() if row.case in cases]
    return all(_keeps_up(row) for row in rows)


def _keeps_up(row: Row) -> bool:
    offered, answered = row.offered_rps, row.estimates["throughput"]
    if not row.case.at_due_times or row.overloaded or offered is None or answered is None:
        return False
    return abs(answered.centre - offered) <= OFF * offered


def _marks(throughput: bool) -> str:
    """What the points and the upright lines through them are."""
    if not throughput:
        return "points: median of rounds; whiskers, upright: 95% interval over rounds, from six of them"
    return (
        "points: throughput: geometric mean of rounds; latency: their median; whiskers, upright: 95% "
        "interval over rounds, of throughput from three of them, of latency from six"
    )


def _reached(summary: Summary) -> str:
    """The shares of capacity that each strategy's open loads reached, in their order; empty if not known."""
    told = []
    for name in summary.strategies:
        rows = [summary.rows[name, case] for case in summary.cases if (name, case) in summary.rows]
        shares = [f"{100 * row.utilisation.centre:.0f}" for row in rows if row.utilisation]
        told += [f"{name} {', '.join(shares)}%"] if shares else []
    return f"; of its capacity in the same rounds each open load was: {'; '.join(told)}" if told else ""


def describe(analysis: RunAnalysis) -> str:
    """The p99 of each strategy at the least and at the greatest load."""
    summary = analysis.summary
    groups: dict[tuple[str, str, str], list[Row]] = {}
    for (name, case), row in summary.rows.items():
        kind = "closed" if case.kind == "closed" else "open"
        groups.setdefault((name, summary.payload_label(case), kind), []).append(row)
    clauses = [
        f"{named(summary, name)}, {payloads}: p99 {_p99(rows[0])} at {rows[0].case.load}, "
        f"{_p99(rows[-1])} at {rows[-1].case.load}"
        for (name, payloads, _), rows in groups.items()
        if len(rows) > 1
    ]
    return f"requests answered and latency over the load that was offered. {listed(clauses)}"


def _p99(row: Row) -> str:
    p99, spread = row.estimates["p99"], row.spread("p99")
    if row.overloaded and spread is not None:
        return f"{text.spread(spread)} ms, {text.overloaded(row)}"
    return MISSING if p99 is None else f"{text.number(p99.centre)} ms"


PLOT = Plot("load", "Throughput and latency", draw, describe, cost=8)


def _objective(analysis: RunAnalysis, cases: Sequence[Case]) -> SloResult | None:
    """The one objective of these payloads; None in a closed loop, which keeps a service full."""
    if not cases[0].at_due_times:
        return None
    wanted = cases[0].payload_class, cases[0].encoding
    found = [one for one in analysis.run.objectives if (one.payload_class, one.encoding) == wanted]
    return found[0] if len({(one.quantile, one.bound_ms) for one in found}) == 1 else None


def _throughput(
    axes: Any, analysis: RunAnalysis, cases: Sequence[Case], objective: SloResult | None
) -> list[Any]:
    summary = analysis.summary
    lines(axes, summary, cases, "throughput")
    handles = list(axes.get_legend_handles_labels()[0])
    if cases[0].at_due_times:
        most = max(size for name in summary.strategies for size, _ in rows_of(summary, name, cases))
        (offered,) = axes.plot([0, most], [0, most], **style.OFFERED)
        handles.append(offered)
    if objective is not None:
        _goodput(axes, analysis, cases, objective.bound_ms)
        handles.append(_mark(f"goodput, within {objective.bound_ms:g} ms", second=True, hollow=True))
    axes.set_ylabel("requests/s")
    axes.set_ylim(bottom=0)
    return handles


def _goodput(axes: Any, analysis: RunAnalysis, cases: Sequence[Case], bound_ms: float) -> None:
    """Draw the right answers within the bound a second, all valid rounds together."""
    looks = style.looks(analysis.summary.strategies)
    for name in analysis.summary.strategies:
        points = []
        for size, row in rows_of(analysis.summary, name, cases):
            rounds = analysis.latencies.get((name, row.case))
            if rounds:
                within = sum(int(np.searchsorted(one, bound_ms, side="right")) for one in rounds)
                points.append((size, within / analysis.windows_s[name, row.case]))
        if points:
            axes.plot(*zip(*points, strict=True), **pen(looks[name], second=True, hollow=True))


def _latency(axes: Any, summary: Summary, cases: Sequence[Case], objective: SloResult | None) -> list[Any]:
    lines(axes, summary, cases, "p99")
    lines(axes, summary, cases, "p50", second=True)
    shown = having(summary, [cases], "p50", "p99")
    looks = style.looks(summary.strategies)
    handles = [
        Line2D([], [], **pen(looks[name]), label=named(summary, name))
        for name in summary.strategies
        if name in shown
    ]
    handles += [_mark("p99"), _mark("p50", second=True)]
    if objective is not None:
        words = objective_label(objective.quantile, objective.bound_ms)
        handles.append(axes.axhline(objective.bound_ms, **style.LIMIT, label=f"objective: {words}"))
    axes.set_ylabel("ms from due to done (log)")
    style.log_axis(axes.yaxis)
    return handles


def _mark(label: str, *, second: bool = False, hollow: bool = False) -> Line2D:
    """The legend of a line and its marks, for any strategy."""
    look = style.Look(colours.INK, "", "o", "-")
    return Line2D([], [], **pen(look, second=second, hollow=hollow), label=label)
