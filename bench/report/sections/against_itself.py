"""A strategy measured against itself under two names: what can this machine tell apart?"""

import textwrap
from dataclasses import dataclass

from bench import statistics
from bench.analysis.comparisons import ALPHA, Compared, compared
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
    Emphasis("Told apart from"),
    ": the least difference that so many rounds find in 80 of 100 runs. ",
    Emphasis("Rounds for"),
    ": how many would find so small a one, with this noise.",
)


@dataclass(frozen=True, slots=True)
class Pair:
    """The two names of one strategy."""

    first: str
    second: str


def pairs_of(run: Run) -> list[Pair]:
    """The strategies that the run measured against themselves, each with its two names.

    They are a strategy and its twin, or the only two of a run, and share one title.
    """
    results = run.strategies
    again = {one.twin.of: name for name, one in results.items() if one.twin and one.twin.side == "again"}
    pairs = [Pair(name, again[name]) for name in results if name in again]
    if not pairs and len(results) == 2:
        pairs = [Pair(*results)]
    return [pair for pair in pairs if results[pair.first].title == results[pair.second].title]


def aa_verdict(run: Run) -> str:
    """What the run says of this machine, in plain text of at most 100 columns.

    Raises UsageError where the run measured no strategy against itself.
    """
    pairs = pairs_of(run)
    if not pairs:
        raise UsageError("this run measured no strategy against itself: make one with `bench aa`")
    summary = summarise(run)
    found = _compared(summary, pairs)
    blocks = []
    for pair in pairs:
        own = [one for one in found if one.strategy == pair.second]
        blocks.append("\n".join(textwrap.wrap(_said(summary, pair, own), WIDTH)))
        blocks += ["\n".join(_plain(summary, one)) for one in own]
    return "\n\n".join(blocks) + "\n"


def against_itself(analysis: RunAnalysis) -> list[Block]:
    """The verdicts and a row for each metric; nothing if the run measured no strategy against itself."""
    summary, pairs = analysis.summary, pairs_of(analysis.run)
    found = _compared(summary, pairs)
    said = [
        paragraph(_said(summary, pair, [one for one in found if one.strategy == pair.second]))
        for pair in pairs
    ]
    if not any(one.comparison.n > 1 for one in found):
        return [*said]
    columns = [
        name_column("strategy"),
        case_column("case"),
        case_column("metric"),
        *figures("again to first", "1 is inside"),
    ]
    columns += figures("sign-flip p", "adjusted p", "rounds", "told apart from")
    columns += figures(*(f"rounds for {100 * effect:g}%" for effect in EFFECTS))
    names = {pair.second: _shown(analysis.run, pair) for pair in pairs}
    return [*said, table(columns, [_cells(summary, one, names[one.strategy]) for one in found]), NOTE]


def _compared(summary: Summary, pairs: list[Pair]) -> tuple[Compared, ...]:
    return compared(summary, {pair.second: pair.first for pair in pairs})


def _said(summary: Summary, pair: Pair, found: list[Compared]) -> str:
    """Whether a difference was shown although there is none, and how small a difference would show."""
    judged = [one for one in found if one.comparison.n > 1]
    if not judged:
        return (
            f"A/A of {pair.first}: fewer than two rounds have both names, so nothing can be said of this "
            "machine: measure more rounds."
        )
    outside = sum(one.comparison.shows_difference for one in judged)
    rounds = max(one.comparison.n for one in judged)
    false = [one for one in judged if one.differs]
    start = f"A/A of {pair.first} over {text.plural(rounds, 'round')}: "
    if false:
        where = text.listing(
            [f"{METRICS[one.metric].heading} ({summary.case_label(one.case)})" for one in false]
        )
        start += f"FALSE DIFFERENCE in {where}: this machine or this method is not to be trusted as it is. "
    else:
        start += "no difference shown where there is none. "
    return (
        f"{start}{outside} of {text.plural(len(judged), '95% interval')} miss 1, where "
        f"{text.number(ALPHA * len(judged))} would by chance. "
        f"This machine tells apart, with {text.plural(rounds, 'round')}: {_smallest(judged)}."
    )


def _smallest(judged: list[Compared]) -> str:
    """For each metric, the least difference that shows in the hardest case."""
    worst: dict[str, float] = {}
    for one in judged:
        effect = one.comparison.minimal_detectable_effect or 0.0
        worst[one.metric] = max(effect, worst.get(one.metric, 0.0))
    return text.listing(
        [f"{METRICS[metric].heading} from {text.percent(effect)} on" for metric, effect in worst.items()]
    )


def _plain(summary: Summary, one: Compared) -> list[str]:
    found = one.comparison
    head = f"{summary.case_label(one.case)}, {METRICS[one.metric].heading}: {text.ratio(found)}"
    if found.n < 2:
        return textwrap.wrap(f"{head}, from one round: no interval.", WIDTH)
    inside = "misses 1" if found.shows_difference else "holds 1"
    needs = " and ".join(f"{_rounds_cell(one, effect).text} for {100 * effect:g}%" for effect in EFFECTS)
    told = (
        f"{head} {inside}, p {text.p_value(found.p_value)}; tells apart differences from "
        f"{text.percent(found.minimal_detectable_effect)} on with {text.plural(found.n, 'round')}; "
        f"rounds needed: {needs}."
    )
    return textwrap.wrap(told, WIDTH, subsequent_indent="  ")


def _shown(run: Run, pair: Pair) -> str:
    twin = run.strategies[pair.second].twin
    return pair.second if twin is None else twin.of


def _cells(summary: Summary, one: Compared, name: str) -> list[Cell]:
    found = one.comparison
    return [
        cells.words(name),
        cells.words(summary.case_label(one.case)),
        cells.words(METRICS[one.metric].heading),
        cells.ratio(found),
        cells.MISSING if found.low is None else cells.words("no" if found.shows_difference else "yes"),
        cells.p_value(found.p_value),
        cells.p_value(one.adjusted_p),
        cells.count(found.n),
        cells.effect(found.minimal_detectable_effect),
        *(_rounds_cell(one, effect) for effect in EFFECTS),
    ]


def _rounds(one: Compared, effect: float) -> int | None:
    """How many rounds find so small a difference with this spread."""
    spread = one.comparison.spread
    return None if spread is None else statistics.rounds_needed(spread, effect)


def _rounds_cell(one: Compared, effect: float) -> Cell:
    rounds = _rounds(one, effect)
    if rounds is None:
        return cells.MISSING
    over = "over " if rounds >= MOST_ROUNDS else ""
    return Cell(f"{over}{text.spaced(rounds)}", value=rounds)
