"""What was searched and checked beside the rounds: capacities, objectives, repeats and the tail."""

import numpy as np

from bench import statistics
from bench.analysis.capacities import in_rounds
from bench.analysis.run_analysis import Floats, RunAnalysis
from bench.analysis.summary import Row
from bench.model import REPEAT_ALLOWED, Capacity, Probe, RepeatCheck, SloResult, objective_label
from bench.report import cells, text
from bench.report.document import (
    Block,
    Cell,
    Emphasis,
    case_column,
    figures,
    name_column,
    paragraph,
    table,
)
from bench.report.sections.resources import LABELS, labels
from bench.statistics import Estimate

QUANTILE = CONFIDENCE = 0.99

REPEATED = paragraph(
    "The same few images over and over against copies of which no two bodies are alike. Where repeating is "
    f"more than {100 * (REPEAT_ALLOWED - 1):.0f}% faster, something caches answers and the figures are of "
    "the cache."
)
CAPACITY = paragraph(
    "The most that each answered in a closed loop before the rounds; shares of it became its rates. ",
    Emphasis("In the rounds"),
    " is what the same closed loop answered there, and ",
    Emphasis("before to rounds"),
    " the first to the second: above 1, a share of capacity was in truth a larger share.",
)
SEARCHED = paragraph(
    "The highest rate tried at which the objective held; ",
    Emphasis("goodput"),
    " counts right answers within the bound. Each probe was one trial; a rate that is not listed was not "
    "tried.",
)
POOLED = (
    "Right answers of all valid rounds together. The confidence is for independent requests; those of one "
    "trial are not, as a queue or a stall touches many at once: take the bound for the least that is to be "
    "doubted, and the span of the rounds in the picture beside it."
)
GOODPUT = (
    " ",
    Emphasis("Goodput"),
    " counts the right answers within the objective's bound a second; refused requests are in "
    "neither figure.",
)
PAYLOADS = (name_column("strategy"), case_column("payloads"))


def _payloads(one: Capacity | RepeatCheck | SloResult) -> tuple[Cell, Cell]:
    return cells.words(one.strategy), cells.words(f"{one.payload_class}, {one.encoding}")


def capacities(analysis: RunAnalysis) -> list[Block]:
    """The capacities from which shares became rates."""
    columns = [*PAYLOADS, *figures("clients", "requests/s", "in the rounds", "before to rounds")]
    rows = [_capacity_cells(one, in_rounds(analysis.summary, one)) for one in analysis.run.capacities]
    return [table(columns, rows), CAPACITY] if rows else []


def _capacity_cells(one: Capacity, rate: Estimate | None) -> list[Cell]:
    return [
        *_payloads(one),
        cells.count(one.clients),
        cells.number(one.throughput_rps),
        cells.estimate(rate),
        cells.plain_ratio(one.throughput_rps / rate.centre if rate and rate.centre > 0 else None),
    ]


def repeats(analysis: RunAnalysis) -> list[Block]:
    """Varied against repeated payloads, with a flag if repeating pays."""
    columns = figures("varied, requests/s", "repeated, requests/s", "repeated to varied", "")
    rows = [_repeat_cells(one) for one in analysis.run.repeats]
    return [table([*PAYLOADS, *columns], rows), REPEATED] if rows else []


def _repeat_cells(one: RepeatCheck) -> list[Cell]:
    ratio = one.repeated_rps / one.varied_rps if one.varied_rps > 0 else None
    flagged = ratio is None or ratio > REPEAT_ALLOWED
    return [
        *_payloads(one),
        cells.number(one.varied_rps),
        cells.number(one.repeated_rps),
        cells.plain_ratio(ratio),
        Cell("FLAGGED: answers may be cached", strong=True) if flagged else cells.BLANK,
    ]


