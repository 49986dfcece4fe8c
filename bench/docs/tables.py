"""What documents quote of a committed run: the README's block of results, the sentence alone, two tables."""

from collections.abc import Collection, Sequence
from dataclasses import replace

from bench.analysis.cases import Case
from bench.analysis.choice import choose
from bench.analysis.comparisons import Compared, NotCompared, compared, not_compared
from bench.analysis.metrics import METRICS, metrics_in
from bench.analysis.summary import Row, Summary, summarise
from bench.errors import UsageError
from bench.model import Run
from bench.report import cells, text
from bench.report.choice_sentence import choice_sentence
from bench.report.document import (
    Block,
    Cell,
    Column,
    Link,
    Strong,
    Table,
    case_column,
    figures,
    name_column,
    paragraph,
    table,
)
from bench.report.key_loads import at_loads
from bench.report.key_table import key_figures
from bench.report.quality_words import DAGGER, OTHER_QUALITY, named
from bench.report.sentence import checked, machine_line
from bench.report.verdict_words import MANY, NOT_TOLD_APART, STAR, why_not_compared
from bench.report.writers import markdown

Which = tuple[frozenset[tuple[str, Case]], str]
OWN_RATES = cells.words("own rates")


def results_block(run: Run, link: str, command: str) -> str:
    """Whom to choose, the one table, the machine, a picture below `link`, and the commands that made it."""
    summary = summarise(run)
    spread = "One round: no intervals." if summary.one_round else "In brackets: 95% intervals over rounds."
    blocks: list[Block] = [
        paragraph(Strong(choice_sentence(run, summary))),
        *key_figures(run, summary),
        paragraph(f"{checked(run, summary)} Measured {at_loads(summary)}{machine_line(run)}. {spread}"),
    ]
    lines = [*markdown.blocks(blocks), "", f"![throughput]({link}/plots/throughput.png)"]
    lines += ["", f"From [{link}]({link}/report.md), made by `{run.command}` and spliced in by `{command}`."]
    return "\n".join(lines) + "\n"


def verdict(run: Run, link: str) -> str:
    """Whom to choose, in a sentence; below it the machine and a link to the report."""
    summary = summarise(run)
    blocks: list[Block] = [
        paragraph(Strong(choice_sentence(run, summary))),
        paragraph(
            f"Measured {at_loads(summary)}{machine_line(run)}: ", Link("the report", f"{link}/report.md"), "."
        ),
    ]
    return "\n".join(markdown.blocks(blocks)) + "\n"


def ratios(run: Run, strategy: str | None = None) -> str:
    """The strategy against every other one of the run, paired by round: a row for each case and rival.

    Without a strategy it is the one to start with. Raises UsageError if the run does not have it.
    """
    summary = summarise(run)
    if strategy is None:
        strategy = choose(run, summary).pick
    if strategy is None:
        raise UsageError("by that run there is no strategy to start with: name one")
    if strategy not in summary.strategies:
        raise UsageError(f"{strategy} is not in that run: it has {', '.join(summary.strategies)}")
    found = {
        (case, rival): {one.metric: one for one in compared(summary, {strategy: rival}) if one.case == case}
        for case in summary.cases
        for rival in summary.strategies
        if rival != strategy
    }
    columns = [
        case_column("load"),
        case_column("payloads"),
        name_column(f"{named(summary, strategy)} against"),
    ]
    columns += figures(*(metric.heading for metric in metrics_in("comparisons")), "rounds")
    other = not all(summary.same_work(strategy, rival) for rival in summary.strategies)
    # among all comparisons of the run, as its report judges them
    chance = {_which(one) for one in compared(summary) if _chance(one)}
    rows = [
        [
            *map(cells.words, (case.load, summary.payload_label(case), named(summary, rival))),
            *_ratio_cells(by_metric, chance),
        ]
        for (case, rival), by_metric in found.items()
    ]
    starred = any(_which(one) in chance for by_metric in found.values() for one in by_metric.values())
    return _written(table(columns, rows), starred=starred, other_quality=other)


