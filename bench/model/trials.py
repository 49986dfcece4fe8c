"""One trial and its figures: those of the client, of the driver, of the service and of the machine."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from bench.model.doubts import Doubt, gravest_first
from bench.model.loads import Load

Population = Literal["due", "ended"]
"""Which requests are the window's: those that came due in it, or those that ended in it."""


BIAS_BOUND = 0.02
"""The share by which a window may be off because its service still changed, before that is told."""


@dataclass(frozen=True, slots=True)
class LatencyMs:
    """Quantiles over the right answers to the window's requests; None if answers are too few."""

    p50: float | None
    p95: float | None
    p99: float | None
    p90: float | None = None
    p999: float | None = None


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
class DriverFigures:
    """The driver's own part in a trial, over its window.

    `busiest_core` is the share of a core that its busiest process used; `late_sends` the share of requests
    sent more than 10 ms after they could be; `clock_error_ms` bounds how far workers' clocks may be apart
    (None for one process). `core_busy` is the busy share of the busiest of its cores, whoever used it, None
    if the system does not say. Lags are from due to sent, less what a request of an open load waited because
    all of the driver's clients were busy.
    """

    workers: int
    lost_workers: int
    busiest_core: float | None
    late_sends: float | None
    lag_p99_ms: float | None
    clock_error_ms: float | None = None
    lag_p50_ms: float | None = None
    core_busy: float | None = None


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
    host took. `other_on_service` and `other_on_driver` are the shares of the cores' time that processes used
    which are neither the service nor bench. `kernel_peak_bytes` is the kernel's own high-water mark of memory
    since the container began, file cache that it could drop included. All are None if unknown.
    """

    received_bytes: int | None
    sent_bytes: int | None
    throttled_periods: int | None
    stolen: float | None
    gpu: GpuFigures | None = None
    other_on_service: float | None = None
    other_on_driver: float | None = None
    kernel_peak_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class ClassFigures:
    """What a trial of several classes of requests shows of one of them; its terms are the trial's."""

    payload_class: str
    requests: int
    ok: int
    errors: int
    wrong_answers: int
    throughput_rps: float
    latency_ms: LatencyMs


@dataclass(frozen=True, slots=True)
class Trial:
    """One strategy under one load in one round, in a fresh container.

    `counted_by` says which requests are the window's, and all counts and quantiles are of these alone: those
    that came due in it, however late they ended; in older runs and under their closed loads, those that ended
    in it, and those due before its end that failed after it. `ok`, `errors` and `wrong_answers` count them;
    under an open load `refused` counts those that a full service turned away (429), which are not errors
    there; else it is None. `requests` is the sum of all these. `errors_outside` and `wrong_answers_outside`
    count the rest of the trial, warm-up and drain; None if older counts hold the whole trial's.
    `throughput_rps` counts right answers that ended in the window. `with_failures_ms` has the quantiles of
    all the window's requests, of which those without a right answer never end: a quantile is None if it
    never ends, or if requests are too few. `server` is None if the service has no such metrics.
    `error` says why nothing could be measured. `latency_ms` runs from due to done, `service_ms`
    from sent to done. `peak_memory_bytes` is the most of the working set (what is in use, less file cache,
    plus files that processes map) that was sampled in the window, and in as much of it as was planned if it
    lasted longer. `overhead_s` is what the step took beside start, warm-up, window and drain.
    """

    strategy: str
    round: int
    payload_class: str
    encoding: str
    load: Load
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
    doubts: tuple[Doubt, ...]
    valid: bool
    samples: str | None
    error: Doubt | None = None
    refused: int | None = None
    server: ServerFigures | None = None
    service_ms: LatencyMs | None = None
    driver: DriverFigures | None = None
    resources: ResourceFigures | None = None
    overhead_s: float | None = None
    counted_by: Population = "ended"
    with_failures_ms: LatencyMs | None = None
    errors_outside: int | None = None
    wrong_answers_outside: int | None = None
    warmup_bias: float | None = None
    """The largest share by which the trend of the warm-up and the window allows that the window is off."""
    by_class: tuple[ClassFigures, ...] = ()
    """The classes of a mix, each by itself; none where all requests are of one class."""

    @property
    def overloaded(self) -> bool:
        """Whether the load was more than the service could answer: it refused some, or its queue grew."""
        return bool(self.refused) or any(one.code == "overloaded" for one in self.doubts)

    @property
    def void_by_service(self) -> bool:
        """Whether it is void, and by the service's own doing alone: neither host nor driver explains it."""
        voiding = [one for one in self.reasons if one.voids]
        return not self.valid and bool(voiding) and all(one.cause == "service" for one in voiding)

    @property
    def reasons(self) -> tuple[Doubt, ...]:
        """All that is held against it, first why nothing could be measured, then the gravest."""
        doubts = gravest_first(self.doubts)
        return doubts if self.error is None else (self.error, *doubts)
