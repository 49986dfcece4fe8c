"""A run as CSV: a row for each trial with units in the names of the columns, or for each figure."""

from collections.abc import Callable

from bench.analysis.doubt_counts import reasons
from bench.analysis.figures import Figure, figures
from bench.analysis.metrics import METRICS
from bench.model import (
    ClosedLoad,
    DriverFigures,
    GpuFigures,
    OpenLoad,
    ResourceFigures,
    Run,
    ServerFigures,
    StageFigures,
    Trial,
    in_words,
)
from bench.report import cells
from bench.report.document import Column as Header
from bench.report.document import table
from bench.report.report import Report
from bench.report.writers import csv

Value = cells.Raw
Column = Callable[[Trial], Value]
SUMMARY = ("strategy", "payloads", "encoding", "load", "metric", "unit", "centre", "low", "high", "n", "n_of")

NO_DRIVER = DriverFigures(0, 0, None, None, None)
NO_RESOURCES = ResourceFigures(None, None, None, None)
NO_GPU = GpuFigures(None, None, None)

COLUMNS: dict[str, Column] = {
    "strategy": lambda t: t.strategy,
    "round": lambda t: t.round,
    "payloads": lambda t: t.payload_class,
    "encoding": lambda t: t.encoding,
    "load": lambda t: t.load.label,
    "clients": lambda t: t.load.clients if isinstance(t.load, ClosedLoad) else None,
    "offered_per_s": lambda t: (t.load.rate_per_s or None) if isinstance(t.load, OpenLoad) else None,
    "share_of_capacity": lambda t: t.load.share if isinstance(t.load, OpenLoad) else None,
    "arrivals": lambda t: t.load.arrivals if isinstance(t.load, OpenLoad) else None,
    "warmup_s": lambda t: t.warmup_s,
    "window_s": lambda t: t.window_s,
    "overhead_s": lambda t: t.overhead_s,
    "valid": lambda t: t.valid,
    "requests": lambda t: t.requests,
    "right_answers": lambda t: t.ok,
    "failed_requests": lambda t: t.errors,
    "wrong_answers": lambda t: t.wrong_answers,
    "refused_requests": lambda t: t.refused,
    "counted_by": lambda t: t.counted_by,
    "warmup_bias": lambda t: t.warmup_bias,
    "errors_outside": lambda t: t.errors_outside,
    "wrong_answers_outside": lambda t: t.wrong_answers_outside,
}
AFTER: dict[str, Column] = {
    "with_failures_p50_ms": lambda t: t.with_failures_ms.p50 if t.with_failures_ms else None,
    "with_failures_p99_ms": lambda t: t.with_failures_ms.p99 if t.with_failures_ms else None,
    "received_bytes": lambda t: (t.resources or NO_RESOURCES).received_bytes,
    "sent_bytes": lambda t: (t.resources or NO_RESOURCES).sent_bytes,
    "throttled_periods": lambda t: (t.resources or NO_RESOURCES).throttled_periods,
    "stolen_share": lambda t: (t.resources or NO_RESOURCES).stolen,
    "other_on_service_share": lambda t: (t.resources or NO_RESOURCES).other_on_service,
    "other_on_driver_share": lambda t: (t.resources or NO_RESOURCES).other_on_driver,
    "kernel_peak_bytes": lambda t: (t.resources or NO_RESOURCES).kernel_peak_bytes,
    "gpu_busy_share": lambda t: _gpu(t).utilisation,
    "gpu_peak_memory_bytes": lambda t: _gpu(t).peak_memory_bytes,
    "gpu_energy_j": lambda t: _gpu(t).energy_j,
    METRICS["driver_cpu"].column: METRICS["driver_cpu"].of,
    "driver_workers": lambda t: t.driver.workers if t.driver else None,
    "driver_lost_workers": lambda t: t.driver.lost_workers if t.driver else None,
    "driver_busiest_core_share": lambda t: (t.driver or NO_DRIVER).busiest_core,
    "driver_core_busy_share": lambda t: (t.driver or NO_DRIVER).core_busy,
    "driver_late_sends_share": lambda t: (t.driver or NO_DRIVER).late_sends,
    "driver_lag_p50_ms": lambda t: (t.driver or NO_DRIVER).lag_p50_ms,
    "driver_lag_p99_ms": lambda t: (t.driver or NO_DRIVER).lag_p99_ms,
    "driver_clock_error_ms": lambda t: (t.driver or NO_DRIVER).clock_error_ms,
    METRICS["batch"].column: METRICS["batch"].of,
}
TEXTS: dict[str, Column] = {
    "samples": lambda t: t.samples,
    "reasons": lambda t: "; ".join(map(in_words, reasons(t))),
}


def trials(report: Report) -> str:
    """A row for each trial in the order in which they were made; what is missing is empty."""
    run = report.analysis.run
    columns: dict[str, Column] = {
        "run_created": lambda _: run.created,
        **COLUMNS,
        **{one.column: one.of for one in METRICS.values() if one.column and one.column not in AFTER},
        **AFTER,
        **_stages(run),
        **TEXTS,
    }
    rows = [[cells.raw(of(trial)) for of in columns.values()] for trial in run.trials]
    return csv.table(table(map(Header, columns), rows))


def summary(report: Report) -> str:
    """A row for each figure: its centre, interval and n; a figure that is missing has empty cells."""
    rows = [map(cells.raw, _summary_row(one)) for one in figures(report.analysis)]
    return csv.table(table(map(Header, SUMMARY), rows))


def _summary_row(figure: Figure) -> list[Value]:
    case, found = figure.case, figure.estimate
    where: list[Value] = [case.payload_class, case.encoding, case.load] if case else [None, None, None]
    values: list[Value] = [found.centre, found.low, found.high, found.n] if found else [None] * 4
    return [figure.strategy, *where, figure.metric, figure.unit, *values, figure.of]


def _stages(run: Run) -> dict[str, Column]:
    """Two columns for each stage that any service timed: its mean time, and how often it was gone through."""
    servers = [trial.server for trial in run.trials if trial.server]
    columns: dict[str, Column] = {}
    for name in dict.fromkeys(name for server in servers for name in server.stages):
        columns[f"stage_{name}_mean_ms"] = _of_stage(name, lambda found: found.mean_ms)
        columns[f"stage_{name}_count"] = _of_stage(name, lambda found: found.count)
    return columns


def _of_stage(name: str, of: Callable[[StageFigures], Value]) -> Column:
    def column(trial: Trial) -> Value:
        server: ServerFigures | None = trial.server
        found = server.stages.get(name) if server else None
        return of(found) if found else None

    return column


def _gpu(trial: Trial) -> GpuFigures:
    return (trial.resources or NO_RESOURCES).gpu or NO_GPU
