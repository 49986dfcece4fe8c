"""A strategy measured against itself under two names: what can this machine tell apart?"""

import textwrap

from bench.analysis.against_itself import (
    Pair,
    SelfTest,
    pairs_of,
    rounds_needed,
    self_comparisons,
    self_tests,
)
from bench.analysis.comparisons import ENOUGH_ROUNDS, Compared
from bench.analysis.metrics import METRICS
from bench.analysis.run_analysis import RunAnalysis
from bench.analysis.summary import Summary, summarise
from bench.errors import UsageError
from bench.model import Run
from bench.report import cells, text
from bench.report.document import Block, Cell, Emphasis, case_column, figures, name_column, paragraph, table
from bench.statistics.ratios import MOST_ROUNDS

WIDTH = 100
EFFECTS = (0.05, 0.02)

NOTE = paragraph(
    "Both names are the same strategy, so every ratio should be 1 but for noise: of 95% intervals, five in "
    "100 miss it by chance. ",
    Emphasis("Detectable change"),
    ": the smallest that so many rounds find in 80 of 100 runs. ",
    Emphasis("Rounds for"),
    ": how many rounds would find a change of that size, with this noise.",
)


def aa_verdict(run: Run) -> str:
    """What the run says of this machine, in plain text of at most 100 columns.

    Raises UsageError if the run did not measure a strategy against itself.
    """
    pairs = pairs_of(run)
    if not pairs:
        raise UsageError("this run measured no strategy against itself: make one with `python -m bench aa`")
    summary = summarise(run)
    blocks = []
    for test in self_tests(pairs, self_comparisons(summary, pairs)):
        blocks.append("\n".join(textwrap.wrap(_verdict(summary, test), WIDTH)))
        blocks += ["\n".join(_plain(summary, one)) for one in test.comparisons]
    return "\n\n".join(blocks) + "\n"


def too_few_rounds(rounds: int) -> str | None:
    """What so many rounds cannot conclude, and how many can; None if they are enough."""
    if rounds >= ENOUGH_ROUNDS:
        return None
    if rounds == 1:
        cannot = "one round has no intervals, so nothing can be said of this machine"
    else:
        cannot = f"in {rounds} rounds the signs of the differences cannot show that one is more than chance"
    return f"{cannot}: take {ENOUGH_ROUNDS} rounds, as without --rounds"


def against_itself(analysis: RunAnalysis) -> list[Block]:
    """The verdicts and a row for each metric; empty if the run did not measure a strategy against itself."""
    summary, pairs = analysis.summary, pairs_of(analysis.run)
    comparisons = self_comparisons(summary, pairs)
    tests = self_tests(pairs, comparisons)
    verdicts = [paragraph(_verdict(summary, test)) for test in tests]
    if not any(test.judged for test in tests):
        return [*verdicts]
    columns = [
        name_column("strategy"),
        case_column("case"),
        case_column("metric"),
        *figures("again to first", "1 is inside"),
    ]
    columns += figures("sign-flip p", "adjusted p", "rounds", "detectable change")
    columns += figures(*(f"rounds for {100 * effect:g}%" for effect in EFFECTS))
    names = {pair.second: _shown(analysis.run, pair) for pair in pairs}
    rows = [_cells(summary, one, names[one.strategy]) for one in comparisons]
    return [*verdicts, table(columns, rows), NOTE]


def _verdict(summary: Summary, test: SelfTest) -> str:
    """Whether a difference was shown although both are the same, and how small a difference would show."""
    first = test.pair.first
    if not test.judged:
        return (
            f"A/A of {first}: fewer than two rounds have both names, so nothing can be said of this "
            "machine: measure more rounds."
        )
    rounds = text.plural(test.rounds, "round")
    if test.false_differences:
        false = [
            f"{METRICS[one.metric].heading} ({summary.case_label(one.case)})"
            for one in test.false_differences
        ]
        shown = (
            f"FALSE DIFFERENCE in {text.listing(false)}: this machine or this method is not to be trusted as "
            "it is."
        )
    else:
        shown = "no difference shown where there is none."
    smallest = [
        f"{METRICS[metric].heading} {text.percent(effect)}" for metric, effect in test.detectable.items()
    ]
    return (
        f"A/A of {first} over {rounds}: {shown} "
        f"{test.outside} of {text.plural(len(test.judged), '95% interval')} miss 1, where "
        f"{text.number(test.expected_outside)} would by chance. "
        f"The detectable change on this machine, with {rounds}: {text.listing(smallest)}."
    )


def _plain(summary: Summary, one: Compared) -> list[str]:
    comparison = one.comparison
    head = f"{summary.case_label(one.case)}, {METRICS[one.metric].heading}: {text.ratio(comparison)}"
    if comparison.n < 2:
        return textwrap.wrap(f"{head}, from one round: no interval.", WIDTH)
    inside = "misses 1" if comparison.shows_difference else "holds 1"
    needs = " and ".join(f"{_rounds_cell(one, effect).text} for {100 * effect:g}%" for effect in EFFECTS)
    sentence = (
        f"{head} {inside}, p {text.p_value(comparison.p_value)}; the detectable change is "
        f"{text.percent(comparison.minimal_detectable_effect)} with {text.plural(comparison.n, 'round')}; "
        f"rounds needed: {needs}."
    )
    return textwrap.wrap(sentence, WIDTH, subsequent_indent="  ")


def _shown(run: Run, pair: Pair) -> str:
    twin = run.strategies[pair.second].twin
    return pair.second if twin is None else twin.of


def _cells(summary: Summary, one: Compared, name: str) -> list[Cell]:
    comparison = one.comparison
    return [
        cells.words(name),
        cells.words(summary.case_label(one.case)),
        cells.words(METRICS[one.metric].heading),
        cells.ratio(comparison),
        cells.MISSING
        if comparison.low is None
        else cells.words("no" if comparison.shows_difference else "yes"),
        cells.p_value(comparison.p_value),
        cells.p_value(one.adjusted_p),
        cells.count(comparison.n),
        cells.effect(comparison.minimal_detectable_effect),
        *(_rounds_cell(one, effect) for effect in EFFECTS),
    ]


def _rounds_cell(one: Compared, effect: float) -> Cell:
    rounds = rounds_needed(one, effect)
    if rounds is None:
        return cells.MISSING
    over = "over " if rounds >= MOST_ROUNDS else ""
    return Cell(f"{over}{text.spaced(rounds)}", value=rounds)
