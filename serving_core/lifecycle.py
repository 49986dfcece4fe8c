"""A service's life: starting, ready, draining; or failed."""

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from serving_core.addresses import shown
from serving_core.engine import Engine
from serving_core.manifest import Manifest
from serving_core.metrics import Metrics
from serving_core.settings import Settings
from serving_core.store import pull_model

log = logging.getLogger("serving_core.lifecycle")


class Lifecycle:
    """Where the service stands; flags that any thread may read and that only ever go one way."""

    __slots__ = ("draining", "failure", "ready")

    def __init__(self) -> None:
        self.ready = False
        self.draining = False
        self.failure: str | None = None

    @property
    def accepting(self) -> bool:
        """Tell whether a request that arrives now is served."""
        return self.ready and not self.draining and self.failure is None

    def fail(self, message: str) -> None:
        """Note, once, why the service must end."""
        if self.failure is None:
            self.failure = message


@dataclass(frozen=True, slots=True)
class Loaded:
    """An engine that is warm, and its model's manifest."""

    engine: Engine
    manifest: Manifest


def load(make_engine: Callable[[], Engine], settings: Settings, metrics: Metrics) -> Loaded:
    """Import the engine, pull the model, load it and warm it, timing each; raises StartError."""
    phases: dict[str, float] = {}
    began = perf_counter()
    before_s = process_age_s()
    engine = make_engine()
    phases["imports"] = before_s + perf_counter() - began
    began = perf_counter()
    model = pull_model(
        settings.model_uri, settings.model_cache_dir, settings.store_timeout_s, settings.local_store
    )
    phases["pull"] = perf_counter() - began
    began = perf_counter()
    engine.load(model.path, model.manifest, settings.threads)
    phases["load"] = perf_counter() - began
    began = perf_counter()
    engine.warm()
    phases["warm_up"] = perf_counter() - began
    for phase, seconds in phases.items():
        metrics.startup_phase.labels(phase).set(seconds)
    uri = shown(settings.model_uri)
    metrics.model_info.info({"name": model.manifest.name, "engine": engine.name, "uri": uri})
    log.info(
        "ready",
        extra={
            "engine": engine.name,
            "model": model.manifest.name,
            "uri": uri,
            "cached": model.cached,
            "threads": settings.threads,
            "startup_phases_s": {phase: round(seconds, 4) for phase, seconds in phases.items()},
        },
    )
    return Loaded(engine, model.manifest)


def process_age_s() -> float:
    """Return the seconds since the kernel started this process, to a hundredth; 0 where it does not tell."""
    try:
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        uptime_s = float(Path("/proc/uptime").read_text().split()[0])
    except OSError:
        return 0.0
    return uptime_s - int(fields[19]) / os.sysconf("SC_CLK_TCK")
