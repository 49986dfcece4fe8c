"""Where the time goes inside a service: its own stages, stacked, with what no stage times on top."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from bench.analysis.run_analysis import RunAnalysis
from bench.analysis.stage_costs import StageCosts, response, work
from bench.analysis.summary import Row, Summary, rows_at
from bench.report import text
from bench.report.plots import style
from bench.report.plots.plot import Plot, counted, label, listed, rows_in_focus, tick, who
from bench.report.sections.insides import ORDER

BAR_INCHES, AXIS_INCHES = 0.38, 0.5
BAR = 0.62
# waiting is grey, so that what is coloured is work
LOOKS = {
    "wait": ("#E4E4E4", ""),
    "queue": ("#BDBDBD", "//"),
    "parse": style.PARTS[4],
    "decode": style.PARTS[3],
    "transform": style.PARTS[5],
    "infer": style.PARTS[2],
    "encode": style.PARTS[1],
    "overhead": style.PARTS[0],
}
OTHER = style.PARTS[6]
OVERHEAD = "overhead"
MEANINGS = {
    "wait": "wait: for a thread",
    "queue": "queue: for the model",
    "infer": "above, infer is a whole batch's time, which each of its items waits for; below, shared by the "
    "items of the batch",
}


def draw(analysis: RunAnalysis) -> Figure | None:
    """Two panels at the load that stands for the run: all stages, and their work with the overhead.

    If the run has a load of one client beside it, a third panel has its whole response time.
    """
    run, summary = analysis.run, analysis.summary
    rows = rows_in_focus(summary)
    if not any(row.stages for row in rows):
        return None
    alone = _alone(summary)
    panels = [
        ("Waiting and work in the service", "ms", rows, [StageCosts(_centres(row), None) for row in rows]),
        ("Work of a request, and overhead (less is better)", "ms", rows, [work(run, row) for row in rows]),
    ]
    if alone:
        title = "One client: response time (less is better)"
        panels.append((title, "ms", alone, [response(row) for row in alone]))
    heights = [AXIS_INCHES + BAR_INCHES * len(shown) for _, _, shown, _ in panels]
    figure, axes = style.new_figure(sum(heights), len(panels), heights)
    seen = dict.fromkeys(stage for row in (*rows, *alone) for stage in row.stages)
    order = [stage for stage in ORDER if stage in seen] + [stage for stage in seen if stage not in ORDER]
    handles: dict[str, Any] = {}
    for panel, (title, unit, shown, costs) in zip(axes, panels, strict=True):
        names = [tick(summary, row.strategy, label(summary, row.strategy, row.case)) for row in shown]
        _bars(panel, [_lengths(one) for one in costs], [*order, OVERHEAD], names, unit)
        drawn = style.legend_handles(panel, [*order, OVERHEAD])
        new = [one for one in drawn if one.get_label() not in handles]
        handles |= {one.get_label(): one for one in new}
        style.head(panel, title, new, style.beside(names))
    at = "" if not summary.several_loads else f" at {summary.focus[0].load}"
    style.footer(
        figure,
        run,
        f"{counted(summary, summary.focus)}{at}; medians of the rounds' means, as services time themselves, "
        f"no intervals. {_meanings(order)}{_overhead(panels[1][3], alone)}The bars on top need not add up to "
        "the response time",
    )
    return figure


def _alone(summary: Summary) -> list[Row]:
    """The rows of one client, if the run has any beside those that stand for it."""
    cases = [case for case in summary.cases if case.kind == "closed" and case.size == 1]
    rows = rows_at(summary, [case for case in cases if case not in summary.focus])
    return [row for row in rows if row.stages]


def _overhead(of_work: Sequence[StageCosts], alone: Sequence[Row]) -> str:
    """What the overhead is, as far as any is drawn."""
    told = [
        *(
            ["the CPU time of a request that no stage times"]
            if any(one.overhead_ms for one in of_work)
            else []
        ),
        *(["of one client the response time that no stage times"] if alone else []),
    ]
    return f"Overhead: {text.listing(told)}. " if told else ""


def _lengths(one: StageCosts) -> dict[str, float]:
    more = {} if one.overhead_ms is None else {OVERHEAD: one.overhead_ms}
    return {**one.stages_ms, **more}


def describe(analysis: RunAnalysis) -> str:
    """The time of each stage of each strategy, and the CPU time beyond these."""
    summary = analysis.summary
    clauses = [
        f"{who(summary, row.strategy, row.case)} "
        + ", ".join(f"{stage} {text.number(estimate.centre)} ms" for stage, estimate in row.stages.items())
        + _told(work(analysis.run, row))
        for row in summary.rows.values()
        if row.case in summary.focus and row.stages
    ]
    return f"time of each stage inside the service. {listed(clauses)}"


def _told(one: StageCosts) -> str:
    return "" if one.overhead_ms is None else f", overhead {text.number(one.overhead_ms)} CPU-ms"


PLOT = Plot("stages", "Where the time goes", draw, describe)


def _meanings(drawn: Sequence[str]) -> str:
    """What the drawn stages mean whose names do not say it."""
    found = "; ".join(MEANINGS[stage] for stage in drawn if stage in MEANINGS)
    return f"{found[0].upper()}{found[1:]}. " if found else ""


def _centres(row: Row) -> dict[str, float]:
    return {stage: found.centre for stage, found in row.stages.items()}


def _bars(
    axes: Any, stacks: Sequence[Mapping[str, float]], order: Sequence[str], names: Sequence[str], unit: str
) -> None:
    for place, found in enumerate(stacks):
        parts = [
            style.Part(stage, found[stage], *LOOKS.get(stage, OTHER)) for stage in order if stage in found
        ]
        end = style.stack(axes, place, BAR, parts)
        axes.annotate(f"{text.number(end)} ms" if parts else text.MISSING, (end, place), **style.BESIDE)
    # the figures stand right of the bars
    style.name_bars(
        axes, range(len(names)), names, unit, 1.3 * max(1e-3, *(sum(found.values()) for found in stacks))
    )
