"""What a service counts and times, in a Prometheus registry of its own.

If several processes answer on one port, each writes its counts into files of one shared folder, and each of
them reports the counts of all. prometheus_client does so if PROMETHEUS_MULTIPROC_DIR is set before the
import of prometheus_client.
"""

import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path
from time import perf_counter
from types import TracebackType
from typing import Self

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client import exposition as text
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector

# A request here takes 1 to 100 ms: the first steps are a millisecond or less, the later steps are coarser.
BUCKETS_S = (
    *(step / 10000 for step in (1, 2.5, 5, 7.5)),
    *(step / 1000 for step in (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 15, 20, 25, 30, 40, 50, 75)),
    *(0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1.0, 2.0, 5.0, 10.0, 30.0),
)
BATCH_BUCKETS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 128, 256)
# "wait" is the wait for a thread that prepares, if the strategy has another queue after the preparation
STAGES = ("wait", "parse", "decode", "transform", "queue", "infer", "encode")
QUEUES = ("prepare", "infer")


class Stage:
    """Times its `with` block; each use has a Stage of its own, so threads do not share it."""

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


class ModelMetrics:
    """The counts and times of one model."""

    __slots__ = ("_stages", "batch_size", "dropped", "waiting")

    def __init__(
        self,
        stages: dict[str, Callable[[float], None]],
        batch_size: Histogram,
        waiting: dict[str, Gauge],
        dropped: Counter,
    ) -> None:
        self._stages = stages
        self.batch_size = batch_size
        # by the names in QUEUES, if the strategy has several queues
        self.waiting = waiting
        self.dropped = dropped

    def stage(self, name: str) -> Stage:
        """Return a timer for one of STAGES."""
        return Stage(self._stages[name])

    def observe_stage(self, name: str, seconds: float) -> None:
        """Record one stage that was timed elsewhere."""
        self._stages[name](seconds)


class SharedGauge(Gauge):
    """A gauge whose function is called by `refresh`, which writes the value where other processes see it."""

    _function: Callable[[], float] | None = None

    def set_function(self, f: Callable[[], float]) -> None:
        """Set the function that returns the value."""
        self._function = f

    def refresh(self) -> None:
        """Write the value down."""
        if self._function is not None:
            self.set(self._function())


class SharedFiles(Collector):
    """Collects what all processes wrote into `folder`, even while a process is creating a file there."""

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder)

    def collect(self) -> Iterable[Metric]:
        """Return all metrics."""
        files = [str(file) for file in self._folder.glob("*.db") if _has_content(file)]
        merged: Iterable[Metric] = MultiProcessCollector.merge(files)  # type: ignore[no-untyped-call]  # untyped
        return merged


def _has_content(file: Path) -> bool:
    with suppress(FileNotFoundError):  # a process ended, and its gauges were removed
        return file.stat().st_size > 0
    return False


class Metrics:
    """The metrics of every service; the service contract names them and their labels, `model` is added."""

    def __init__(self) -> None:
        registry = CollectorRegistry()
        self.registry = registry
        self.shared = "PROMETHEUS_MULTIPROC_DIR" in os.environ
        self.request_duration = Histogram(
            "request_duration_seconds",
            "Request to answer",
            ["route", "status", "model"],
            buckets=BUCKETS_S,
            registry=registry,
        )
        self._stage_duration = Histogram(
            "stage_duration_seconds",
            "One stage of a prediction",
            ["stage", "model"],
            buckets=BUCKETS_S,
            registry=registry,
        )
        self._answered: dict[tuple[str, int, str], Histogram] = {}
        self._batch_size = Histogram(
            "batch_size", "Items computed together", ["model"], buckets=BATCH_BUCKETS, registry=registry
        )
        gauge = partial(SharedGauge if self.shared else Gauge, multiprocess_mode="livesum", registry=registry)
        self.queue_depth = gauge("queue_depth", "Items accepted and not yet answered")
        self.queue_bytes = gauge("queue_bytes", "Bytes of bodies accepted or being read")
        self.in_flight = gauge("in_flight", "Requests being read, computed or answered")
        self._stage_waiting = gauge(
            "stage_queue_depth",
            "Items that wait for a stage that has a queue",
            labelnames=["stage", "model"],
        )
        self._refreshed = [self.queue_depth, self.queue_bytes, self.in_flight]
        self.dropped = Counter("dropped", "Requests given up, by reason", ["reason"], registry=registry)
        self.requests = Counter("requests", "Requests answered", registry=registry)
        self.startup_phase = Gauge(
            "startup_phase_seconds",
            "Startup, by phase",
            ["phase", "model"],
            registry=registry,
            multiprocess_mode="livemax",
        )
        self.model_info = Gauge(
            "model_info",
            "1 for each model that is served",
            ["name", "version", "engine", "uri"],
            registry=registry,
            multiprocess_mode="livemax",
        )
        if not self.shared:  # it would describe one process and look as if it described all
            ProcessCollector(registry=registry)

    def model(self, name: str) -> ModelMetrics:
        """Return the metrics of the model `name`."""
        stages: dict[str, Callable[[float], None]] = {
            stage: self._stage_duration.labels(stage, name).observe for stage in STAGES
        }
        waiting = {queue: self._stage_waiting.labels(queue, name) for queue in QUEUES}
        self._refreshed += waiting.values()
        return ModelMetrics(stages, self._batch_size.labels(name), waiting, self.dropped)

    def observe_request(self, route: str, status: int, seconds: float, model: str = "") -> None:
        """Record one answered request."""
        child = self._answered.get((route, status, model))
        if child is None:
            child = self.request_duration.labels(route, str(status), model)
            self._answered[route, status, model] = child
        child.observe(seconds)
        self.requests.inc()

    def refresh(self) -> None:
        """Let the other processes see this process's gauges; do nothing if there is only one process."""
        for gauge in self._refreshed:
            if isinstance(gauge, SharedGauge):
                gauge.refresh()

    def source(self) -> CollectorRegistry:
        """Return the registry that describes the whole service."""
        if not self.shared:
            return self.registry
        self.refresh()
        return shared_registry(os.environ["PROMETHEUS_MULTIPROC_DIR"])

    def render(self, accept: str) -> tuple[bytes, str]:
        """Return the exposition, in the format that `accept` asks for, and its content type."""
        registry = self.source()
        if "application/openmetrics-text" in accept:
            content: bytes = openmetrics.generate_latest(registry)  # type: ignore[no-untyped-call]  # untyped
            return content, openmetrics.CONTENT_TYPE_LATEST
        return text.generate_latest(registry), text.CONTENT_TYPE_LATEST


def shared_registry(folder: str) -> CollectorRegistry:
    """Return a registry of the counts that the processes wrote into `folder`."""
    registry = CollectorRegistry()
    registry.register(SharedFiles(folder))
    return registry
