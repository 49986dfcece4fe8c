"""The table of metrics: the name of each figure of a trial, how it is taken and written, where it shows.

Code that shows, compares or judges figures looks them up here, so a new metric is one entry of METRICS. The
order of the entries is their order in every table.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from bench import statistics
from bench.model import LatencyMs, Trial
from bench.statistics import Estimate

MIB = 1024**2

Centre = Literal["geometric mean", "median", "endless median"]
CENTRES: Mapping[Centre, Callable[[Sequence[float]], Estimate | None]] = {
    "geometric mean": statistics.geometric_mean,
    "median": statistics.median,
    "endless median": statistics.endless_median,
}

Place = Literal[
    "load table",
    "percentiles",
    "resource table",
    "key figures",
    "comparisons",
    "run comparisons",
    "gate rules",
    "exports",
    "trends",
]
Picture = Literal["throughput", "resources"]

SHOWN: frozenset[Place] = frozenset({"load table", "gate rules", "exports"})
BESIDE: frozenset[Place] = SHOWN - {"load table"} | {"percentiles"}
JUDGED: frozenset[Place] = frozenset({"comparisons", "run comparisons"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """Something measured: its names, its unit, and the direction in which it is better.

    `name` is its key in JSON and in gate.toml, `label` its name in a sentence, `heading` the head of its
    column with the unit in which it is shown, `short_heading` the same for a narrow column. `unit` is the
    unit of the value; people are shown the value times `scale`, in `shown_unit`. `below` and `above` are the
    words for a ratio below and above 1. `centre` says how the values of several rounds become one figure.
    """

    name: str
    label: str
    heading: str
    unit: str
    shown_unit: str
    better: Literal["more", "less"]
    below: str
    above: str
    centre: Centre
    short_heading: str = ""
    scale: float = 1.0

    def over_rounds(self, values: Sequence[float]) -> Estimate | None:
        """The figure of several rounds with its interval; None without values."""
        return CENTRES[self.centre](values)


@dataclass(frozen=True, slots=True)
class Room:
    """When the terminal's table gives a column up: the lower the rank, the sooner.

    At `interval_rank` its intervals go, at `column_rank` the column itself; None: never.
    """

    interval_rank: int
    column_rank: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric(Quantity):
    """One figure of a trial, None if the trial does not have it, and the places where it shows.

    JSON has every metric. `column` is its column in the CSV of trials, `series` its name in exports that
    follow figures over time, `title` the head of its panel in the `picture` that draws it as bars. `room` is
    about its column in the terminal's table; a metric without `room` has no column there.
    """

    of: Callable[[Trial], float | None]
    column: str
    places: frozenset[Place] = frozenset()
    series: str = ""
    title: str = ""
    picture: Picture | None = None
    room: Room | None = None
    only_at_due_times: bool = False
    """Whether it says more than another metric only if requests come due by a schedule."""
    set_by_schedule: bool = False
    """Whether a schedule of requests sets it, as it does the throughput: then neither way is better."""


def metrics_in(place: Place) -> list[Metric]:
    """The metrics that show in a place, in the order of the table."""
    return [metric for metric in METRICS.values() if place in metric.places]


def drawn_in(picture: Picture) -> list[Metric]:
    """The metrics that a picture draws as bars."""
    return [metric for metric in METRICS.values() if metric.picture == picture]


def scaled(estimate: Estimate, by: float) -> Estimate:
    """An estimate in another unit."""
    low, high = (None if end is None else end * by for end in (estimate.low, estimate.high))
    return Estimate(estimate.centre * by, low, high, estimate.n)


def stage_ms(trial: Trial, stage: str) -> float | None:
    """The mean time of one stage in the trial's window, as the service timed it."""
    timing = trial.server.stages.get(stage) if trial.server else None
    return timing.mean_ms if timing else None


def _latency(
    name: str,
    of: Callable[[LatencyMs], float | None],
    places: frozenset[Place] = SHOWN,
    *,
    label: str = "",
    room: Room | None = None,
) -> Metric:
    """A quantile of the response time, from due to done."""
    label = label or name
    return Metric(
        name=name,
        label=label,
        heading=f"{label} ms",
        series=f"{label} latency",
        title=f"{label} latency",
        column=f"{label}_ms",
        unit="ms",
        shown_unit="ms",
        better="less",
        below="faster",
        above="slower",
        centre="median",
        of=lambda trial: of(trial.latency_ms),
        places=places,
        room=room,
    )


def with_failures_ms(trial: Trial, probability: float) -> float | None:
    """The quantile of the response times of all the window's requests, failed and refused ones among them.

    A request without a right answer never ends, so a quantile may be infinite. None if requests are too few,
    or if the run is older than this figure.
    """
    found = trial.with_failures_ms
    if found is None or trial.requests < statistics.least_n(probability):
        return None
    value = found.p99 if probability == 0.99 else found.p50
    return math.inf if value is None else value


