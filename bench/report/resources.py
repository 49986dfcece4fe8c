"""What the service used: CPU and memory, network bytes, throttled and stolen time, and its GPU."""

from collections.abc import Callable, Sequence

from bench.analysis.run_analysis import RunAnalysis
from bench.model import ResourceFigures, Trial
from bench.report import text
from bench.report.text import EMPTY, table
from bench.statistics import median

ACCOUNTING = (
    "Of all loads. Bytes are medians of the valid trials, as the container sees them, headers included; "
    "throttled periods are a sum over all trials, and stolen time is the share of the service cores' time "
    "that the host took."
)


def resources(analysis: RunAnalysis) -> list[str]:
    """CPU-ms a request and peak memory; below, what else the accounting told."""
    summary = analysis.summary
    header = ("strategy", "case", "CPU-ms a request", "peak memory, MiB", "driver CPU-ms a request")
    rows = [
        [
            row.strategy,
            summary.case_label(row.case),
            text.estimate(row.estimates["cpu"]),
            text.estimate(row.estimates["memory"], 1 / text.MIB),
            text.estimate(row.estimates["driver_cpu"]),
        ]
        for row in summary.rows.values()
    ]
    return [*table(header, rows, 2), *_accounting(analysis), *_gpu(analysis)] if rows else [EMPTY]


def _accounting(analysis: RunAnalysis) -> list[str]:
    """A row a strategy and class of payloads, all loads together: neither figure hangs on the load."""
    header = ["strategy", "case", "received bytes a request", "sent bytes a request"]
    header += ["throttled periods", "stolen, median", "stolen, most"]
    groups: dict[tuple[str, str], list[Trial]] = {}
    for row in analysis.summary.rows.values():
        trials = [trial for trial in analysis.trials(row) if trial.resources]
        groups.setdefault((row.strategy, analysis.summary.payload_label(row.case)), []).extend(trials)
    rows = [[*key, *_accounted(trials)] for key, trials in groups.items() if trials]
    return ["", *table(header, rows, 2), "", ACCOUNTING] if rows else []


def _accounted(trials: Sequence[Trial]) -> list[str]:
    told = [trial.resources for trial in trials if trial.resources]
    stolen = [found.stolen for found in told if found.stolen is not None]
    throttled = [found.throttled_periods for found in told if found.throttled_periods is not None]
    return [
        text.number(_a_request(trials, lambda found: found.received_bytes)),
        text.number(_a_request(trials, lambda found: found.sent_bytes)),
        text.spaced(sum(throttled)) if throttled else text.MISSING,
        text.percent(_median(stolen)) if stolen else text.MISSING,
        text.percent(max(stolen, default=None)),
    ]


def _gpu(analysis: RunAnalysis) -> list[str]:
    header = ("strategy", "case", "GPU busy", "GPU memory, MiB", "joules a request")
    rows = []
    for row in analysis.summary.rows.values():
        trials = [trial for trial in analysis.trials(row) if trial.valid]
        told = [trial.resources.gpu for trial in trials if trial.resources and trial.resources.gpu]
        if told:
            memory = _median([gpu.peak_memory_bytes for gpu in told])
            rows.append(
                [
                    row.strategy,
                    analysis.summary.case_label(row.case),
                    text.percent(_median([gpu.utilisation for gpu in told])),
                    text.number(None if memory is None else memory / text.MIB),
                    text.number(_a_request(trials, _energy_j)),
                ]
            )
    note = "Of the GPU as a whole, over the window: its idle power counts too. Medians of the valid trials."
    return ["", *table(header, rows, 2), "", note] if rows else []


def _energy_j(found: ResourceFigures) -> float | None:
    return found.gpu.energy_j if found.gpu else None


def _a_request(trials: Sequence[Trial], of: Callable[[ResourceFigures], float | None]) -> float | None:
    """The median over valid trials of a window's figure for each of its requests."""
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


def _median(values: Sequence[float | None]) -> float | None:
    found = median([value for value in values if value is not None])
    return found.centre if found else None
