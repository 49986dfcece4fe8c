"""A run as CSV: a row for each trial with units in the names of the columns, or for each figure."""

from collections.abc import Callable, Collection

from bench.analysis.doubt_counts import reasons
from bench.analysis.figures import Figure, figures
from bench.analysis.metrics import METRICS
from bench.analysis.summary import UNCHECKED, Summary
from bench.model import (
    ClassFigures,
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
from bench.report.quality_words import in_short
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
        **_unchecked(report.analysis.summary),
        **_qualities(report.analysis.summary),
        **_stages(run),
        **_classes(run),
        **TEXTS,
    }
    rows = [[cells.raw(of(trial)) for of in columns.values()] for trial in run.trials]
    return csv.table(table(map(Header, columns), rows))


def summary(report: Report) -> str:
    """A row for each figure: its centre, interval and n; a figure that is missing has empty cells."""
    found = report.analysis.summary
    columns, more = SUMMARY, not found.all_exact
    rows = []
    for one in figures(report.analysis):
        quality = [in_short(found.quality_of(one.strategy))] if more else []
        rows.append(map(cells.raw, [*_summary_row(one, found.unchecked), *quality]))
    return csv.table(table(map(Header, (*columns, "quality") if more else columns), rows))


def _unchecked(summary: Summary) -> dict[str, Column]:
    """A column that says of which trials answers were not checked; none if all were."""

    def answers(trial: Trial) -> Value:
        return UNCHECKED if trial.payload_class in summary.unchecked else None

    return {"answers": answers} if summary.unchecked else {}


def _qualities(summary: Summary) -> dict[str, Column]:
    """A column with what each strategy declares of its answers; none if all are exact."""
    return {} if summary.all_exact else {"quality": lambda t: in_short(summary.quality_of(t.strategy))}


def _summary_row(figure: Figure, unchecked: Collection[str]) -> list[Value]:
    case, found = figure.case, figure.estimate
    where: list[Value] = [None, None, None]
    if case:
        mark = f" ({UNCHECKED})" if case.payload_class in unchecked else ""
        where = [f"{case.payload_class}{mark}", case.encoding, case.load]
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


def _classes(run: Run) -> dict[str, Column]:
    """Columns for each class of a mix: its requests, right answers, requests/s and quantiles."""
    columns: dict[str, Column] = {}
    for name in dict.fromkeys(part.payload_class for trial in run.trials for part in trial.by_class):
        columns[f"class_{name}_requests"] = _of_class(name, lambda found: found.requests)
        columns[f"class_{name}_right_answers"] = _of_class(name, lambda found: found.ok)
        columns[f"class_{name}_throughput_per_s"] = _of_class(name, lambda found: found.throughput_rps)
        columns[f"class_{name}_p50_ms"] = _of_class(name, lambda found: found.latency_ms.p50)
        columns[f"class_{name}_p95_ms"] = _of_class(name, lambda found: found.latency_ms.p95)
        columns[f"class_{name}_p99_ms"] = _of_class(name, lambda found: found.latency_ms.p99)
    return columns


def _of_class(name: str, of: Callable[[ClassFigures], Value]) -> Column:
    def column(trial: Trial) -> Value:
        found = next((part for part in trial.by_class if part.payload_class == name), None)
        return of(found) if found else None

    return column


def _of_stage(name: str, of: Callable[[StageFigures], Value]) -> Column:
    def column(trial: Trial) -> Value:
        server: ServerFigures | None = trial.server
        found = server.stages.get(name) if server else None
        return of(found) if found else None

    return column


def _gpu(trial: Trial) -> GpuFigures:
    return (trial.resources or NO_RESOURCES).gpu or NO_GPU