def _with_failures(name: str, probability: float) -> Metric:
    """A quantile of the response time, from due to done, of all requests, of which some may never end."""
    return Metric(
        name=f"{name}_with_failures",
        label=f"{name} with failures",
        heading=f"{name} with failures, ms",
        series=f"{name} latency with failures",
        title=f"{name} latency with failures",
        column=f"{name}_with_failures_ms",
        unit="ms",
        shown_unit="ms",
        better="less",
        below="faster",
        above="slower",
        centre="endless median",
        of=lambda trial: with_failures_ms(trial, probability),
        places=frozenset({"percentiles"}),
        only_at_due_times=True,
    )


def _service_time(
    name: str,
    of: Callable[[LatencyMs], float | None],
    places: frozenset[Place] = frozenset(),
    *,
    label: str = "",
) -> Metric:
    """A quantile of the service time, from sent to done."""
    label = label or name
    return Metric(
        name=f"service_{name}",
        label=f"service {label}",
        heading=f"service {label} ms",
        series=f"{label} service time",
        title=f"{label} service time",
        column=f"service_{label}_ms",
        unit="ms",
        shown_unit="ms",
        better="less",
        below="faster",
        above="slower",
        centre="median",
        of=lambda trial: of(trial.service_ms) if trial.service_ms else None,
        places=places,
        only_at_due_times=True,
    )


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric(
            name="throughput",
            label="throughput",
            heading="requests/s",
            series="throughput",
            title="Requests/s",
            column="throughput_per_s",
            unit="requests/s",
            shown_unit="requests/s",
            better="more",
            below="slower",
            above="faster",
            centre="geometric mean",
            of=lambda trial: trial.throughput_rps,
            places=SHOWN | JUDGED | {"key figures", "trends"},
            picture="throughput",
            room=Room(90, None),
            set_by_schedule=True,
        ),
        _latency("p50", lambda ms: ms.p50, SHOWN | JUDGED, room=Room(30, 100)),
        _latency("p90", lambda ms: ms.p90, BESIDE),
        _latency("p95", lambda ms: ms.p95, BESIDE, room=Room(20, 50)),
        _latency("p99", lambda ms: ms.p99, SHOWN | JUDGED | {"key figures", "trends"}, room=Room(60, 190)),
        _latency("p999", lambda ms: ms.p999, frozenset(), label="p99.9"),
        _with_failures("p50", 0.50),
        _with_failures("p99", 0.99),
        _service_time("p50", lambda ms: ms.p50),
        _service_time("p90", lambda ms: ms.p90),
        _service_time("p95", lambda ms: ms.p95),
        _service_time("p99", lambda ms: ms.p99, frozenset({"percentiles", "exports"})),
        _service_time("p999", lambda ms: ms.p999, label="p99.9"),
        Metric(
            name="cpu",
            label="CPU time per request",
            heading="CPU-ms per request",
            short_heading="CPU-ms",
            series="CPU time",
            title="CPU-ms per request",
            column="cpu_ms_per_request",
            unit="CPU-ms/request",
            shown_unit="CPU-ms",
            better="less",
            below="cheaper",
            above="dearer",
            centre="geometric mean",
            of=lambda trial: trial.cpu_ms_per_request,
            places=JUDGED | {"resource table", "key figures", "gate rules", "exports", "trends"},
            picture="resources",
            room=Room(40, 120),
        ),
        Metric(
            name="memory",
            label="peak memory",
            heading="peak memory, MiB",
            short_heading="MiB",
            series="peak memory",
            title="Peak memory",
            column="peak_memory_bytes",
            unit="bytes",
            shown_unit="MiB",
            scale=1 / MIB,
            better="less",
            below="smaller",
            above="larger",
            centre="median",
            of=lambda trial: trial.peak_memory_bytes,
            places=frozenset({"resource table", "key figures", "run comparisons", "gate rules", "exports"}),
            picture="resources",
            room=Room(10, 80),
        ),
        Metric(
            name="driver_cpu",
            label="driver CPU-ms per request",
            heading="driver CPU-ms per request",
            column="driver_cpu_ms_per_request",
            unit="CPU-ms/request",
            shown_unit="CPU-ms",
            better="less",
            below="cheaper",
            above="dearer",
            centre="geometric mean",
            of=lambda trial: trial.driver_cpu_ms_per_request,
            places=frozenset({"resource table"}),
        ),
        Metric(
            name="batch",
            label="items per batch",
            heading="items per batch",
            column="batch_mean_images",
            unit="requests",
            shown_unit="items",
            better="more",
            below="smaller",
            above="larger",
            centre="median",
            of=lambda trial: trial.server.batch.mean if trial.server and trial.server.batch else None,
        ),
        Metric(
            name="queue",
            label="time in the queue",
            heading="queue ms",
            column="",
            unit="ms",
            shown_unit="ms",
            better="less",
            below="shorter",
            above="longer",
            centre="median",
            of=lambda trial: stage_ms(trial, "queue"),
        ),
    )
}


STARTUP = Quantity(
    name="startup",
    label="time to the first right answer",
    heading="first answer, s",
    unit="s",
    shown_unit="s",
    better="less",
    below="faster",
    above="slower",
    centre="median",
)
"""Of a start of a strategy, and so of no trial."""


def quantity(name: str) -> Quantity:
    """A metric, or what else is compared between runs, by its name."""
    return STARTUP if name == STARTUP.name else METRICS[name]
