"""The service of one process: its models, their dispatchers, its admission and its lifecycle."""

import asyncio
import gc
import itertools
import logging
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from serving_core.admission import Admission
from serving_core.calls import Signature
from serving_core.dispatch import Dispatcher, MakeDispatcher, Pipeline
from serving_core.engine import Engine
from serving_core.errors import RequestError, StartError
from serving_core.loading import Loaded, load_models, signature_of
from serving_core.metrics import Metrics
from serving_core.models.addresses import shown
from serving_core.settings import NAMED_MODEL, Settings, model_addresses
from serving_core.workers import Workers, patience_s


class Lifecycle:
    """The state of the service: flags that any thread may read and that are set once and never cleared."""

    __slots__ = ("draining", "failure", "ready")

    def __init__(self) -> None:
        self.ready = False
        self.draining = False
        self.failure: str | None = None

    @property
    def accepting(self) -> bool:
        """Tell whether a request that arrives now is served, provided that its model is ready."""
        return not self.draining and self.failure is None

    def fail(self, message: str) -> None:
        """Record why the service must end; only the first reason counts."""
        if self.failure is None:
            self.failure = message


log = logging.getLogger("serving_core.service")

MakeEngine = Callable[[], Engine]
NOT_READY_RETRY_S = 1.0
# After a refusal with 503 a client should use another instance, or the successor of this one.
DRAINING_RETRY_S = 2.0


@dataclass(frozen=True, slots=True)
class Served:
    """A model that is ready, and the dispatcher that computes its answers."""

    signature: Signature
    dispatcher: Dispatcher


class Service:
    """Owns the models, the queue, the metrics and the lifecycle; none of them is global."""

    def __init__(self, make_engine: MakeEngine, settings: Settings, make_dispatcher: MakeDispatcher) -> None:
        self.settings = settings
        self.lifecycle = Lifecycle()
        self.metrics = Metrics()
        self.admission = Admission(
            settings.queue_limit,
            settings.queue_bytes,
            self.metrics,
            usual_s=settings.request_timeout_ms / 1000,
        )
        self.models: dict[str, Served] = {}
        self._workers: Workers | None = None
        self._make_engine = make_engine
        self._make_dispatcher = make_dispatcher
        self._numbers = itertools.count(1)
        self._prefix = f"{os.getpid():x}-{os.urandom(3).hex()}"

    def start(self) -> None:
        """Begin to load in a thread of its own; the server answers meanwhile."""
        loop = asyncio.get_running_loop()
        threading.Thread(target=self._load, args=(loop,), name="loader", daemon=True).start()

    def stop(self) -> None:
        """Let the threads that compute end."""
        self.lifecycle.draining = True
        for served in self.models.values():
            served.dispatcher.close()
        if self._workers is not None:
            self._workers.close()

    def alive(self) -> bool:
        """Tell whether this process can still answer: false means restart it."""
        if self.lifecycle.failure is not None:
            return False
        dispatchers = [served.dispatcher for served in self.models.values()]
        if not all(dispatcher.alive() for dispatcher in dispatchers) or not self._threads_turn():
            self.lifecycle.fail("what computes the answers died or hangs: restart the service")
            return False
        return True

    def model(self, name: str | None, version: str | None) -> Served:
        """Return the model `name`, or the first model if `name` is None; raises RequestError 404 or 503.

        If `version` is None, any version will do.
        """
        served = self.models.get(name) if name is not None else next(iter(self.models.values()), None)
        if served is None:
            if self.lifecycle.ready or not self._may_come(name):
                served_names = self.models if self.lifecycle.ready else model_addresses(self.settings)
                ask = ", ".join(map(str, served_names))
                raise RequestError(404, f"no model {name!r} is served here: ask for {ask}")
            self.metrics.dropped.labels("not_ready").inc()
            raise unavailable("the model is still loading", NOT_READY_RETRY_S)
        if version is not None and version != served.signature.version:
            has = f"version {served.signature.version!r}" if served.signature.version else "no versions"
            raise RequestError(404, f"no version {version!r} of {served.signature.name!r}: it has {has}")
        return served

    def known_name(self, name: str | None) -> str:
        """Return the model's name as a label of metrics; "" if no such model is served."""
        if name is None:
            return next(iter(self.models), "")
        return name if name in self.models else ""

    def check_open(self) -> None:
        """Raise RequestError 503 unless new requests are taken."""
        if not self.lifecycle.accepting:
            raise self.shutting_down()

    def shutting_down(self) -> RequestError:
        """Return, and count, the refusal of a request that another instance will answer."""
        self.metrics.dropped.labels("draining").inc()
        return unavailable("the service is shutting down", DRAINING_RETRY_S)

    def new_request_id(self) -> str:
        """Return an id that no other request of this process has."""
        return f"{self._prefix}-{next(self._numbers):x}"

    def _threads_turn(self) -> bool:
        return self._workers is None or self._workers.alive()

    def _may_come(self, name: str | None) -> bool:
        """Tell whether a model that is still loading may have this name."""
        uri = self.settings.model_uri
        return name is None or not NAMED_MODEL.match(uri) or name in model_addresses(self.settings)

    def _load(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            for loaded in load_models(self._make_engine, self.settings, self.metrics):
                with suppress(RuntimeError):  # the loop is closed if the service was stopped meanwhile
                    loop.call_soon_threadsafe(self._open, loaded)
        except StartError as error:
            self.lifecycle.fail(str(error))
            return
        except BaseException as error:
            log.exception("loading failed")
            self.lifecycle.fail(
                shown(f"{self.settings.model_uri} could not be loaded ({error!r}): run validate")
            )
            return
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(self._begin)

    def _open(self, loaded: Loaded) -> None:
        """Serve one more model."""
        handler, name = loaded.handler, loaded.name
        pipeline = Pipeline(handler, self.metrics.model(name), self.settings.max_request_pixels)
        if self._workers is None:
            self._workers = Workers(self.settings.threads, "worker", patience_s(self.settings))
        try:
            dispatcher = self._make_dispatcher(pipeline, self.settings, self._workers)
            self.models[name] = Served(signature_of(loaded, self.settings.max_items), dispatcher)
        except Exception as error:
            log.exception("dispatching could not be set up")
            self.lifecycle.fail(f"dispatching could not be set up: {error}")

    def _begin(self) -> None:
        """Report the service ready: every model is ready."""
        if self.lifecycle.failure is not None:
            return
        # What was imported and loaded stays; the collector need not search it again during a request.
        gc.collect()
        gc.freeze()
        self.lifecycle.ready = True


def unavailable(reason: str, retry_after_s: float) -> RequestError:
    """Return the refusal of a request that another instance, or this one later, would answer."""
    return RequestError(503, f"{reason}: send again later", retry_after_s)