def objectives(analysis: RunAnalysis) -> list[Block]:
    """What each strategy holds of its objective; below, every rate that was tried."""
    found = analysis.run.objectives
    if not found:
        return []
    held = figures("capacity, requests/s", "held up to, requests/s", "of capacity", "goodput, requests/s")
    tried = figures("offered/s", "round", "quantile, ms", "goodput/s", "answered/s", "held")
    return [
        table([*PAYLOADS, case_column("objective"), *held], map(_objective_cells, found)),
        table([*PAYLOADS, *tried], [row for one in found for row in _probes(one)]),
        SEARCHED,
    ]


def _objective_cells(one: SloResult) -> list[Cell]:
    held, capacity = one.rate_per_s, one.capacity_rps
    return [
        *_payloads(one),
        cells.words(objective_label(one.quantile, one.bound_ms)),
        cells.number(capacity),
        cells.words(one.why_none or "never held") if held is None else cells.number(held),
        cells.percent(held / capacity if held is not None and capacity > 0 else None),
        cells.number(one.goodput_rps),
    ]


def _probes(one: SloResult) -> list[list[Cell]]:
    return [
        [
            *_payloads(one),
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
    """What the samples bear out of the tail: a bound on p99 at 99% confidence, or how many more it takes.

    It has a row for each strategy and case with samples, and goodput if the run knows an objective's bound.
    """
    summary, latencies = analysis.summary, analysis.latencies
    known = [row for row in summary.rows.values() if (row.strategy, row.case) in latencies]
    if not known:
        return []
    with_bound = any(_objective(analysis, row) is not None for row in known)
    columns = [*LABELS, *figures("right answers", "p99 at 99% confidence")]
    columns += figures("objective", "holds at 99% confidence", "goodput, requests/s") if with_bound else []
    rows = []
    for row in known:
        pooled = np.sort(np.concatenate(latencies[row.strategy, row.case]))
        shown = [*labels(analysis, row), cells.count(len(pooled)), _bound(pooled)]
        rows.append(shown + (_against(analysis, row, pooled) if with_bound else []))
    return [table(columns, rows), paragraph(POOLED, *(GOODPUT if with_bound else ()))]


def _bound(pooled: Floats) -> Cell:
    """`≤ 45.2 ms`, or how many more requests it takes to say anything."""
    bound = statistics.tail_bound(pooled, QUANTILE, CONFIDENCE)
    if bound is not None:
        return Cell(f"≤ {text.number(bound)} ms", value=bound)
    needed = statistics.confirm_tail(len(pooled), 0, QUANTILE, CONFIDENCE).needs_more
    return Cell(f"needs {text.spaced(needed)} more")


def _against(analysis: RunAnalysis, row: Row, pooled: Floats) -> list[Cell]:
    objective = _objective(analysis, row)
    if objective is None:
        return [cells.BLANK] * 3
    within = int(np.searchsorted(pooled, objective.bound_ms, side="right"))
    goodput = within / analysis.windows_s[row.strategy, row.case]
    # what was refused or failed is within no bound
    lost = sum((trial.refused or 0) + trial.errors for trial in analysis.trials(row) if trial.valid)
    held = _confirmed(len(pooled) + lost, len(pooled) + lost - within, objective.quantile)
    bound = Cell(objective_label(objective.quantile, objective.bound_ms), value=objective.bound_ms)
    return [bound, cells.words(held), cells.number(goodput)]


def _confirmed(n: int, over: int, quantile: float) -> str:
    """Whether the samples confirm the bound; if too many are over it, more of them will not."""
    found = statistics.confirm_tail(n, over, quantile, CONFIDENCE)
    if found.confirmed:
        return "yes"
    if over > (1 - quantile) * n:
        return f"no: {text.percent(over / n)} are over"
    return f"needs {text.spaced(found.needs_more)} more, all within"


def _objective(analysis: RunAnalysis, row: Row) -> SloResult | None:
    """The objective of the row's strategy and payloads; a closed loop, which keeps it full, has none."""
    if not row.case.at_due_times:
        return None
    wanted = (row.strategy, row.case.payload_class, row.case.encoding)
    found = (
        one for one in analysis.run.objectives if (one.strategy, one.payload_class, one.encoding) == wanted
    )
    return next(found, None)
