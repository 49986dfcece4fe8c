"""How the services batched and queued the load that was offered, by their own metrics."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from bench.analysis.cases import Case
from bench.analysis.metrics import METRICS
from bench.analysis.run_analysis import RunAnalysis
from bench.analysis.summary import Summary
from bench.report import text
from bench.report.plots import style
from bench.report.plots.over_load import (
    PANEL_INCHES,
    described,
    groups_of,
    having,
    lines,
    load_axis,
    overloads,
)
from bench.report.plots.plot import Plot, absent, counted, listed
from bench.report.quality_words import named

LINEAR = 20


@dataclass(frozen=True, slots=True)
class Inside:
    """One panel of what goes on in a service."""

    metric: str
    title: str
    unit: str
    may_be_log: bool


INSIDE = (
    Inside("batch", "Batch size", METRICS["batch"].heading, may_be_log=False),
    Inside("queue", "Queue delay", METRICS["queue"].shown_unit, may_be_log=True),
)


def draw(analysis: RunAnalysis) -> Figure | None:
    """Batch size and queue delay over the loads, of the services that report them."""
    run, summary = analysis.run, analysis.summary
    groups = [cases for cases in groups_of(summary) if having(summary, [cases], "batch", "queue")]
    if not groups:
        return None
    figure, axes = style.new_figure(2 * PANEL_INCHES * len(groups), 2 * len(groups))
    for place, cases in enumerate(groups):
        for panel, inside in zip(axes[2 * place : 2 * place + 2], INSIDE, strict=True):
            _inside(panel, summary, cases, inside)
    style.footer(
        figure,
        run,
        f"{counted(summary, *groups)}; as the services count; queue: an item's wait for the model; "
        "marks: median of the rounds' means; whiskers: 95% order-statistic interval, from six rounds; "
        "hollow: no interval is known"
        + overloads(summary, groups)
        + absent(summary, having(summary, groups, "batch", "queue")),
    )
    return figure


def describe(analysis: RunAnalysis) -> str:
    """The mean batch of each strategy in each case."""
    summary = analysis.summary
    clauses = [
        f"{named(summary, row.strategy)}, {summary.case_label(row.case)}: {text.number(batch.centre)} items"
        for row in summary.rows.values()
        if (batch := row.estimates["batch"]) is not None
    ]
    return f"batch size and queue delay over the load that was offered. Mean batch: {listed(clauses)}"


PLOT = Plot("batching", "Where the time goes", draw, describe, cost=5)


def _inside(axes: Any, summary: Summary, cases: Sequence[Case], inside: Inside) -> None:
    points = lines(axes, summary, cases, inside.metric)
    centres = [found.centre for _, found in points]
    axes.set_ylabel(inside.unit)
    if not points:
        axes.text(0.5, 0.5, "n/a: no service tells of it", ha="center", transform=axes.transAxes)
    if inside.may_be_log and centres and max(centres) > LINEAR * min(centres) > 0:
        # a service beyond its capacity queues a thousand times as long as one below it
        style.log_axis(axes.yaxis)
        axes.set_ylabel(f"{inside.unit} (log)")
    else:
        axes.set_ylim(bottom=0)
        axes.yaxis.set_major_locator(MaxNLocator(nbins=6, integer=not inside.may_be_log))
    load_axis(axes, cases)
    style.head(axes, f"{inside.title}, {described(summary, cases)}")
