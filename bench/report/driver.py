"""Is the driver the bottleneck? Its ceiling, its figures in the trials, and what the harness took beside."""

from collections.abc import Iterable, Sequence

from bench.analysis.cases import case_of
from bench.analysis.run_analysis import RunAnalysis
from bench.model import Trial
from bench.report import text
from bench.report.text import EMPTY, number, table
from bench.statistics import median

CEILING = (
    "The driver against a target that answers at once. Highest measured: the fastest strategy as a share "
    "of that ceiling; above 50% the driver is in the way."
)
WORST = (
    "The worst of all strategies' trials, invalid ones too; lost workers their sum. *Late sends* left more "
    "than 10 ms after they were due, *lag* is that delay, and *clock error* bounds how far the workers' "
    "clocks differ."
)


def driver(analysis: RunAnalysis) -> list[str]:
    """The ceiling; below, what the driver did in the trials and what a trial cost beside its load."""
    return [*_ceilings(analysis), *_figures(analysis), *_overhead(analysis)]


def _ceilings(analysis: RunAnalysis) -> list[str]:
    header = (
        "case",
        "driver, requests/s",
        "driver CPU-ms",
        "ab, requests/s",
        "ab CPU-ms",
        "highest measured",
    )
    rows = []
    for ceiling in analysis.run.ceilings:
        rates = [
            found.centre
            for row in analysis.summary.rows.values()
            if (row.case.payload_class, row.case.encoding) == (ceiling.payload_class, ceiling.encoding)
            and (found := row.estimates["throughput"]) is not None
        ]
        share = max(rates) / ceiling.throughput_rps if rates and ceiling.throughput_rps else None
        rows.append(
            [
                f"{ceiling.payload_class}, {ceiling.encoding}, {ceiling.clients} clients",
                number(ceiling.throughput_rps),
                number(ceiling.driver_cpu_ms_per_request),
                number(ceiling.ab_throughput_rps),
                number(ceiling.ab_cpu_ms_per_request),
                text.percent(share),
            ]
        )
    return [*table(header, rows), "", CEILING] if rows else [EMPTY]


def _figures(analysis: RunAnalysis) -> list[str]:
    """A row a case, all strategies together: what the driver did at most."""
    header = ["case", "workers", "lost", "busiest core", "late sends", "lag p99 ms", "CPU-ms a request"]
    header += ["clock error ms"]
    rows = []
    for case in analysis.summary.cases:
        trials = [trial for trial in analysis.run.trials if case_of(trial) == case and trial.driver]
        if trials:
            rows.append([analysis.summary.case_label(case), *_cells(trials)])
    return ["", *table(header, rows), "", WORST] if rows else []


def _cells(trials: Sequence[Trial]) -> list[str]:
    told = [trial.driver for trial in trials if trial.driver]
    return [
        str(max(one.workers for one in told)),
        str(sum(one.lost_workers for one in told)),
        text.percent(_most(one.busiest_core for one in told)),
        text.percent(_most(one.late_sends for one in told)),
        number(_most(one.lag_p99_ms for one in told)),
        number(_most(trial.driver_cpu_ms_per_request for trial in trials)),
        number(_most(one.clock_error_ms for one in told)),
    ]


def _most(values: Iterable[float | None]) -> float | None:
    return max((value for value in values if value is not None), default=None)


def _overhead(analysis: RunAnalysis) -> list[str]:
    found = [trial.overhead_s for trial in analysis.run.trials if trial.overhead_s is not None]
    middle = median(found)
    if middle is None:
        return []
    return [
        "",
        f"Between trials the harness itself took {number(middle.centre)} s (median) and {number(max(found))} "
        f"s at most, over {text.plural(len(found), 'trial')}: beside start, warm-up, window and drain.",
    ]
