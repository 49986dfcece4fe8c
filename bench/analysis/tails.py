"""What response times say of the tail: curves as far as the samples support them, and confirmed bounds."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from bench import statistics
from bench.analysis.cases import Case
from bench.analysis.responses import WindowResponses
from bench.analysis.run_analysis import Floats, Latencies, RunAnalysis
from bench.analysis.summary import Row
from bench.model import SloResult
from bench.statistics import TailConfirmation

POINTS = 80
FIRST = 0.1
READ_MOST = (0.5, 0.9, 0.95, 0.99, 0.999, 0.9999)
# the quantile for which a bound is given, and the confidence of that bound
BOUNDED_QUANTILE = BOUND_CONFIDENCE = 0.99


@dataclass(frozen=True, slots=True)
class Curve:
    """Latency in ms at each quantile, pooled over rounds, with the lowest and highest of the rounds.

    Beyond the quantiles that every round supports, the lowest and highest are NaN.
    """

    quantiles: Floats
    latency_ms: Floats
    lowest_ms: Floats
    highest_ms: Floats
    n: int
    rounds: int


def curves(latencies: Latencies) -> dict[tuple[str, Case], Curve]:
    """The curve of each strategy and case that has enough samples."""
    every = {key: curve(rounds) for key, rounds in latencies.items()}
    return {key: value for key, value in every.items() if value is not None}


def curve(rounds: Iterable[Floats]) -> Curve | None:
    """Pool rounds into one curve; None if there are too few samples for any quantile."""
    ordered = [np.sort(latencies) for latencies in rounds]
    pooled = np.sort(np.concatenate(ordered)) if ordered else np.empty(0)
    top = statistics.greatest_quantile(len(pooled))
    if top == 0:
        return None
    evenly = 1 - np.logspace(np.log10(1 - FIRST), np.log10(1 - top), POINTS)
    quantiles = np.union1d(evenly, [quantile for quantile in READ_MOST if quantile <= top])
    each = np.array([_at(latencies, quantiles) for latencies in ordered])
    # NaN, which hides the span, wherever one round does not reach
    lowest, highest = each.min(axis=0), each.max(axis=0)
    return Curve(quantiles, _at(pooled, quantiles), lowest, highest, len(pooled), len(ordered))


Withheld = Literal["overloaded", "chosen", "unrecorded"]
"""Why nothing is confirmed: the tail of an overloaded service grows for as long as it is driven; a search
chose the rate because its trials held, so they cannot confirm it too; or a trial that the service spoiled has
no samples, and so all its requests are missing."""


@dataclass(frozen=True, slots=True)
class ObjectiveEvidence:
    """Whether a row's rounds confirm the objective of its strategy.

    `goodput_rps` counts right answers within the bound.
    """

    objective: SloResult
    confirmation: TailConfirmation
    goodput_rps: float


@dataclass(frozen=True, slots=True)
class TailEvidence:
    """What a row's rounds say of its tail, at 99% confidence.

    A round that is void by the service's own doing tells of its tail as much as others: a bound that rests on
    the others alone is chosen by its outcome. `rounds` counts them all, and `void_rounds` those that are
    void. A round that host, driver or harness spoiled is left out.

    `requests` counts those of all windows, with or without a right answer. `bound_ms` is the least bound that
    the rounds confirm for p99; it is None if they confirm none, and `of_any` says what that would take. If
    the evidence is `withheld`, both are None, and `objective` may be refuted but not confirmed. `objective`
    is None if the row has no objective.
    """

    row: Row
    rounds: int
    requests: int
    bound_ms: float | None
    of_any: TailConfirmation | None
    objective: ObjectiveEvidence | None
    void_rounds: int = 0
    withheld: Withheld | None = None


def tail_evidence(analysis: RunAnalysis) -> list[TailEvidence]:
    """The evidence of each row that has samples of a valid trial; of a search, of the rates that held."""
    summary = analysis.summary
    rows = [row for row in summary.rows.values() if not summary.searched or row.case in summary.focus]
    return [_evidence(analysis, row) for row in rows if (row.strategy, row.case) in analysis.latencies]


def _evidence(analysis: RunAnalysis, row: Row) -> TailEvidence:
    windows = analysis.responses[row.strategy, row.case]
    rounds = [one.times_ms for one in windows]
    told = TailEvidence(
        row=row,
        rounds=len(rounds),
        requests=sum(map(len, rounds)),
        bound_ms=None,
        of_any=None,
        objective=_against(windows, _objective(analysis, row)),
        void_rounds=sum(not one.valid for one in windows),
        withheld=_withheld(analysis, row, windows),
    )
    if told.withheld is not None:
        return told
    # a bound that is infinite is none: what it takes is judged at the slowest right answer
    bound_ms = statistics.tail_bound(rounds, BOUNDED_QUANTILE, BOUND_CONFIDENCE)
    of_any = statistics.confirm_tail(rounds, _slowest_ms(rounds), BOUNDED_QUANTILE, BOUND_CONFIDENCE)
    return replace(told, bound_ms=bound_ms if of_any.confirmed else None, of_any=of_any)


def _withheld(analysis: RunAnalysis, row: Row, windows: Sequence[WindowResponses]) -> Withheld | None:
    trials = analysis.trials(row)
    if any(trial.overloaded for trial in trials):
        return "overloaded"
    if row.case.kind == "held":
        return "chosen"
    spoiled = sum(trial.void_by_service for trial in trials)
    recorded = sum(not one.valid and len(one.times_ms) > 0 for one in windows)
    return "unrecorded" if recorded < spoiled else None


def _slowest_ms(rounds: Sequence[Floats]) -> float:
    """The response time of the slowest right answer; 0 if there is none."""
    return max((float(times.max(initial=0.0, where=np.isfinite(times))) for times in rounds), default=0.0)


def _against(windows: Sequence[WindowResponses], objective: SloResult | None) -> ObjectiveEvidence | None:
    if objective is None:
        return None
    rounds = [one.times_ms for one in windows]
    within = sum(int((times <= objective.bound_ms).sum()) for times in rounds)
    return ObjectiveEvidence(
        objective=objective,
        confirmation=statistics.confirm_tail(
            rounds, objective.bound_ms, objective.quantile, BOUND_CONFIDENCE
        ),
        goodput_rps=within / sum(one.window_s for one in windows),
    )


def _objective(analysis: RunAnalysis, row: Row) -> SloResult | None:
    """The objective of the row's strategy and payloads; None in a closed loop, which keeps a service full."""
    if not row.case.at_due_times:
        return None
    wanted = (row.strategy, row.case.payload_class, row.case.encoding)
    for one in analysis.run.objectives:
        if (one.strategy, one.payload_class, one.encoding) == wanted:
            return one
    return None


def quantiles(latencies: Floats, wanted: Floats) -> Floats:
    """Nearest-rank quantiles of latencies in any order; NaN where these are too few."""
    return _at(np.sort(latencies), wanted)


def _at(ordered: Floats, quantiles: Floats) -> Floats:
    """Nearest-rank quantiles of sorted values; NaN beyond the highest quantile that their number supports."""
    if len(ordered) == 0:
        return np.full(len(quantiles), np.nan)
    ranks = np.clip(np.ceil(len(ordered) * quantiles - 1e-9).astype(int), 1, len(ordered))
    values: Floats = ordered[ranks - 1].copy()
    values[quantiles > statistics.greatest_quantile(len(ordered)) + 1e-12] = np.nan
    return values
