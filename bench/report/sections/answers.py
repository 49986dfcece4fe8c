"""What counted as a right answer, and how far off each strategy was before anything was timed."""

from bench.analysis.declared import Declared
from bench.analysis.run_analysis import RunAnalysis
from bench.model import HeldOutResult, ParityResult
from bench.report import cells, quality_words, text
from bench.report.document import (
    Block,
    Cell,
    Code,
    Column,
    Emphasis,
    Strong,
    figures,
    name_column,
    paragraph,
    table,
)
from bench.report.unchecked_sentence import unchecked_sentence
from bench.statistics import Estimate, proportion

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


OTHERS = (
    " An answer of a strategy that declares another quality is right before the load if it keeps what is "
    "declared, and in the load if it is the one that the strategy gave before, within the same tolerance."
)
HELD_OUT = paragraph(
    "Each picture of the held-out set was sent once. ",
    Emphasis("Agreement"),
    " is the share of answers with the reference's label, ",
    Emphasis("accuracy"),
    " that with the true class, each with its exact 95% interval (Clopper and Pearson): it says how far "
    "another set of such pictures may differ. ",
    Emphasis("Loss"),
    " is the reference's accuracy on the same pictures less the strategy's.",
)


def answers(analysis: RunAnalysis) -> list[Block]:
    """A row for each strategy whose answers were checked, and what strategies declare, if any declares it.

    Empty if the run says neither.
    """
    return [*_checked(analysis), *_declared(analysis)]


def _declared(analysis: RunAnalysis) -> list[Block]:
    """A row for each strategy with its promise and what it answered to the held-out set.

    Empty of a run in which all are exact and no held-out set was asked.
    """
    summary = analysis.summary
    asked = any(one.held_out for one in summary.declared.values())
    if summary.all_exact and not asked:
        return []
    columns = [name_column("strategy"), Column("declares", "text")]
    columns += (
        figures("held-out pictures", "agreement", "accuracy", "the reference's", "loss") if asked else ()
    )
    columns += [*figures("largest difference, held out"), Column("of", "text")] if asked else []
    rows = [
        [cells.words(name), *_promise(analysis, name, one), *(_held_out(one.held_out) if asked else [])]
        for name, one in summary.declared.items()
    ]
    return [table(columns, rows, "What strategies declare"), *([HELD_OUT] if asked else [])]


def _promise(analysis: RunAnalysis, name: str, one: Declared) -> list[Cell]:
    parity = analysis.run.strategies[name].parity
    by_label = "label" in text.compared(analysis.run)
    return [
        cells.words(quality_words.promise(one.quality, parity.tolerance if parity and by_label else None))
    ]


def _held_out(found: HeldOutResult | None) -> list[Cell]:
    if found is None:
        return [cells.MISSING] * 6 + [cells.BLANK]
    unread = f", {text.spaced(found.unread)} not read" if found.unread else ""
    loss = found.loss
    return [
        Cell(text.spaced(found.answers), after=unread, value=found.answers),
        _share_of(found.same_label, found.answers),
        _share_of(found.right, found.truths),
        _share_of(found.reference_right, found.truths),
        cells.MISSING if loss is None else Cell(f"{100 * loss:.2f}%", value=100 * loss),
        cells.MISSING
        if found.largest_difference is None
        else Cell(text.difference(found.largest_difference), value=found.largest_difference),
        cells.words(found.largest_at),
    ]


def _share_of(part: int, whole: int) -> Cell:
    """A share of pictures with its interval in percent."""
    found = proportion(part, whole)
    if found is None:
        return cells.MISSING
    return Cell(quality_words.share(part, whole), _ends(found), value=100 * found.centre)


def _ends(found: Estimate) -> str:
    low, high = found.low or 0.0, 1.0 if found.high is None else found.high
    return f"{100 * low:.1f}{text.DASH}{100 * high:.1f}"


def _checked(analysis: RunAnalysis) -> list[Block]:
    """A row for each strategy whose answers were checked; empty if the run does not say so."""
    known = {name: result.parity for name, result in analysis.run.strategies.items() if result.parity}
    if not known:
        return []
    by_label = "label" in text.compared(analysis.run)
    rows = [[cells.words(name), *_parity(parity, by_label)] for name, parity in known.items()]
    columns = [name_column("strategy"), *figures("answers asked", "wrong")]
    if by_label:
        columns += [*figures("tolerance", "largest difference"), Column("of", "text")]
    rule = BY_LABEL if by_label else OTHERWISE
    rule = rule if analysis.summary.all_exact else paragraph(*rule.text, OTHERS)
    blocks: list[Block] = [table(columns, rows), rule]
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
