"""How near a service comes to its own limit: its pipeline in a bare loop, without HTTP."""

from collections.abc import Sequence
from dataclasses import dataclass

from bench import statistics
from bench.analysis.metrics import METRICS
from bench.analysis.summary import Row, Summary, rows_at
from bench.model import LoopResult, Run, StrategyResult
from bench.statistics import Estimate


@dataclass(frozen=True, slots=True)
class OwnLimit:
    """The rate and the CPU time of a strategy's bare loop over one class of payloads: one entry a round.

    `batch_size` is that of its engine if the limit is that of the loop's parts, one after the other: the
    whole loop takes one request at a time, and an engine that takes batches would beat it.
    """

    requests_per_s: tuple[float, ...]
    cpu_ms_per_request: tuple[float, ...]
    batch_size: int | None = None


@dataclass(frozen=True, slots=True)
class LimitShare:
    """How near a row comes to its limit.

    `of_rate` is its throughput as a share of the limit's rate, None under an open load, which sets the
    throughput. `of_cpu` is the limit's CPU time of a request as a share of the service's.
    """

    row: Row
    limit: OwnLimit
    rate: Estimate | None
    cpu_ms: Estimate | None
    of_rate: Estimate | None
    of_cpu: Estimate | None


def own_limit(result: StrategyResult | None, payload_class: str) -> OwnLimit | None:
    """The limit of a strategy over these payloads; None if its loop was not taken."""
    loops = {one.part: one for one in (result.loops if result else ()) if one.payload_class == payload_class}
    whole, prepare, infer = (loops.get(part) for part in ("whole", "prepare", "infer"))
    if prepare is not None and infer is not None and (infer.batch_size or 1) > 1:
        return _one_after_the_other(prepare, infer)
    return None if whole is None else OwnLimit(whole.requests_per_s, whole.cpu_ms_per_request)


def _one_after_the_other(prepare: LoopResult, infer: LoopResult) -> OwnLimit:
    rates = zip(prepare.requests_per_s, infer.requests_per_s, strict=False)
    cpu_ms = zip(prepare.cpu_ms_per_request, infer.cpu_ms_per_request, strict=False)
    return OwnLimit(
        tuple(1 / (1 / a + 1 / b) for a, b in rates if a > 0 and b > 0),
        tuple(a + b for a, b in cpu_ms),
        infer.batch_size,
    )


def limit_shares(run: Run, summary: Summary) -> tuple[LimitShare, ...]:
    """How near each strategy comes to its limit in the cases that stand for the run, as far as loops tell.

    A row that was overloaded repeats no state, and is left out.
    """
    rows = (row for row in rows_at(summary, summary.focus) if not row.overloaded)
    limits = [(row, own_limit(run.strategies.get(row.strategy), row.case.payload_class)) for row in rows]
    return tuple(_share(row, limit) for row, limit in limits if limit is not None)


def _share(row: Row, limit: OwnLimit) -> LimitShare:
    rates, cpu_ms = _positive(limit.requests_per_s), _positive(limit.cpu_ms_per_request)
    scale = METRICS["cpu"].scale
    used = [value * scale for value in row.rounds["cpu"].values()]
    answered = [] if row.case.at_due_times else list(row.rounds["throughput"].values())
    return LimitShare(
        row,
        limit,
        statistics.geometric_mean(rates),
        statistics.geometric_mean(cpu_ms),
        statistics.unpaired_ratio(rates, answered),
        statistics.unpaired_ratio(used, cpu_ms),
    )


def _positive(values: Sequence[float]) -> list[float]:
    return [value for value in values if value > 0]
