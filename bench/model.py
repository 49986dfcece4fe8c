"""The values of a benchmark: what is measured, how load is offered, and what came of it.

Units are in the names. A figure that could not be measured is None, never 0.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

SCHEMA_VERSION = 1

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


@dataclass(frozen=True, slots=True)
class Payload:
    """One request body and the answer that it must get.

    `payload_class` groups images of one kind ("seed", "small"); `probabilities` maps each label to the
    reference's probability.
    """

    file: str
    payload_class: str
    encoding: str
    content_type: str
    body: bytes
    label: str
    probabilities: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class ClosedLoad:
    """N clients, each of which sends its next request when the last is answered."""

    clients: int
    warmup_s: float
    window_s: float
    drain_s: float = 30.0
    timeout_s: float = 30.0

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
            "kind": "closed",
            "clients": self.clients,
            "drain_s": self.drain_s,
            "timeout_s": self.timeout_s,
        }


@dataclass(frozen=True, slots=True)
class OpenLoad:
    """Requests that come due by a seeded schedule, whether or not earlier ones are answered."""

    rate_per_s: float
    warmup_s: float
    window_s: float
    drain_s: float = 30.0
    timeout_s: float = 30.0
    arrivals: Literal["poisson"] = "poisson"

    @property
    def name(self) -> str:
        """A short name for files: `q200`."""
        return f"q{self.rate_per_s:g}"

    @property
    def label(self) -> str:
        """The load in words."""
        return f"{self.rate_per_s:g} requests/s"

    def described(self) -> dict[str, Any]:
        """The load as a trial keeps it."""
        return {
            "kind": "open",
            "rate_per_s": self.rate_per_s,
            "arrivals": self.arrivals,
            "drain_s": self.drain_s,
            "timeout_s": self.timeout_s,
        }


Load = ClosedLoad | OpenLoad


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


@dataclass(frozen=True, slots=True)
class Trial:
    """One strategy under one load in one round, in a fresh container.

    `ok` counts the right answers that ended in the window; `errors` and `wrong_answers` count the whole
    trial, warm-up and drain too, as any of them voids it. Under an open load `refused` counts the requests
    that a full service turned away in the window (429, 503), which are no errors there; else it is None.
    `requests` is the sum of all these. `server` is None where the service tells of no such metrics.
    `error` says in one line why nothing could be measured.
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
class ImageSize:
    """An image's size summed over its layers; compressed is what a pull moves."""

    unpacked_bytes: int
    compressed_bytes: int | None
    layers: tuple[Layer, ...]


@dataclass(frozen=True, slots=True)
class Startup:
    """Fresh starts of one strategy, in seconds since the engine's create call; one entry a start."""

    first_correct_answer_s: tuple[float, ...]
    phases: Mapping[str, tuple[float, ...]]
    model_cache: str


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


@dataclass(frozen=True, slots=True)
class Ceiling:
    """The driver against a target that answers at once: the most that it can measure.

    `ab_*` are ApacheBench's figures against the same target with one of the same bodies, None where it is
    not installed.
    """

    payload_class: str
    encoding: str
    clients: int
    throughput_rps: float
    driver_cpu_ms_per_request: float
    ab_throughput_rps: float | None
    ab_cpu_ms_per_request: float | None


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
