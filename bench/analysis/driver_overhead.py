"""How the driver fared: the share of its ceiling in use, its worst figures, and the time between trials."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bench.analysis.cases import Case, case_in
from bench.analysis.summary import Summary
from bench.model import Ceiling, Run, Trial
from bench.statistics import median


@dataclass(frozen=True, slots=True)
class WorstFigures:
    """The driver's worst figures in a case, over all strategies' trials, invalid ones too.

    `lost_workers` is a sum; all other figures are the greatest of a trial. `busiest_core` is that of a
    core of the driver, whoever used it; in older runs, of the driver's busiest process.
    """

    case: Case
    workers: int
    lost_workers: int
    busiest_core: float | None
    late_sends: float | None
    lag_p99_ms: float | None
    cpu_ms_per_request: float | None
    clock_error_ms: float | None
    lag_p50_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Overhead:
    """What a trial cost beside start, warm-up, window and drain: the median and the most over trials."""

    median_s: float
    most_s: float
    trials: int


def worst_figures(run: Run, summary: Summary) -> list[WorstFigures]:
    """The driver's worst figures in each case in which its figures are known."""
    groups = [
        (case, [trial for trial in run.trials if trial.driver and case_in(run, trial) == case])
        for case in summary.cases
    ]
    return [_worst(case, trials) for case, trials in groups if trials]


def share_of_ceiling(summary: Summary, ceiling: Ceiling) -> float | None:
    """The throughput of the fastest strategy as a share of the ceiling for the same payloads."""
    rates = [
        throughput.centre
        for row in summary.rows.values()
        if (row.case.payload_class, row.case.encoding) == (ceiling.payload_class, ceiling.encoding)
        and (throughput := row.estimates["throughput"]) is not None
    ]
    return max(rates) / ceiling.throughput_rps if rates and ceiling.throughput_rps else None


def overhead(run: Run) -> Overhead | None:
    """The harness's own time between trials; None if no trial knows it."""
    lengths = [trial.overhead_s for trial in run.trials if trial.overhead_s is not None]
    middle = median(lengths)
    return None if middle is None else Overhead(middle.centre, max(lengths), len(lengths))


def _worst(case: Case, trials: Sequence[Trial]) -> WorstFigures:
    figures = [trial.driver for trial in trials if trial.driver]
    return WorstFigures(
        case=case,
        workers=max(one.workers for one in figures),
        lost_workers=sum(one.lost_workers for one in figures),
        busiest_core=_most(one.busiest_core if one.core_busy is None else one.core_busy for one in figures),
        late_sends=_most(one.late_sends for one in figures),
        lag_p99_ms=_most(one.lag_p99_ms for one in figures),
        cpu_ms_per_request=_most(trial.driver_cpu_ms_per_request for trial in trials),
        clock_error_ms=_most(one.clock_error_ms for one in figures),
        lag_p50_ms=_most(one.lag_p50_ms for one in figures),
    )


def _most(values: Iterable[float | None]) -> float | None:
    return max((value for value in values if value is not None), default=None)
