"""Where the time goes inside a service: its own stages, stacked, and the work among them for each item."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from bench.analysis.run_analysis import RunAnalysis
from bench.analysis.summary import Row
from bench.report import text
from bench.report.plots import style
from bench.report.plots.plot import Plot, counted, label, listed, rows_in_focus, tick, who
from bench.report.sections.insides import ORDER

BAR_INCHES, AXIS_INCHES = 0.38, 0.5
BAR = 0.62
WAITING = ("wait", "queue")
COMPUTED = "infer"
# waiting is grey, so that what is coloured is work
LOOKS = {
    "wait": ("#E4E4E4", ""),
    "queue": ("#BDBDBD", "//"),
    "parse": style.PARTS[4],
    "decode": style.PARTS[3],
    "transform": style.PARTS[5],
    "infer": style.PARTS[2],
    "encode": style.PARTS[1],
}
OTHER = style.PARTS[6]
MEANINGS = {
    "wait": "wait: for a thread",
    "queue": "queue: for the model",
    "infer": "above, infer is a whole batch's time, which each of its items waits for; below, shared by the "
    "items of the batch",
}


def draw(analysis: RunAnalysis) -> Figure | None:
    """Two panels at the load that stands for the run: all stages, and what of them is work."""
    run, summary = analysis.run, analysis.summary
    rows = rows_in_focus(summary)
    if not any(row.stages for row in rows):
        return None
    figure, (whole, work) = style.new_figure(2 * (AXIS_INCHES + BAR_INCHES * len(rows)), 2)
    names = [tick(summary, row.strategy, label(summary, row.strategy, row.case)) for row in rows]
    seen = dict.fromkeys(stage for row in rows for stage in row.stages)
    order = [stage for stage in ORDER if stage in seen] + [stage for stage in seen if stage not in ORDER]
    _bars(whole, [_centres(row) for row in rows], order, names, "ms")
    _bars(work, [_work(row) for row in rows], order, names, "ms an item")
    beside = style.beside(names)
    handles = style.legend_handles(whole, order)
    style.head(whole, "Waiting and work in the service", handles, beside)
    style.head(work, "Work alone, an item (less is better)", [], beside)
    at = "" if not summary.several_loads else f" at {summary.focus[0].load}"
    style.footer(
        figure,
        run,
        f"{counted(summary, summary.focus)}{at}; medians of the rounds' means, as services time themselves, "
        f"no intervals. {_meanings(order)}The bars above need not add up to the response time",
    )
    return figure


def describe(analysis: RunAnalysis) -> str:
    """The time of each stage of each strategy."""
    summary = analysis.summary
    clauses = [
        f"{who(summary, row.strategy, row.case)} "
        + ", ".join(f"{stage} {text.number(estimate.centre)} ms" for stage, estimate in row.stages.items())
        for row in summary.rows.values()
        if row.case in summary.focus and row.stages
    ]
    return f"time of each stage inside the service. {listed(clauses)}"


PLOT = Plot("stages", "Where the time goes", draw, describe)


def _meanings(drawn: Sequence[str]) -> str:
    """What the drawn stages mean whose names do not say it."""
    found = "; ".join(MEANINGS[stage] for stage in drawn if stage in MEANINGS)
    return f"{found[0].upper()}{found[1:]}. " if found else ""


def _centres(row: Row) -> dict[str, float]:
    return {stage: found.centre for stage, found in row.stages.items()}


def _work(row: Row) -> dict[str, float]:
    """The work on one item, by stage, without waiting: the items of a batch share its time."""
    batch = row.estimates["batch"]
    items = batch.centre if batch is not None and batch.centre > 0 else 1.0
    return {
        stage: ms / items if stage == COMPUTED else ms
        for stage, ms in _centres(row).items()
        if stage not in WAITING
    }


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
