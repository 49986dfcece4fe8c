"""One service at run time: what the HTTP routes stand on, made anew for every app."""

import asyncio
import gc
import itertools
import logging
import os
import threading
from collections.abc import Callable
from contextlib import suppress

from serving_core.addresses import shown
from serving_core.admission import Admission
from serving_core.dispatch import Dispatcher, MakeDispatcher
from serving_core.engine import Engine
from serving_core.errors import StartError
from serving_core.lifecycle import Lifecycle, Loaded, load
from serving_core.metrics import Metrics
from serving_core.pipeline import Pipeline
from serving_core.settings import Settings

log = logging.getLogger("serving_core.service")

MakeEngine = Callable[[], Engine]


class Service:
    """Owns the engine, the queue, the metrics and the lifecycle; nothing of it is global."""

    def __init__(self, make_engine: MakeEngine, settings: Settings, make_dispatcher: MakeDispatcher) -> None:
        self.settings = settings
        self.lifecycle = Lifecycle()
        self.metrics = Metrics()
        self.admission = Admission(settings.queue_limit, settings.queue_bytes, self.metrics)
        self.dispatcher: Dispatcher | None = None
        self._make_engine = make_engine
        self._make_dispatcher = make_dispatcher
        self._numbers = itertools.count(1)
        self._prefix = f"{os.getpid():x}-{os.urandom(3).hex()}"

    def start(self) -> None:
        """Begin loading in a thread of its own, so that the server answers meanwhile."""
        loop = asyncio.get_running_loop()
        threading.Thread(target=self._load, args=(loop,), name="loader", daemon=True).start()

    def stop(self) -> None:
        """Release the dispatcher's threads."""
        self.lifecycle.draining = True
        if self.dispatcher is not None:
            self.dispatcher.close()

    def alive(self) -> bool:
        """Tell whether this process can still answer: false means restart it."""
        if self.lifecycle.failure is not None:
            return False
        if self.dispatcher is not None and not self.dispatcher.alive():
            self.lifecycle.fail("the batching task died: restart the service")
            return False
        return True

    def new_request_id(self) -> str:
        """Return an id no other request of this process has."""
        return f"{self._prefix}-{next(self._numbers):x}"

    def _load(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            loaded = load(self._make_engine, self.settings, self.metrics)
        except StartError as error:
            self.lifecycle.fail(str(error))
            return
        except Exception as error:
            log.exception("loading failed")
            self.lifecycle.fail(shown(f"{self.settings.model_uri} could not be loaded: {error}"))
            return
        with suppress(RuntimeError):  # the loop is closed when the service was stopped meanwhile
            loop.call_soon_threadsafe(self._open, loaded)

    def _open(self, loaded: Loaded) -> None:
        pipeline = Pipeline(loaded.engine, loaded.manifest, self.metrics, self.settings.max_pixels)
        try:
            self.dispatcher = self._make_dispatcher(pipeline, self.settings)
        except Exception as error:
            log.exception("dispatching could not be set up")
            self.lifecycle.fail(f"dispatching could not be set up: {error}")
            return
        # What was imported and loaded stays: no collection during a request need look through it again.
        gc.collect()
        gc.freeze()
        self.lifecycle.ready = True
