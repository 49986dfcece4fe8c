"""What a service counts and times, in a Prometheus registry of its own."""

from collections.abc import Callable
from time import perf_counter
from types import TracebackType
from typing import Self

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, ProcessCollector
from prometheus_client import exposition as text
from prometheus_client.openmetrics import exposition as openmetrics

# A request here takes 1 to 100 ms: steps of a millisecond or less low down, then coarser up to the deadline.
BUCKETS_S = (
    *(step / 10000 for step in (1, 2.5, 5, 7.5)),
    *(step / 1000 for step in (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 15, 20, 25, 30, 40, 50, 75)),
    *(0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1.0, 2.0, 5.0, 10.0, 30.0),
)
BATCH_BUCKETS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 128, 256)
STAGES = ("parse", "decode", "transform", "queue", "infer", "encode")


class Stage:
    """Times what runs inside its `with` block; one per use, so threads do not share it."""

    __slots__ = ("_observe", "_started")

    def __init__(self, observe: Callable[[float], None]) -> None:
        self._observe = observe

    def __enter__(self) -> Self:
        self._started = perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._observe(perf_counter() - self._started)


class Metrics:
    """The metrics every service has; names and labels are the service contract's."""

    def __init__(self) -> None:
        registry = CollectorRegistry()
        self.registry = registry
        self.request_duration = Histogram(
            "request_duration_seconds",
            "Request to answer",
            ["route", "status"],
            buckets=BUCKETS_S,
            registry=registry,
        )
        stage_duration = Histogram(
            "stage_duration_seconds",
            "One stage of a prediction",
            ["stage"],
            buckets=BUCKETS_S,
            registry=registry,
        )
        self._stages = {stage: stage_duration.labels(stage).observe for stage in STAGES}
        self._answered: dict[tuple[str, int], Histogram] = {}
        self.batch_size = Histogram(
            "batch_size", "Images computed together", buckets=BATCH_BUCKETS, registry=registry
        )
        self.queue_depth = Gauge("queue_depth", "Requests accepted and not yet answered", registry=registry)
        self.queue_bytes = Gauge("queue_bytes", "Bytes of bodies accepted or being read", registry=registry)
        self.in_flight = Gauge("in_flight", "Requests being read, computed or answered", registry=registry)
        self.dropped = Counter("dropped", "Requests given up, by reason", ["reason"], registry=registry)
        self.requests = Counter("requests", "Requests answered", registry=registry)
        self.startup_phase = Gauge("startup_phase_seconds", "Startup, by phase", ["phase"], registry=registry)
        self.model_info = Info("model", "The model that is served", registry=registry)
        ProcessCollector(registry=registry)

    def stage(self, name: str) -> Stage:
        """Return a timer for one of STAGES."""
        return Stage(self._stages[name])

    def observe_stage(self, name: str, seconds: float) -> None:
        """Record one stage that was timed elsewhere."""
        self._stages[name](seconds)

    def observe_request(self, route: str, status: int, seconds: float) -> None:
        """Record one answered request."""
        child = self._answered.get((route, status))
        if child is None:
            child = self._answered[route, status] = self.request_duration.labels(route, str(status))
        child.observe(seconds)
        self.requests.inc()

    def render(self, accept: str) -> tuple[bytes, str]:
        """Return the exposition that `accept` asks for and its content type."""
        if "application/openmetrics-text" in accept:
            content: bytes = openmetrics.generate_latest(self.registry)  # type: ignore[no-untyped-call]  # untyped
            return content, openmetrics.CONTENT_TYPE_LATEST
        return text.generate_latest(self.registry), text.CONTENT_TYPE_LATEST
