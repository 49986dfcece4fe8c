"""Variants of a strategy: which settings each had instead of those of compose.yaml."""

from bench.analysis.run_analysis import RunAnalysis
from bench.report import cells
from bench.report.document import Block, Column, case_column, name_column, paragraph, table
from bench.report.text import DASH

HOW = paragraph("Everything else is as compose.yaml has it for that strategy.")


def variants(analysis: RunAnalysis) -> list[Block]:
    """A row for each variant, with a column for each setting that varies; empty without variants."""
    found = {name: one.variant for name, one in analysis.run.strategies.items() if one.variant is not None}
    if not found:
        return []
    settings = dict.fromkeys(setting for one in found.values() for setting in one.settings)
    columns = [name_column("strategy"), case_column("of"), *(Column(one, "text") for one in settings)]
    rows = [
        [
            cells.words(name),
            cells.words(one.of),
            *(cells.words(one.settings.get(key, DASH)) for key in settings),
        ]
        for name, one in found.items()
    ]
    return [table(columns, rows), HOW]
