"""Tables of what goes on inside a service: its own stages and batches, and its pipeline in a bare loop."""

from bench.analysis.run_analysis import RunAnalysis
from bench.analysis.summary import PARTS, Row, Summary
from bench.report import text
from bench.report.text import EMPTY, table

# what services are known to time, in the order in which an item passes it
ORDER = ("wait", "parse", "decode", "transform", "queue", "infer", "encode")


def stages(analysis: RunAnalysis) -> list[str]:
    """The time of each stage as the services time them; nothing where none does."""
    summary = analysis.summary
    known = [row for row in summary.rows.values() if row.stages or row.estimates["batch"]]
    if not known:
        return []
    found = dict.fromkeys(stage for row in known for stage in row.stages)
    names = [stage for stage in ORDER if stage in found] + [stage for stage in found if stage not in ORDER]
    rows = [
        [
            row.strategy,
            summary.case_label(row.case),
            *(text.estimate(row.stages.get(name)) for name in names),
            text.estimate(row.estimates["batch"]),
        ]
        for row in summary.rows.values()
    ]
    note = (
        "Means over the window, as the services time themselves, waiting for the processor included; of the "
        "rounds the median, in brackets its 95% interval by order statistics, which takes six. *wait* is for "
        "a thread that prepares, *queue* for the model to be free, and *infer* is a whole batch's."
    )
    header = ["strategy", "case", *(f"{name} ms" for name in names), "items a batch"]
    return [*table(header, rows, 2), "", note]


def loops(analysis: RunAnalysis) -> list[str]:
    """Service and bare loop side by side, at the load that fills the service most."""
    summary = analysis.summary
    rows = [row for row in summary.rows.values() if row.case in summary.focus]
    if not rows:
        return [EMPTY]
    parts = [part for part in PARTS if any(part in row.loop_parts for row in rows)]
    header = ["strategy", "case", "service, requests/s", "bare loop, requests/s", "service to loop"]
    header += [f"{part} alone, images/s" for part in parts]
    note = "The bare loop runs the strategy's own pipeline, one request at a time and without HTTP."
    if parts:
        note += (
            " *prepare* is its parse, decode and transform alone; *infer* its model alone, on prepared "
            "images in the batches that suit its engine."
        )
    return [*table(header, [_loop_cells(summary, row, parts) for row in rows], 2), "", note]


def _loop_cells(summary: Summary, row: Row, parts: list[str]) -> list[str]:
    return [
        row.strategy,
        summary.case_label(row.case),
        text.estimate(row.estimates["throughput"]),
        text.estimate(row.loop),
        text.ratio(row.to_loop),
        *(text.estimate(row.loop_parts.get(part)) for part in parts),
    ]
