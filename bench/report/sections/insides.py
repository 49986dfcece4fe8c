"""What goes on inside: the stages of a service, its pipeline in a bare loop, and the driver that loads it."""

from bench.analysis.bare_loops import LimitShare, limit_shares
from bench.analysis.driver_overhead import overhead, share_of_ceiling, worst_figures
from bench.analysis.metrics import METRICS
from bench.analysis.run_analysis import RunAnalysis
from bench.analysis.stage_costs import work
from bench.analysis.summary import PARTS
from bench.report import cells, text
from bench.report.document import (
    NOT_MEASURED,
    Block,
    Cell,
    Column,
    Emphasis,
    Span,
    figures,
    name_column,
    paragraph,
    table,
)
from bench.report.sections.resources import LABELS, labels

# what services are known to time, in the order in which an item passes it
ORDER = ("wait", "parse", "decode", "transform", "queue", "infer", "encode")
STAGES = paragraph(
    "Means over the window, as the services time themselves; the wait for the processor is included. Each "
    "figure is the median of the rounds, in brackets its 95% interval by order statistics, which takes six "
    "rounds. ",
    Emphasis("wait"),
    " is for a thread that prepares, ",
    Emphasis("queue"),
    " for the model to be free, and ",
    Emphasis("infer"),
    " is a whole batch's. ",
    Emphasis("No stage"),
    " is the CPU time of a request beyond the stages in which it does not wait, a batch's time shared by its "
    "items: HTTP, hand-offs between threads, and what no stage times. It is known of a service on one core, "
    "unless its stages take longer together, as they time the wait for the processor too.",
)
LOOP = "The bare loop runs the strategy's own pipeline, one request at a time and without HTTP."
LOOP_PARTS: tuple[Span, ...] = (
    " ",
    Emphasis("prepare"),
    " is its parse, decode and transform alone; ",
    Emphasis("infer"),
    " its model alone, on prepared items in the batches that suit its engine.",
)
LIMIT: tuple[Span, ...] = (
    " ",
    Emphasis("Of its limit"),
    " is the service's requests/s over its limit's, and beside it the limit's CPU time of a request over the "
    "service's. The limit is the bare loop; of an engine that takes batches, which would beat a loop of one "
    "request at a time, it is prepare and infer one after the other. The loop is one process: a service that "
    "uses several cores may answer more.",
)
CEILING = paragraph(
    "The driver against a target that answers at once. ",
    Emphasis("Highest measured"),
    " is the fastest strategy as a share of that ceiling; above 50% the driver may be the limit.",
)
WORST = paragraph(
    "The worst of all trials, invalid ones too; of lost workers the sum. ",
    Emphasis("Late sends"),
    " left more than 10 ms after they were due, ",
    Emphasis("lag"),
    " is that delay, and ",
    Emphasis("clock error"),
    " bounds how far the workers' clocks differ.",
)


def stages(analysis: RunAnalysis) -> list[Block]:
    """The time of each stage as the services measure it; empty if no service does."""
    rows = analysis.summary.rows.values()
    known = [row for row in rows if row.stages or row.estimates["batch"]]
    if not known:
        return []
    timed_stages = dict.fromkeys(stage for row in known for stage in row.stages)
    names = [stage for stage in ORDER if stage in timed_stages] + [
        stage for stage in timed_stages if stage not in ORDER
    ]
    timed = [
        [
            *labels(analysis, row),
            *(cells.estimate(row.stages.get(stage)) for stage in names),
            cells.measured(METRICS["batch"])(row),
            cells.number(work(analysis.run, row).overhead_ms),
        ]
        for row in rows
    ]
    return [
        table(
            [
                *LABELS,
                *figures(*(f"{one} ms" for one in names), METRICS["batch"].heading, "no stage, CPU-ms"),
            ],
            timed,
        ),
        STAGES,
    ]


