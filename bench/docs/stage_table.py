"""What documents quote of a run's stages: where a request's time goes, in each strategy."""

from collections.abc import Sequence

from bench.analysis.metrics import METRICS
from bench.analysis.stage_costs import WAITS
from bench.analysis.summary import Row, summarise
from bench.errors import UsageError
from bench.model import Run
from bench.report import cells
from bench.report.document import Block, Cell, case_column, figures, name_column, paragraph, table
from bench.report.quality_words import named
from bench.report.sections.insides import ORDER
from bench.report.writers import markdown

WORK = tuple(stage for stage in ORDER if stage not in WAITS)
SAYS = (
    "One client. Each stage is in ms as the service times it, the median of the rounds. The rest is the CPU "
    "time of a request beyond these stages: HTTP, what passes a request on, and what no stage times."
)


def stage_table(run: Run) -> str:
    """The time of each stage under the load of one client, and the CPU time beside them.

    With one client a request meets no other, so that a stage's time is its work. Raises UsageError if the run
    has no such load, or if no strategy timed its stages.
    """
    summary = summarise(run)
    rows = [row for row in summary.rows.values() if row.case.kind == "closed" and row.case.size == 1]
    if not rows:
        raise UsageError("that run has no load of one client: name one made with --concurrency 1")
    names = [stage for stage in WORK if any(stage in row.stages for row in rows)]
    if not names:
        raise UsageError("no strategy of that run timed its stages: name another run")
    columns = [name_column("strategy"), case_column("payloads")]
    columns += figures(*(f"{name} ms" for name in names), METRICS["cpu"].heading, "the rest, CPU-ms")
    found = [
        [
            *map(cells.words, (named(summary, row.strategy), summary.payload_label(row.case))),
            *_times(row, names),
        ]
        for row in rows
    ]
    blocks: list[Block] = [table(columns, found), paragraph(SAYS)]
    return "\n".join(markdown.blocks(blocks)) + "\n"


def _times(row: Row, names: Sequence[str]) -> list[Cell]:
    known = {name: row.stages[name].centre for name in names if name in row.stages}
    cpu = row.estimates["cpu"]
    whole = None if cpu is None else cpu.centre * METRICS["cpu"].scale
    rest = None if whole is None or not known else whole - sum(known.values())
    return [*(cells.number(known.get(name)) for name in names), cells.number(whole), cells.number(rest)]
