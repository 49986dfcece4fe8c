"""What was searched and checked beside the rounds: capacities, objectives, repeats and the tail."""

import math

from bench.analysis.objectives import check_capacity, may_cache, repeated_to_varied, share_held
from bench.analysis.run_analysis import RunAnalysis
from bench.analysis.tails import TailEvidence, Withheld, tail_evidence
from bench.model import REPEAT_ALLOWED, Capacity, Probe, RepeatCheck, SloResult, objective_label
from bench.report import cells, text
from bench.report.document import (
    Block,
    Cell,
    Emphasis,
    Folded,
    case_column,
    figures,
    name_column,
    paragraph,
    table,
)
from bench.report.sections.resources import LABELS, labels
from bench.statistics import TailConfirmation
from bench.statistics.tail_bounds import LEAST_ROUNDS

REPEATED = paragraph(
    "The same few requests, sent over and over, against copies of which no two bodies are alike. If repeated "
    f"requests are answered more than {100 * (REPEAT_ALLOWED - 1):.0f}% faster, something caches answers: "
    "the figures are the cache's."
)
CAPACITY = paragraph(
    "What each strategy answered in a closed loop before the rounds; its rates are shares of that. ",
    Emphasis("In the rounds"),
    " is what the same closed loop answered in the rounds, and ",
    Emphasis("before to rounds"),
    " is the first divided by the second: above 1, a share of capacity was in truth a larger share.",
)
SEARCHED = paragraph(
    "The highest rate at which fresh trials, taken together, held the objective; ",
    Emphasis("goodput"),
    " counts right answers within the bound, in all its trials. Each probe was one trial, and ",
    Emphasis("round"),
    " counts the trials of its rate; a rate that is not listed was not tried.",
)
BY_ROUNDS = (
    "Over all requests of the rounds; a request without a right answer is later than every bound. A round "
    "that the service itself made invalid counts here, because the other rounds would be its best; a round "
    "that host, driver or harness spoiled does not count. Requests that queue are late together, so they "
    "count as fewer independent requests: the more the number of late requests scatters over blocks and "
    "rounds, the fewer. At least three rounds are needed. A stall that did not come while it was measured "
    "is in no bound."
)
WITHHELD: dict[Withheld, str] = {
    "overloaded": "overloaded",
    "chosen": "the search chose the rate by these rounds: `python -m bench run` with --rate makes others",
    "unrecorded": "a round that the service spoiled has no samples",
}
GOODPUT = (
    " ",
    Emphasis("Goodput"),
    " counts the right answers per second within the objective's bound.",
)
PAYLOADS = (name_column("strategy"), case_column("payloads"))


def _payloads(one: Capacity | RepeatCheck | SloResult, analysis: RunAnalysis) -> tuple[Cell, Cell]:
    mark = analysis.summary.unchecked_mark(one.payload_class)
    shown = cells.strategy(analysis.summary, one.strategy)
    return shown, cells.words(f"{one.payload_class}, {one.encoding}{mark}")


def capacities(analysis: RunAnalysis) -> list[Block]:
    """The capacities from which shares became rates."""
    columns = [*PAYLOADS, *figures("clients", "requests/s", "in the rounds", "before to rounds")]
    checks = (check_capacity(analysis.summary, one) for one in analysis.run.capacities)
    rows = [
        [
            *_payloads(one.capacity, analysis),
            cells.count(one.capacity.clients),
            cells.number(one.capacity.throughput_rps),
            cells.estimate(one.in_rounds),
            cells.plain_ratio(one.before_to_rounds),
        ]
        for one in checks
    ]
    return [table(columns, rows), CAPACITY] if rows else []


def repeats(analysis: RunAnalysis) -> list[Block]:
    """Varied against repeated payloads, with a flag if repeating pays."""
    columns = figures("varied, requests/s", "repeated, requests/s", "repeated to varied", "")
    rows = [_repeat_cells(one, analysis) for one in analysis.run.repeats]
    return [table([*PAYLOADS, *columns], rows), REPEATED] if rows else []


def _repeat_cells(one: RepeatCheck, analysis: RunAnalysis) -> list[Cell]:
    return [
        *_payloads(one, analysis),
        cells.number(one.varied_rps),
        cells.number(one.repeated_rps),
        cells.plain_ratio(repeated_to_varied(one)),
        Cell("FLAGGED: answers may be cached", strong=True) if may_cache(one) else cells.BLANK,
    ]


