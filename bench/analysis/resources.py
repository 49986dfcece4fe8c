"""What the accounting of containers, host and GPU says beside CPU time and memory."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from bench.analysis.cases import Case
from bench.analysis.run_analysis import RunAnalysis
from bench.analysis.summary import Row
from bench.model import ResourceFigures, Trial
from bench.statistics import median


@dataclass(frozen=True, slots=True)
class Accounting:
    """One strategy's network bytes, throttling and stolen time with one class of payloads, over all loads.

    `case` is the first of its cases. Bytes are those of a request, medians of the valid trials;
    `throttled_periods` is a sum over all trials; `stolen_median` and `stolen_most` are shares of the service
    cores' time that the host took in a trial; `other_on_service_most` and `other_on_driver_most` are the most
    that other processes used of their cores in a trial; `kernel_peak_bytes` is a median of the valid trials.
    """

    strategy: str
    case: Case
    received_bytes: float | None
    sent_bytes: float | None
    throttled_periods: int | None
    stolen_median: float | None
    stolen_most: float | None
    other_on_service_most: float | None
    other_on_driver_most: float | None
    kernel_peak_bytes: float | None


@dataclass(frozen=True, slots=True)
class GpuUse:
    """How a row's valid trials used the GPU, as medians: busy share, memory, energy per request."""

    row: Row
    busy: float | None
    peak_memory_bytes: float | None
    joules_a_request: float | None


def accounting(analysis: RunAnalysis) -> list[Accounting]:
    """The accounting of each strategy and class of payloads that has any: no figure depends on the load."""
    groups: dict[tuple[str, str, str], list[Row]] = {}
    for row in analysis.summary.rows.values():
        groups.setdefault((row.strategy, row.case.payload_class, row.case.encoding), []).append(row)
    of_groups = (_accounting(analysis, rows) for rows in groups.values())
    return [one for one in of_groups if one is not None]


def gpu_use(analysis: RunAnalysis) -> list[GpuUse]:
    """The use of the GPU by each row that has any."""
    uses = []
    for row in analysis.summary.rows.values():
        trials = [trial for trial in analysis.trials(row) if trial.valid]
        gpus = [trial.resources.gpu for trial in trials if trial.resources and trial.resources.gpu]
        if gpus:
            busy = _median([gpu.utilisation for gpu in gpus])
            memory = _median([gpu.peak_memory_bytes for gpu in gpus])
            uses.append(GpuUse(row, busy, memory, _a_request(trials, _energy_j)))
    return uses


def _accounting(analysis: RunAnalysis, rows: Sequence[Row]) -> Accounting | None:
    trials = [trial for row in rows for trial in analysis.trials(row) if trial.resources]
    if not trials:
        return None
    figures = [trial.resources for trial in trials if trial.resources]
    stolen = [one.stolen for one in figures if one.stolen is not None]
    throttled = [one.throttled_periods for one in figures if one.throttled_periods is not None]
    return Accounting(
        strategy=rows[0].strategy,
        case=rows[0].case,
        received_bytes=_a_request(trials, lambda one: one.received_bytes),
        sent_bytes=_a_request(trials, lambda one: one.sent_bytes),
        throttled_periods=sum(throttled) if throttled else None,
        stolen_median=_median(stolen),
        stolen_most=max(stolen, default=None),
        other_on_service_most=_most(one.other_on_service for one in figures),
        other_on_driver_most=_most(one.other_on_driver for one in figures),
        kernel_peak_bytes=_median([t.resources.kernel_peak_bytes for t in trials if t.valid and t.resources]),
    )


def _energy_j(figures: ResourceFigures) -> float | None:
    return figures.gpu.energy_j if figures.gpu else None


def _a_request(trials: Sequence[Trial], of: Callable[[ResourceFigures], float | None]) -> float | None:
    """The median over valid trials of a window's figure, divided by the window's requests."""
    return _median(
        [
            value / trial.requests
            for trial in trials
            if trial.valid
            and trial.requests
            and trial.resources
            and (value := of(trial.resources)) is not None
        ]
    )


def _most(values: Iterable[float | None]) -> float | None:
    """The largest of the values that are known; None if none is."""
    return max((value for value in values if value is not None), default=None)


def _median(values: Sequence[float | None]) -> float | None:
    """The median of the values that are known; None if none is."""
    estimate = median([value for value in values if value is not None])
    return estimate.centre if estimate else None
