"""The values of a benchmark: what is measured, how load is offered, and what came of it.

Units are in the names. A figure that could not be measured is None, never 0.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

SCHEMA_VERSION = 2
# what came since has defaults, so that older runs can be read
READABLE_VERSIONS = (1, 2)

Outcome = Literal["ok", "wrong_answer", "http_error", "connection_error", "timeout", "unfinished", "refused"]
OUTCOMES: tuple[Outcome, ...] = (
    "ok",
    "wrong_answer",
    "http_error",
    "connection_error",
    "timeout",
    "unfinished",
    "refused",
)

Device = Literal["auto", "cpu", "cuda"]
Arrivals = Literal["poisson", "constant"]


@dataclass(frozen=True, slots=True)
class Strategy:
    """One service under test, as its labels in compose.yaml register it."""

    name: str
    title: str
    service: str
    port: int
    path: str
    ready_path: str
    encodings: tuple[str, ...]
    loop_command: tuple[str, ...] | None
    devices: tuple[str, ...] = ("cpu",)
    model: str = "model"
    """The model's name in the paths of the open inference protocol."""
    keeps_model: bool = False
    """Whether it is known where it keeps the model that it pulls, so that it can be started with it there."""


@dataclass(frozen=True, slots=True)
class Payload:
    """One request body and the answer that it must get.

    `payload_class` groups images of one kind ("seed", "small"); `probabilities` maps each label to the
    reference's probability. `path` is None where the strategy's own path takes it, `headers` are those
    beside Content-Type, and `reply` says how the answer is read.
    """

    file: str
    payload_class: str
    encoding: str
    content_type: str
    body: bytes
    label: str
    probabilities: Mapping[str, float]
    path: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    reply: str = "json"


@dataclass(frozen=True, slots=True)
class ClosedLoad:
    """N clients, each of which sends its next request when the last is answered.

    The warm-up lasts at least `warmup_s`, and up to `warmup_most_s` until it is steady; without that it is
    by time alone.
    """

    clients: int
    warmup_s: float
    window_s: float
    drain_s: float = 30.0
    timeout_s: float = 30.0
    warmup_most_s: float | None = None

    @property
    def name(self) -> str:
        """A short name for files: `c50`."""
        return f"c{self.clients}"

    @property
    def label(self) -> str:
        """The load in words."""
        return "1 client" if self.clients == 1 else f"{self.clients} clients"

    def described(self) -> dict[str, Any]:
        """The load as a trial keeps it."""
        return {
            "name": self.name,
            "kind": "closed",
            "clients": self.clients,
            "drain_s": self.drain_s,
            "timeout_s": self.timeout_s,
        }


@dataclass(frozen=True, slots=True)
class OpenLoad:
    """Requests that come due by a seeded schedule, whether or not earlier ones are answered.

    `share` is what part of the strategy's measured capacity the rate is, None where the rate was given.
    """

    rate_per_s: float
    warmup_s: float
    window_s: float
    drain_s: float = 30.0
    timeout_s: float = 30.0
    arrivals: Arrivals = "poisson"
    warmup_most_s: float | None = None
    share: float | None = None

    @property
    def name(self) -> str:
        """A short name for files: `q200`, `s70` for a share of capacity, `-even` where arrivals are."""
        return _open_name(self.rate_per_s, self.share, self.arrivals)

    @property
    def label(self) -> str:
        """The load in words."""
        return open_label(self.rate_per_s, self.share, self.arrivals)

    def described(self) -> dict[str, Any]:
        """The load as a trial keeps it."""
        return {
            "name": self.name,
            "kind": "open",
            "rate_per_s": self.rate_per_s,
            "arrivals": self.arrivals,
            **({} if self.share is None else {"share": self.share}),
            "drain_s": self.drain_s,
            "timeout_s": self.timeout_s,
        }


@dataclass(frozen=True, slots=True)
class ShareLoad:
    """An open load whose rate is a share of the capacity that each strategy is yet to show."""

    share: float
    warmup_s: float
    window_s: float
    drain_s: float = 30.0
    timeout_s: float = 30.0
    arrivals: Arrivals = "poisson"
    warmup_most_s: float | None = None

    @property
    def name(self) -> str:
        """A short name for files: `s70`."""
        return _open_name(0.0, self.share, self.arrivals)

    @property
    def label(self) -> str:
        """The load in words."""
        return open_label(0.0, self.share, self.arrivals)

    def at(self, capacity_rps: float) -> OpenLoad:
        """The open load that it is for a strategy of this capacity."""
        return OpenLoad(
            round(self.share * capacity_rps, 3),
            self.warmup_s,
            self.window_s,
            self.drain_s,
            self.timeout_s,
            self.arrivals,
            self.warmup_most_s,
            self.share,
        )