def objectives(analysis: RunAnalysis) -> list[Block]:
    """What each strategy holds of its objective; below, every rate that was tried."""
    results = analysis.run.objectives
    if not results:
        return []
    held = figures("capacity, requests/s", "held up to, requests/s", "of capacity", "goodput, requests/s")
    tried = figures("offered/s", "round", "quantile, ms", "goodput/s", "answered/s", "held")
    return [
        table(
            [*PAYLOADS, case_column("objective"), *held], [_objective_cells(one, analysis) for one in results]
        ),
        Folded(
            "Every rate that was tried",
            (table([*PAYLOADS, *tried], [row for one in results for row in _probes(one, analysis)]),),
        ),
        SEARCHED,
    ]


def _objective_cells(one: SloResult, analysis: RunAnalysis) -> list[Cell]:
    held = one.rate_per_s
    return [
        *_payloads(one, analysis),
        cells.words(objective_label(one.quantile, one.bound_ms)),
        cells.number(one.capacity_rps),
        cells.words(one.why_none or "never held") if held is None else cells.number(held),
        cells.percent(share_held(one)),
        cells.number(one.goodput_rps),
    ]


def _probes(one: SloResult, analysis: RunAnalysis) -> list[list[Cell]]:
    return [
        [
            *_payloads(one, analysis),
            cells.number(probe.rate_per_s),
            cells.count(probe.round),
            cells.number(probe.quantile_ms),
            cells.number(probe.goodput_rps),
            cells.number(probe.throughput_rps),
            cells.words(_held(probe)),
        ]
        for probe in sorted(one.probes, key=lambda probe: (probe.rate_per_s, probe.round))
    ]


def _held(probe: Probe) -> str:
    if probe.held:
        return "yes"
    word = "no" if probe.known else "not known"
    return f"{word}: {probe.why_not}" if probe.why_not else word


def tails(analysis: RunAnalysis) -> list[Block]:
    """What the rounds say of the tail: a bound on p99 at 99% confidence, or what it would take.

    It has a row for each strategy and case with samples, and goodput if the run knows an objective's bound.
    """
    evidence = tail_evidence(analysis)
    if not evidence:
        return []
    with_bound = any(one.objective is not None for one in evidence)
    columns = [*LABELS, *figures("rounds", "requests", "p99 at 99% confidence")]
    columns += figures("objective", "holds at 99% confidence", "goodput, requests/s") if with_bound else []
    rows = [
        [
            *labels(analysis, one.row),
            _rounds(one),
            cells.count(one.requests),
            _bound(one),
            *(_against(one) if with_bound else []),
        ]
        for one in evidence
    ]
    return [table(columns, rows), paragraph(BY_ROUNDS, *(GOODPUT if with_bound else ()))]


def _rounds(one: TailEvidence) -> Cell:
    """How many rounds, and how many of them are invalid."""
    if not one.void_rounds:
        return cells.count(one.rounds)
    return Cell(f"{one.rounds}, {one.void_rounds} invalid", value=one.rounds)


def _bound(one: TailEvidence) -> Cell:
    """`≤ 45.2 ms`, or what it takes to say anything."""
    if one.bound_ms is not None:
        return Cell(f"\N{LESS-THAN OR EQUAL TO} {text.number(one.bound_ms)} ms", value=one.bound_ms)
    if one.withheld is not None or one.of_any is None:
        return Cell(f"none: {WITHHELD[one.withheld or 'unrecorded']}")
    if one.of_any.refuted:
        return Cell(f"none: {text.percent(one.of_any.share_over)} have no right answer")
    return Cell(_needs(one.of_any, one.rounds))


def _against(one: TailEvidence) -> list[Cell]:
    if one.objective is None:
        return [cells.BLANK] * 3
    objective, found = one.objective.objective, one.objective.confirmation
    bound = Cell(objective_label(objective.quantile, objective.bound_ms), value=objective.bound_ms)
    told = _confirmed(found, one.rounds)
    if one.withheld is not None and not found.refuted:
        told = f"not judged: {WITHHELD[one.withheld]}"
    return [bound, cells.words(told), cells.number(one.objective.goodput_rps)]


def _confirmed(found: TailConfirmation, rounds: int) -> str:
    """Whether the rounds confirm the bound, and if not, what could."""
    if found.confirmed:
        return "yes"
    if found.refuted:
        return f"no: {text.percent(found.share_over)} are over"
    return f"not confirmed: {_needs(found, rounds)}"


def _needs(found: TailConfirmation, rounds: int) -> str:
    """`needs 3 more rounds`, like these if their windows are long enough; at least, if they are few."""
    number = found.more_rounds or 0
    more = f"{'at least ' if rounds < LEAST_ROUNDS else ''}{text.spaced(number)} more"
    more += " round" if number == 1 else " rounds"
    if found.times_as_long > 1:
        return f"needs windows {math.ceil(found.times_as_long)} times as long, and {more}"
    return f"needs {more}"
