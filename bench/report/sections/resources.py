"""What the services used, CPU and memory, network bytes, stolen time and the GPU, and what that costs."""

from collections.abc import Callable, Sequence

from bench.analysis.costs import core_count
from bench.analysis.metrics import metrics_in
from bench.analysis.run_analysis import RunAnalysis
from bench.analysis.summary import Row
from bench.model import ResourceFigures, Trial
from bench.report import cells, text
from bench.report.document import (
    NOT_MEASURED,
    Block,
    Cell,
    Emphasis,
    case_column,
    figures,
    name_column,
    paragraph,
    table,
)
from bench.statistics import Estimate, median

ACCOUNTING = paragraph(
    "Of all loads. Bytes are medians of the valid trials, as the container sees them, headers included; "
    "throttled periods are a sum over all trials, and stolen time is the share of the service cores' time "
    "that the host took."
)
GPU = paragraph(
    "Of the GPU as a whole, over the window: its idle power counts too. Medians of the valid trials."
)
COST = paragraph(
    "At the load that stands for the run. ",
    Emphasis("CPU time"),
    " is CPU-ms a request times the price: of the service alone, as if every idle moment of its cores were "
    "sold to somebody else. ",
    Emphasis("Whole core"),
    " is what the service's cores cost while they answer at the rate measured. Both are in the currency of "
    "the price.",
)
LABELS = (name_column("strategy"), case_column("case"))
MILLION = 1e6
MS_PER_HOUR = 3.6e6
S_PER_HOUR = 3600.0


def resources(analysis: RunAnalysis) -> list[Block]:
    """CPU time of a request and peak memory; below, what else the accounting knows."""
    rows = analysis.summary.rows.values()
    if not rows:
        return [NOT_MEASURED]
    metrics = metrics_in("resource table")
    columns = [*LABELS, *figures(*(one.heading for one in metrics))]
    used = [[*labels(analysis, row), *(cells.measured(one)(row) for one in metrics)] for row in rows]
    return [table(columns, used), *_accounting(analysis), *_gpu(analysis)]


def labels(analysis: RunAnalysis, row: Row) -> tuple[Cell, Cell]:
    """The strategy and the case of a row."""
    return cells.words(row.strategy), cells.words(analysis.summary.case_label(row.case))


def _accounting(analysis: RunAnalysis) -> list[Block]:
    """A row for each strategy and class of payloads, all loads together: no figure depends on the load."""
    groups: dict[tuple[str, str], list[Trial]] = {}
    for row in analysis.summary.rows.values():
        trials = [trial for trial in analysis.trials(row) if trial.resources]
        groups.setdefault((row.strategy, analysis.summary.payload_label(row.case)), []).extend(trials)
    rows = [[*map(cells.words, key), *_accounted(trials)] for key, trials in groups.items() if trials]
    if not rows:
        return []
    columns = figures("received bytes a request", "sent bytes a request", "throttled periods")
    columns += figures("stolen, median", "stolen, most")
    return [table([*LABELS, *columns], rows), ACCOUNTING]


def _accounted(trials: Sequence[Trial]) -> list[Cell]:
    known = [trial.resources for trial in trials if trial.resources]
    stolen = [found.stolen for found in known if found.stolen is not None]
    throttled = [found.throttled_periods for found in known if found.throttled_periods is not None]
    return [
        cells.number(_a_request(trials, lambda found: found.received_bytes)),
        cells.number(_a_request(trials, lambda found: found.sent_bytes)),
        cells.count(sum(throttled) if throttled else None),
        cells.percent(_median(stolen)),
        cells.percent(max(stolen, default=None)),
    ]


def _gpu(analysis: RunAnalysis) -> list[Block]:
    rows = []
    for row in analysis.summary.rows.values():
        trials = [trial for trial in analysis.trials(row) if trial.valid]
        known = [trial.resources.gpu for trial in trials if trial.resources and trial.resources.gpu]
        if known:
            memory = _median([gpu.peak_memory_bytes for gpu in known])
            rows.append(
                [
                    *labels(analysis, row),
                    cells.percent(_median([gpu.utilisation for gpu in known])),
                    cells.number(None if memory is None else memory / text.MIB),
                    cells.number(_a_request(trials, _energy_j)),
                ]
            )
    columns = [*LABELS, *figures("GPU busy", "GPU memory, MiB", "joules a request")]
    return [table(columns, rows), GPU] if rows else []


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


def cost(analysis: RunAnalysis) -> list[Block]:
    """The price of a million requests; nothing if the run does not know the price of a core-hour."""
    run, summary = analysis.run, analysis.summary
    price = run.price_per_core_hour
    if price is None or not summary.rows:
        return []
    cores = core_count(run.environment.get("service_cores"))
    rows = [
        [
            *labels(analysis, row),
            cells.money(_scaled(row.estimates["cpu"], MILLION * price / MS_PER_HOUR)),
            cells.money(_whole_core(row, price, cores)),
        ]
        for row in summary.rows.values()
        if row.case in summary.focus
    ]
    what = "whole core" if cores == 1 else f"whole cores ({cores or text.MISSING})"
    columns = [*LABELS, *figures("CPU time, a million requests", f"{what}, a million requests")]
    price_said = f"At {price:g} a core-hour"
    return [paragraph(f"{price_said}:"), table(columns, rows, price_said), COST]


def _whole_core(row: Row, price: float, cores: int | None) -> Estimate | None:
    rate = row.estimates["throughput"]
    if rate is None or cores is None or rate.centre <= 0:
        return None
    scale = MILLION * price * cores / S_PER_HOUR
    low, high = (scale / end if end else None for end in (rate.high, rate.low))
    return Estimate(scale / rate.centre, low, high, rate.n)


def _scaled(found: Estimate | None, by: float) -> Estimate | None:
    if found is None:
        return None
    low, high = (None if end is None else end * by for end in (found.low, found.high))
    return Estimate(found.centre * by, low, high, found.n)