def lateness(run: Run) -> str:
    """The p50 and p99 of each strategy in ms from the instant a request was due: a row for each open load.

    Beside them stand the share of capacity that was reached, and whose p99 is shown to be the least.

    If a load was too much for a strategy, its cells have the least and the most of the rounds, in how many
    trials it was, and how many requests it refused.

    Raises UsageError if the run has no open load.
    """
    summary = summarise(run)
    cases = [case for case in summary.cases if case.at_due_times]
    if not cases:
        raise UsageError("that run has no open load: name one made with --rate or --load")
    known = any(row.utilisation for row in summary.rows.values())
    columns = [name_column("offered"), case_column("payloads")]
    for name in summary.strategies:
        headers = [METRICS[quantile].heading for quantile in ("p50", "p99")]
        columns += figures(
            *(
                f"{named(summary, name)} {header}"
                for header in [*(["of capacity"] if known else []), *headers]
            )
        )
    columns += [Column("least late by p99", "text")] if len(summary.strategies) > 1 else []
    family, unequal = compared(summary), not_compared(summary)
    every = [_least_late(summary, case, family, unequal) for case in cases]
    rows = [
        [
            cells.words(case.load),
            cells.words(summary.payload_label(case)),
            *(
                cell
                for name in summary.strategies
                for cell in _late(summary.rows.get((name, case)), known=known)
            ),
            *([least] if len(summary.strategies) > 1 else []),
        ]
        for case, least in zip(cases, every, strict=True)
    ]
    return _written(table(columns, rows), starred=any(one.text.endswith(STAR) for one in every))


def _late(row: Row | None, *, known: bool) -> list[Cell]:
    """A strategy's share of capacity, if any is known, and its p50 and p99."""
    reached = cells.MISSING if row is None else cells.utilisation(row)
    return [*([reached] if known else []), *(_latency(row, quantile) for quantile in ("p50", "p99"))]


def _least_late(
    summary: Summary, case: Case, family: Sequence[Compared], unequal: Sequence[NotCompared]
) -> Cell:
    """The strategy whose p99 is shown to be below every other's; else why there is none.

    Rates of their own rank nobody.
    """
    late = {
        name: p99.centre
        for name in summary.strategies
        if (row := summary.rows.get((name, case))) and (p99 := row.estimates["p99"])
    }
    pairs = [one.pairing for one in unequal if one.pairing.case == one.pairing.base_case == case]
    why = [
        why_not_compared(one) for one in unequal if one.pairing in pairs and one.pairing.relation != "cases"
    ]
    if why:
        return cells.words(why[0] if len(set(why)) == 1 else "not compared: not equally busy, or overloaded")
    if not case.same_for_all:
        return OWN_RATES
    if len(late) < 2:
        return cells.MISSING
    least = min(late, key=lambda name: late[name])
    here = [one for one in family if one.metric == "p99" and one.case == one.base_case == case]
    beaten = {
        one.base if one.strategy == least else one.strategy
        for one in here
        if one.differs and least in (one.strategy, one.base)
    }
    if beaten >= late.keys() - {least}:
        return cells.words(named(summary, least))
    by_chance = any(_chance(one) for one in here if least in (one.strategy, one.base))
    return cells.words(NOT_TOLD_APART + (STAR if by_chance else ""))


def _chance(one: Compared) -> bool:
    """Whether its interval excludes 1, but so may that of one of so many comparisons by chance."""
    return one.outcome == "open among many"


def _which(one: Compared) -> Which:
    """What is compared with what in which metric, whichever of the two comes first."""
    return frozenset(((one.strategy, one.case), (one.base, one.base_case))), one.metric


def _written(found: Table, *, starred: bool, other_quality: bool = False) -> str:
    """The table and, if a cell has the star or the dagger, what they say."""
    notes = [*([MANY] if starred else []), *([f"{OTHER_QUALITY}."] if other_quality else [])]
    return "\n".join(markdown.blocks([found, *map(paragraph, notes)])) + "\n"


def _ratio_cells(by_metric: dict[str, Compared], chance: Collection[Which]) -> list[Cell]:
    """A ratio for each metric, with the number of its rounds if others have more; last, that number."""
    most = max((one.comparison.n for one in by_metric.values()), default=0)
    return [
        *(_ratio(by_metric.get(one.name), most, chance) for one in metrics_in("comparisons")),
        cells.count(most),
    ]


def _ratio(one: Compared | None, most: int, chance: Collection[Which]) -> Cell:
    if one is None:
        return cells.MISSING
    few = f" in {text.plural(one.comparison.n, 'round')}" if one.comparison.n < most else ""
    marks = ("" if one.same_work else DAGGER) + (STAR if _which(one) in chance else "")
    return cells.ratio(one.comparison, marks + few)


def _latency(row: Row | None, quantile: str) -> Cell:
    if row is None:
        return cells.MISSING
    refused = f": {text.spaced(row.refused)} refused" if row.refused else ""
    found = cells.of_row(row, METRICS[quantile], said=True)
    return replace(found, after=found.after + refused)