Load = ClosedLoad | OpenLoad
PlannedLoad = ClosedLoad | OpenLoad | ShareLoad


def open_label(rate_per_s: float, share: float | None, arrivals: str) -> str:
    """An open load in words: `200 requests/s`, `70% of capacity`, `200 requests/s, evenly`."""
    what = f"{rate_per_s:g} requests/s" if share is None else f"{100 * share:g}% of capacity"
    return what if arrivals == "poisson" else f"{what}, evenly"


def _open_name(rate_per_s: float, share: float | None, arrivals: str) -> str:
    what = f"q{rate_per_s:g}" if share is None else f"s{100 * share:g}"
    return what if arrivals == "poisson" else f"{what}-even"


@dataclass(frozen=True, slots=True)
class StageFigures:
    """How often a service went through one stage in the window, and the mean time of it."""

    mean_ms: float
    count: int


@dataclass(frozen=True, slots=True)
class BatchFigures:
    """Sizes of the batches computed in the window; `counts` by the upper bound of each bucket in use."""

    mean: float
    counts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class ServerFigures:
    """What a service's own metrics say of the window, summed over its models."""

    stages: Mapping[str, StageFigures]
    batch: BatchFigures | None


@dataclass(frozen=True, slots=True)
class LatencyMs:
    """Quantiles over right answers that ended in the window, due to done; None where they are too few."""

    p50: float | None
    p95: float | None
    p99: float | None
    p90: float | None = None
    p999: float | None = None


@dataclass(frozen=True, slots=True)
class DriverFigures:
    """The driver's own part in a trial, over its window.

    `busiest_core` is the share of a core that its busiest process used; `late_sends` the share of requests
    sent more than 10 ms after they were due; `clock_error_ms` bounds how far workers' clocks may be apart
    (None on one host).
    """

    workers: int
    lost_workers: int
    busiest_core: float | None
    late_sends: float | None
    lag_p99_ms: float | None
    clock_error_ms: float | None = None


@dataclass(frozen=True, slots=True)
class GpuFigures:
    """The GPU over a window: mean utilisation (0 to 1), most memory in use, and energy."""

    utilisation: float | None
    peak_memory_bytes: int | None
    energy_j: float | None


@dataclass(frozen=True, slots=True)
class ResourceFigures:
    """What the container's and the host's accounting say of the window, beside CPU time and peak memory.

    Network bytes are as the container sees them; `stolen` is the share of the service cores' time that the
    host took.
    """

    received_bytes: int | None
    sent_bytes: int | None
    throttled_periods: int
    stolen: float
    gpu: GpuFigures | None = None


