"""Loading the configured models, each with its handler, and timing how long each phase takes."""

import inspect
import logging
import os
import re
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from time import perf_counter
from typing import Any

from serving_core.calls import Signature
from serving_core.decoding.memory import DecodingMemory
from serving_core.engine import Compute, Engine
from serving_core.errors import StartError
from serving_core.handler import Context, Handler
from serving_core.metrics import Metrics
from serving_core.models.addresses import shown
from serving_core.models.manifest import Kind, kind_of
from serving_core.models.store import Model, pull_model
from serving_core.settings import Settings, handler_names, manifest_addresses, model_addresses
from serving_core.tensors import TensorSpec

_NAME = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*:[^\W\d]\w*")


def load_handler(name: str) -> type[Handler]:
    """Return the class `package.module:Class`; raises StartError if it is not a usable Handler."""
    if not _NAME.fullmatch(name):
        raise StartError(f"HANDLER has {name!r}: write package.module:Class")
    module_name, _, class_name = name.partition(":")
    handler_class = getattr(_module(name, module_name), class_name, None)
    if handler_class is None:
        raise StartError(f"HANDLER={name}: {module_name} has no {class_name}: name a class that it defines")
    if not (isinstance(handler_class, type) and issubclass(handler_class, Handler)):
        raise StartError(f"HANDLER={name} is not a Handler: derive it from serving_core.handler.Handler")
    if missing := sorted(handler_class.__abstractmethods__):
        raise StartError(f"HANDLER={name} lacks {', '.join(missing)}: define what Handler leaves open")
    try:
        inspect.signature(handler_class).bind()
    except TypeError as error:
        raise StartError(
            f"HANDLER={name} is not made without arguments ({error}): take what it needs in load"
        ) from None
    return handler_class


def _module(name: str, module_name: str) -> object:
    try:
        return import_module(module_name)
    except ModuleNotFoundError as error:
        missing = error.name or module_name
        if module_name == missing or module_name.startswith(missing + "."):
            raise StartError(
                f"HANDLER={name}: there is no module {missing}: correct the name or set PYTHONPATH"
            ) from None
        raise StartError(f"HANDLER={name}: {module_name} needs {missing}: install it") from None
    except (Exception, SystemExit) as error:
        raise StartError(
            f"HANDLER={name}: {module_name} fails as it is imported ({cause(error)}): mend it"
        ) from error


def check_declared(name: str, handler: Handler) -> None:
    """Raise StartError unless a loaded handler's inputs and outputs are TensorSpecs with distinct names."""
    for kind in ("inputs", "outputs"):
        specs: Any = getattr(handler, kind, None)
        if not isinstance(specs, tuple) or not specs or not all(map(_is_spec, specs)):
            written = " ".join(repr(specs).split())
            raise StartError(
                f"HANDLER={name}: {kind} is {written}: make it a tuple of TensorSpec, at the latest in load"
            )
        names = [spec.name for spec in specs]
        if len(set(names)) != len(names):
            raise StartError(f"HANDLER={name}: {kind} are called {names}: give each a name of its own")


def _is_spec(value: object) -> bool:
    """Tell whether `value` is a TensorSpec whose name and shape have the declared types."""
    return (
        isinstance(value, TensorSpec)
        and isinstance(value.name, str)
        and value.name != ""
        and isinstance(value.shape, tuple)
        and all(isinstance(size, int) and size >= -1 for size in value.shape)
    )


def cause(error: BaseException) -> str:
    """Return an exception's type and message in one line."""
    return " ".join(f"{type(error).__name__}: {error}".split()).removesuffix(":")


def raised(error: BaseException) -> str:
    """Return one line that says which exception was raised, and where."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"raises {cause(error)} ({Path(place.filename).name}:{place.lineno})"


log = logging.getLogger("serving_core.loading")

DEFAULT_HANDLERS: Mapping[Kind, str] = {
    "image": "serving_core.classifier:ImageClassifier",
    "tensors": "serving_core.tensor_model:TensorModel",
}


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model that can be served: its name, its version, and its handler after warm-up."""

    name: str
    version: str | None
    handler: Handler