def loops(analysis: RunAnalysis) -> list[Block]:
    """Service and bare loop side by side, at the load that fills the service most."""
    rows = [row for row in analysis.summary.rows.values() if row.case in analysis.summary.focus]
    if not rows:
        return [NOT_MEASURED]
    parts = [part for part in PARTS if any(part in row.loop_parts for row in rows)]
    shares = {(one.row.strategy, one.row.case): one for one in limit_shares(analysis.run, analysis.summary)}
    columns = figures("service, requests/s", "bare loop, requests/s", "service to loop")
    columns += figures("of its limit", "of its limit, CPU") if shares else ()
    columns += figures(*(f"{part} alone, items/s" for part in parts))
    compared = [
        [
            *labels(analysis, row),
            cells.estimate(row.estimates["throughput"]),
            cells.estimate(row.loop),
            cells.ratio(row.to_loop),
            *(_limit(shares.get((row.strategy, row.case))) if shares else []),
            *(cells.estimate(row.loop_parts.get(part)) for part in parts),
        ]
        for row in rows
    ]
    said = paragraph(LOOP, *(LOOP_PARTS if parts else ()), *(LIMIT if shares else ()))
    return [table([*LABELS, *columns], compared), said]


def _limit(one: LimitShare | None) -> list[Cell]:
    if one is None:
        return [cells.MISSING, cells.MISSING]
    return [cells.ratio(one.of_rate), cells.ratio(one.of_cpu)]


def driver(analysis: RunAnalysis) -> list[Block]:
    """The driver's ceiling, its figures in the trials, and what a trial cost beside its load."""
    return [*_ceilings(analysis), *_driver_figures(analysis), *_overhead(analysis)]


def _ceilings(analysis: RunAnalysis) -> list[Block]:
    columns = figures(
        "driver, requests/s", "driver CPU-ms", "ab, requests/s", "ab CPU-ms", "highest measured"
    )
    rows = [
        [
            cells.words(f"{ceiling.payload_class}, {ceiling.encoding}, {ceiling.clients} clients"),
            cells.number(ceiling.throughput_rps),
            cells.number(ceiling.driver_cpu_ms_per_request),
            cells.number(ceiling.ab_throughput_rps),
            cells.number(ceiling.ab_cpu_ms_per_request),
            cells.percent(share_of_ceiling(analysis.summary, ceiling)),
        ]
        for ceiling in analysis.run.ceilings
    ]
    return [table([name_column("case"), *columns], rows), CEILING] if rows else [NOT_MEASURED]


def _driver_figures(analysis: RunAnalysis) -> list[Block]:
    """A row for each case, all strategies together: the most that the driver did."""
    columns: list[Column] = [name_column("case"), *figures("workers", "lost", "busiest core", "late sends")]
    found = worst_figures(analysis.run, analysis.summary)
    # older runs do not know it
    medians = any(worst.lag_p50_ms is not None for worst in found)
    columns += figures("lag p50 ms") if medians else ()
    columns += figures("lag p99 ms", "CPU-ms per request", "clock error ms")
    rows = [
        [
            cells.words(analysis.summary.case_label(worst.case)),
            cells.count(worst.workers),
            cells.count(worst.lost_workers),
            cells.percent(worst.busiest_core),
            cells.percent(worst.late_sends),
            *([cells.number(worst.lag_p50_ms)] if medians else []),
            cells.number(worst.lag_p99_ms),
            cells.number(worst.cpu_ms_per_request),
            cells.number(worst.clock_error_ms),
        ]
        for worst in found
    ]
    return [table(columns, rows), WORST] if rows else []


def _overhead(analysis: RunAnalysis) -> list[Block]:
    known = overhead(analysis.run)
    if known is None:
        return []
    return [
        paragraph(
            f"Between trials the harness itself took {text.number(known.median_s)} s (median) and "
            f"{text.number(known.most_s)} s at most, over {text.plural(known.trials, 'trial')}: "
            "beside start, warm-up, window and drain."
        )
    ]
