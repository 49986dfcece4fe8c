"""What the services used, CPU and memory, network bytes, stolen time and the GPU, and what that costs."""

from bench.analysis.costs import Costs, costs
from bench.analysis.metrics import metrics_in
from bench.analysis.resources import accounting, gpu_use
from bench.analysis.run_analysis import RunAnalysis
from bench.analysis.summary import Row
from bench.report import cells, text
from bench.report.document import (
    NOT_MEASURED,
    Block,
    Cell,
    Emphasis,
    Text,
    case_column,
    figures,
    joined,
    name_column,
    paragraph,
    table,
)

ACCOUNTING = paragraph(
    "Of all loads. Bytes are medians of the valid trials, as the container sees them, headers included; "
    "throttled periods are a sum over all trials, and stolen time is the share of the service cores' time "
    "that the host took."
)
OTHERS = paragraph(
    "Others are all processes but the service and bench itself: the most of a trial, of the time of the "
    "service's cores and of the driver's. Above 2% is a doubt, above --max-other-cpu void."
)
KERNEL_MARK = paragraph(
    "The kernel's mark is the most that was ever in use, file cache that could go at once and what was freed "
    "before the window included."
)
RESIDENT = (
    "Peak memory is the most resident memory of the service's processes that was sampled in the window."
)
PEAK = {
    "the working set with mapped files, sampled": "Peak memory is the most of the working set that was "
    "sampled in the window: what is in use, less file cache, plus the files that processes map.",
    "the processes' memory, sampled": "Peak memory is the most that was sampled in the window of what the "
    "service's processes have in memory, pages that several of them share counted once.",
    # of older runs
    "the working set, sampled": "Peak memory is the most of the working set that was sampled in the window: "
    "what is in use, less file cache that could go at once.",
    "the kernel's mark": "Peak memory is the kernel's mark over the container's life, less the least file "
    "cache in the window: it may hold what was freed before.",
}
CPU = {
    "living processes and the children that they reaped": "CPU time is that of the service's living "
    "processes and of the children that they reaped, as no control group could be made to count it. A "
    "process of the service that outlives its parent counts among others.",
}
GPU = paragraph(
    "Of the GPU as a whole, over the window: its idle power counts too. Medians of the valid trials."
)
COST: Text = (
    Emphasis("CPU time"),
    " is CPU-ms per request times the price: of the service alone, as if every idle moment of its cores were "
    "sold to somebody else.",
)
WHOLE: Text = (
    Emphasis("Whole core"),
    " is what the service's cores cost while they answer at that rate.",
)
NOT_FULL: Text = (
    "At a rate that was chosen the service is not full, and its whole cores cost the price by the rate, the "
    "same for every strategy: so that is not shown.",
)
LABELS = (name_column("strategy"), case_column("case"))


def resources(analysis: RunAnalysis) -> list[Block]:
    """CPU time of a request and peak memory; below, the other figures of the accounting."""
    rows = analysis.summary.rows.values()
    if not rows:
        return [NOT_MEASURED]
    metrics = metrics_in("resource table")
    columns = [*LABELS, *figures(*(one.heading for one in metrics))]
    used = [[*labels(analysis, row), *(cells.measured(one)(row) for one in metrics)] for row in rows]
    return [table(columns, used), *_accounted(analysis), *_accounting(analysis), *_gpu(analysis)]


def _accounted(analysis: RunAnalysis) -> list[Block]:
    """Which figure of memory is shown, and what CPU time misses; nothing if an older run does not know."""
    run = analysis.run
    memory = PEAK.get(str(run.environment.peak_memory_from), RESIDENT if run.runtime == "process" else None)
    told = (memory, CPU.get(str(run.environment.cpu_time_from)))
    return [paragraph(one) for one in told if one]


def labels(analysis: RunAnalysis, row: Row) -> tuple[Cell, Cell]:
    """The strategy and the case of a row."""
    return cells.strategy(analysis.summary, row.strategy), cells.words(analysis.summary.case_label(row.case))


def _accounting(analysis: RunAnalysis) -> list[Block]:
    """A row for each strategy and class of payloads, all loads together."""
    told = accounting(analysis)
    # older runs know neither
    others = any(
        one.other_on_service_most is not None or one.other_on_driver_most is not None for one in told
    )
    marks = any(one.kernel_peak_bytes is not None for one in told)
    rows = [
        [
            cells.strategy(analysis.summary, one.strategy),
            cells.words(analysis.summary.payload_label(one.case)),
            cells.number(one.received_bytes),
            cells.number(one.sent_bytes),
            cells.count(one.throttled_periods),
            cells.percent(one.stolen_median),
            cells.percent(one.stolen_most),
            *([cells.percent(one.other_on_service_most)] if others else []),
            *([cells.percent(one.other_on_driver_most)] if others else []),
            *([cells.mebibytes(one.kernel_peak_bytes)] if marks else []),
        ]
        for one in told
    ]
    if not rows:
        return []
    columns = figures("received bytes per request", "sent bytes per request", "throttled periods")
    columns += figures("stolen, median", "stolen, most")
    columns += figures("others on its cores", "others on the driver's") if others else ()
    columns += figures("kernel's mark of memory") if marks else ()
    told_too = [*([OTHERS] if others else []), *([KERNEL_MARK] if marks else [])]
    return [table([*LABELS, *columns], rows), ACCOUNTING, *told_too]


def _gpu(analysis: RunAnalysis) -> list[Block]:
    rows = [
        [
            *labels(analysis, one.row),
            cells.percent(one.busy),
            cells.number(None if one.peak_memory_bytes is None else one.peak_memory_bytes / text.MIB),
            cells.number(one.joules_a_request),
        ]
        for one in gpu_use(analysis)
    ]
    columns = [*LABELS, *figures("GPU busy", "GPU memory, MiB", "joules per request")]
    return [table(columns, rows), GPU] if rows else []


def cost(analysis: RunAnalysis) -> list[Block]:
    """The price of a million requests; empty if the run has no price of a core-hour."""
    known = costs(analysis.run, analysis.summary)
    if known is None:
        return []
    full = any(one.full for one in known.costs)
    rows = [
        [
            *labels(analysis, one.row),
            cells.money(one.cpu_time),
            *([cells.money(one.whole_cores)] if full else []),
        ]
        for one in known.costs
    ]
    what = "whole core" if known.cores == 1 else f"whole cores ({known.cores or text.MISSING})"
    columns = [*LABELS, *figures("CPU time, per million requests")]
    columns += figures(*([f"{what}, per million requests"] if full else []))
    title = f"At {known.price_per_core_hour:g} per core-hour, {_where(known)}"
    said = joined(COST, WHOLE if full else NOT_FULL, ("In the currency of the price.",))
    return [paragraph(f"{title}:"), table(columns, rows, title), said]


def _where(known: Costs) -> str:
    """The load that the costs are of."""
    if all(one.row.case.kind == "closed" for one in known.costs):
        return "in the closed loop, which keeps the service full"
    if any(one.full for one in known.costs):
        return "at the highest rates at which the objectives held"
    return "at the load that stands for the run"