def load_models(make_engine: Callable[[], Engine], settings: Settings, metrics: Metrics) -> Iterator[Loaded]:
    """Load each configured model in turn, timing each phase; raises StartError."""
    addresses, handlers = model_addresses(settings), handler_names(settings)
    manifests = manifest_addresses(settings)
    strangers = handlers.keys() - addresses.keys() - {None}
    if strangers:
        raise StartError(f"HANDLER names {', '.join(map(repr, strangers))}: use its models' names")
    memory = DecodingMemory(settings.decode_bytes)
    since = perf_counter() - process_age_s()
    for name, uri in addresses.items():
        handler = handlers.get(name) or handlers.get(None)
        asked = (name, uri, manifests.get(name), handler)
        yield _load_model(make_engine, settings, metrics, memory, since, asked)
        since = perf_counter()


def _load_model(
    make_engine: Callable[[], Engine],
    settings: Settings,
    metrics: Metrics,
    memory: DecodingMemory,
    since: float,
    asked: tuple[str | None, str, str | None, str | None],
) -> Loaded:
    name, uri, manifest_uri, handler_name = asked
    phases: dict[str, float] = {}

    def passed(phase: str) -> None:
        nonlocal since
        now = perf_counter()
        phases[phase] = phases.get(phase, 0.0) + now - since
        since = now

    def timed_engine() -> Engine:
        passed("load")
        engine = make_engine()
        passed("imports")
        return engine

    handler = None if handler_name is None else _made(uri, handler_name)
    passed("imports")
    model = pull_model(
        uri,
        settings.model_cache_dir,
        settings.store_timeout_s,
        settings.local_store,
        manifest_uri=manifest_uri,
        max_bytes=settings.max_model_bytes,
    )
    passed("pull")
    if handler is None or handler_name is None:
        handler_name = DEFAULT_HANDLERS[kind_of(model.manifest)]
        handler = _made(uri, handler_name)
        passed("imports")
    with _as_start_error(uri, f"{handler_name}.load"):
        context = Context(timed_engine, _compute(settings), settings.max_pixels, memory, settings.pixels)
        handler.load(model, context)
    check_declared(handler_name, handler)
    passed("load")
    with _as_start_error(uri, f"{handler_name}.warm"):
        handler.warm()
    passed("warm_up")
    loaded = Loaded(name or model.manifest.name, model.manifest.version, handler)
    _report(loaded, model, uri, phases, settings, metrics)
    return loaded


def _made(uri: str, name: str) -> Handler:
    make_handler = load_handler(name)
    with _as_start_error(uri, f"{name}.__init__"):
        return make_handler()


def _compute(settings: Settings) -> Compute:
    share = settings.device_memory_share / settings.workers
    return Compute(
        settings.threads,
        settings.device,
        settings.max_batch,
        share,
        settings.engine,
        settings.precision,
        settings.compute,
    )


@contextmanager
def _as_start_error(uri: str, method: str) -> Iterator[None]:
    """Turn any exception of the method, SystemExit too, into a StartError."""
    try:
        yield
    except StartError:
        raise
    except (Exception, SystemExit) as error:
        log.debug("%s failed", method, exc_info=True)
        raise StartError(
            shown(f"{uri} could not be loaded: {method} {raised(error)}: mend it, then run validate")
        ) from error


def _report(
    loaded: Loaded, model: Model, uri: str, phases: dict[str, float], settings: Settings, metrics: Metrics
) -> None:
    for phase, seconds in phases.items():
        metrics.startup_phase.labels(phase, loaded.name).set(seconds)
    address, engine = shown(uri), loaded.handler.platform
    metrics.model_info.labels(loaded.name, loaded.version or "", engine, address).set(1)
    log.info(
        "ready",
        extra={
            "engine": engine,
            "model": loaded.name,
            "uri": address,
            "cached": model.cached,
            "threads": settings.threads,
            "computes": loaded.handler.computes,
            "together": loaded.handler.together,
            "batch": loaded.handler.batching.size if loaded.handler.batching else None,
            "startup_phases_s": {phase: round(seconds, 4) for phase, seconds in phases.items()},
        },
    )


def signature_of(loaded: Loaded, max_items: int) -> Signature:
    """Return what the codecs must know about a loaded model."""
    handler = loaded.handler
    return Signature(
        loaded.name,
        loaded.version,
        handler.platform,
        handler.inputs,
        handler.outputs,
        handler.answer,
        max_items,
    )


def process_age_s() -> float:
    """Return the seconds since the kernel started this process, to a hundredth; 0 if it does not say."""
    try:
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        uptime_s = float(Path("/proc/uptime").read_text().split()[0])
    except OSError:
        return 0.0
    return uptime_s - int(fields[19]) / os.sysconf("SC_CLK_TCK")
