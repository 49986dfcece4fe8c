"""What counted as a right answer, and how far off each strategy was before anything was timed."""

from bench.analysis.run_analysis import RunAnalysis
from bench.model import ParityResult
from bench.report import cells, text
from bench.report.document import Block, Cell, Code, Column, Strong, figures, name_column, paragraph, table
from bench.report.unchecked_sentence import unchecked_sentence

ASKED = "Before anything is timed, each strategy answers all requests in all its encodings. "
BY_LABEL = paragraph(
    ASKED + "An answer is right if "
    "its label is the reference's and each of its probabilities is within the tolerance of the reference's; "
    "the answers of every trial are held to the same. The tolerance is ",
    Code("--tolerance"),
    " of the run, or the label ",
    Code("bench.tolerance"),
    " of the strategy.",
)
OTHERWISE = paragraph(ASKED + "The answers of every trial are held to the same.")
RULES = {
    "tensors": "An element of a tensor may be off by atol + rtol times the reference's, and how much of that "
    "was used at most stands above.",
    "json": "A number may be off by the tolerance of its place.",
    "unchecked": "An answer that is unchecked counts as right if its status is 2xx.",
}


def answers(analysis: RunAnalysis) -> list[Block]:
    """A row for each strategy whose answers were checked; empty if the run does not say so."""
    known = {name: result.parity for name, result in analysis.run.strategies.items() if result.parity}
    if not known:
        return []
    by_label = "label" in text.compared(analysis.run)
    rows = [[cells.words(name), *_parity(parity, by_label)] for name, parity in known.items()]
    columns = [name_column("strategy"), *figures("answers asked", "wrong")]
    if by_label:
        columns += [*figures("tolerance", "largest difference"), Column("of", "text")]
    blocks: list[Block] = [table(columns, rows), BY_LABEL if by_label else OTHERWISE]
    return [*_unchecked(analysis), *blocks, *_otherwise(analysis)]


def _unchecked(analysis: RunAnalysis) -> list[Block]:
    told = unchecked_sentence(analysis.run)
    return [paragraph(Strong(told))] if told else []


def _otherwise(analysis: RunAnalysis) -> list[Block]:
    """What answers had to be that are not compared by label; a row for each strategy that had a distance."""
    compared = text.compared(analysis.run)
    if compared == ("label",):
        return []
    rows = [
        [cells.words(name), _share(found), cells.words(found.share_at), cells.count(found.unchecked)]
        for name, result in analysis.run.strategies.items()
        if (found := result.parity) is not None
    ]
    columns = [name_column("strategy"), *figures("of its tolerance at most"), Column("of", "text")]
    rules = [f"Answers of this run are compared by {text.listing(list(compared))}."]
    rule = " ".join([*rules, *(RULES[name] for name in compared if name in RULES)])
    return [table([*columns, *figures("requests unchecked")], rows), paragraph(rule)]


def _share(found: ParityResult) -> Cell:
    if found.largest_share is None:
        return cells.MISSING
    return Cell(text.percent(found.largest_share), value=found.largest_share)


def _parity(found: ParityResult, by_label: bool) -> list[Cell]:
    """Counts; and if answers are compared by label, how far a probability may be off and was."""
    counts = [cells.count(found.answers), cells.count(found.wrong)]
    if not by_label:
        return counts
    return [
        *counts,
        Cell(text.difference(found.tolerance), value=found.tolerance),
        cells.MISSING
        if found.largest_difference is None
        else Cell(text.difference(found.largest_difference), value=found.largest_difference),
        cells.words(found.largest_at),
    ]
