"""What counted as a right answer, and how far off each strategy was before anything was timed."""

from bench.analysis.run_analysis import RunAnalysis
from bench.model import ParityResult
from bench.report import cells, text
from bench.report.document import Block, Cell, Code, Column, figures, name_column, paragraph, table

RULE = paragraph(
    "Before anything is timed, each strategy answers all images in all its encodings. An answer is right if "
    "its label is the reference's and each of its probabilities is within the tolerance of the reference's; "
    "the answers of every trial are held to the same. The tolerance is ",
    Code("--tolerance"),
    " of the run, or the label ",
    Code("bench.tolerance"),
    " of the strategy.",
)


def answers(analysis: RunAnalysis) -> list[Block]:
    """A row for each strategy whose answers were checked; empty if the run does not say so."""
    rows = [
        [cells.words(name), *_parity(result.parity)]
        for name, result in analysis.run.strategies.items()
        if result.parity
    ]
    if not rows:
        return []
    columns = [name_column("strategy"), *figures("answers asked", "wrong", "tolerance", "largest difference")]
    return [table([*columns, Column("of", "text")], rows), RULE]


def _parity(found: ParityResult) -> list[Cell]:
    return [
        cells.count(found.answers),
        cells.count(found.wrong),
        Cell(text.difference(found.tolerance), value=found.tolerance),
        cells.MISSING
        if found.largest_difference is None
        else Cell(text.difference(found.largest_difference), value=found.largest_difference),
        cells.words(found.largest_at),
    ]