@dataclass(frozen=True, slots=True)
class Trial:
    """One strategy under one load in one round, in a fresh container.

    `ok` counts the right answers that ended in the window; `errors` and `wrong_answers` count the whole
    trial, warm-up and drain too, as any of them voids it. Under an open load `refused` counts the requests
    that a full service turned away in the window (429, 503), which are no errors there; else it is None.
    `requests` is the sum of all these. `server` is None where the service tells of no such metrics.
    `error` says in one line why nothing could be measured. `latency_ms` runs from due to done, `service_ms`
    from sent to done. `overhead_s` is what the step took beside start, warm-up, window and drain.
    """

    strategy: str
    round: int
    payload_class: str
    encoding: str
    load: Mapping[str, Any]
    window_s: float
    warmup_s: float
    requests: int
    ok: int
    errors: int
    wrong_answers: int
    throughput_rps: float | None
    latency_ms: LatencyMs
    cpu_ms_per_request: float | None
    peak_memory_bytes: int | None
    driver_cpu_ms_per_request: float | None
    warnings: tuple[str, ...]
    valid: bool
    samples: str | None
    error: str | None = None
    refused: int | None = None
    server: ServerFigures | None = None
    service_ms: LatencyMs | None = None
    driver: DriverFigures | None = None
    resources: ResourceFigures | None = None
    overhead_s: float | None = None


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer of an image: the command that made it (shortened), its size, and the digest of its content.

    Images that hold a layer of the same digest share it: a host pulls and stores it once.
    """

    created_by: str
    unpacked_bytes: int
    compressed_bytes: int | None
    digest: str


@dataclass(frozen=True, slots=True)
class Directory:
    """A directory of an image and the bytes of the files below it; an installed package is one."""

    path: str
    unpacked_bytes: int


@dataclass(frozen=True, slots=True)
class ImageSize:
    """An image's size summed over its layers; compressed is what a pull moves.

    `directories` are the largest, by package; `wasted_bytes` are of files that a later layer replaces or
    removes; `model_bytes` is what the model adds, which is pulled at the start and lies in no layer.
    """

    unpacked_bytes: int
    compressed_bytes: int | None
    layers: tuple[Layer, ...]
    directories: tuple[Directory, ...] = ()
    wasted_bytes: int | None = None
    model_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Startup:
    """Fresh starts of one strategy, in seconds since the engine's create call; one entry a start.

    `inside` holds how long each phase took that the service itself timed, in seconds.
    """

    first_correct_answer_s: tuple[float, ...]
    phases: Mapping[str, tuple[float, ...]]
    model_cache: str
    inside: Mapping[str, tuple[float, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LoopResult:
    """The strategy's own pipeline in a bare loop, without HTTP: one entry a round.

    `part` is "whole", "prepare" (parse, decode and transform) or "infer" (the model alone, on prepared items
    in batches of `batch_size`).
    """

    payload_class: str
    requests_per_s: tuple[float, ...]
    cpu_ms_per_request: tuple[float, ...]
    part: str = "whole"
    batch_size: int | None = None


@dataclass(frozen=True, slots=True)
class StrategyResult:
    """What is known of a strategy beside its trials; None where it could not be measured."""

    title: str
    image: ImageSize | None
    startup: Startup | None
    loops: tuple[LoopResult, ...] = ()
    warm_startup: Startup | None = None
    """The same with a model cache that an earlier start has filled."""


@dataclass(frozen=True, slots=True)
class Ceiling:
    """The driver against a target that answers at once: the most that it can measure.

    `ab_*` are ApacheBench's figures against the same target with one of the same bodies, None where it is
    not installed; `plain_*` are those of Locust's own fast client without ours, None where nobody asked.
    """

    payload_class: str
    encoding: str
    clients: int
    throughput_rps: float
    driver_cpu_ms_per_request: float
    ab_throughput_rps: float | None
    ab_cpu_ms_per_request: float | None
    plain_throughput_rps: float | None = None
    plain_cpu_ms_per_request: float | None = None


@dataclass(frozen=True, slots=True)
class Capacity:
    """The most that a strategy answered in a closed loop before the rounds; shares of it become rates."""

    strategy: str
    payload_class: str
    encoding: str
    clients: int
    throughput_rps: float


@dataclass(frozen=True, slots=True)
class RepeatCheck:
    """The same images over and over against copies of them of which no two bodies are alike.

    Where repeating is much faster, something caches answers and the figures are of the cache.
    """

    strategy: str
    payload_class: str
    encoding: str
    varied_rps: float
    repeated_rps: float


@dataclass(frozen=True, slots=True)
class Probe:
    """One rate that a search for an objective tried, in one trial: did the objective hold there?

    `goodput_rps` counts right answers within the bound; `quantile_ms` is None where answers are too few.
    """

    rate_per_s: float
    round: int
    quantile_ms: float | None
    goodput_rps: float
    throughput_rps: float
    held: bool
    why_not: str = ""


@dataclass(frozen=True, slots=True)
class SloResult:
    """The highest rate at which an objective held, of those that were tried; None where it never did.

    The objective is `quantile` of the response times within `bound_ms`.
    """

    strategy: str
    payload_class: str
    encoding: str
    quantile: float
    bound_ms: float
    capacity_rps: float
    rate_per_s: float | None
    goodput_rps: float | None
    probes: tuple[Probe, ...]


@dataclass(frozen=True, slots=True)
class Run:
    """Everything that one `bench run` found, as run.json holds it."""

    schema_version: int
    created: str
    command: str
    runtime: str
    quick: bool
    planned_trials: int
    environment: Mapping[str, Any]
    ceilings: tuple[Ceiling, ...]
    strategies: Mapping[str, StrategyResult]
    trials: tuple[Trial, ...]
    warnings: tuple[str, ...] = field(default=())
    capacities: tuple[Capacity, ...] = ()
    repeats: tuple[RepeatCheck, ...] = ()
    objectives: tuple[SloResult, ...] = ()
    price_per_core_hour: float | None = None
