"""A service whose app is a few lines, for tests of the processes around an app: start, count, fail, slow."""

import asyncio
import json
import logging
import os
import signal
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from serving_core.admission import Admission
from serving_core.metrics import Metrics
from serving_core.process import server, supervisor
from serving_core.process.serve import run
from serving_core.service import Lifecycle
from serving_core.settings import Settings

ORDERS = Path(os.environ["ORDERS"])  # a folder in which a test leaves what is to happen


class TinyService:
    """As much of a service as its server needs."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.lifecycle = Lifecycle()
        self.metrics = Metrics()
        self.admission = Admission(8192, 1 << 30, self.metrics)

    def alive(self) -> bool:
        return self.lifecycle.failure is None

    def start(self) -> None:
        if (ORDERS / "cannot").exists():
            self.lifecycle.fail("there is no model: publish one")
        elif (ORDERS / "crash").exists():
            (ORDERS / f"crashed-{os.getpid()}").touch()
            os._exit(9)
        elif (ORDERS / "killed").exists():
            os.kill(os.getpid(), signal.SIGKILL)
        else:
            loading = threading.Timer(float(os.environ.get("LOADING_S", "0.2")), self._be_ready)
            loading.daemon = True
            loading.start()

    def _be_ready(self) -> None:
        self.lifecycle.ready = True
        logging.getLogger("tiny").info("ready")


class TinyApp:
    """GET /ready, /pid, /metrics; /slow and /slower wait and are accepted only when not draining; /hang."""

    def __init__(self, settings: Settings) -> None:
        self.service = TinyService(settings)
        self.state = SimpleNamespace(service=self.service)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await receive()
            self.service.start()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        began = time.perf_counter()
        status, body = await self._answer(scope["path"])
        headers = [(b"content-length", b"%d" % len(body))]
        if self.service.lifecycle.draining:
            headers.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})
        if scope["path"] != "/metrics":
            self.service.metrics.observe_request(scope["path"], status, time.perf_counter() - began)

    async def _answer(self, path: str) -> tuple[int, bytes]:
        service = self.service
        if path == "/metrics":
            return 200, service.metrics.render("")[0]
        if path == "/ready":
            open_now = service.lifecycle.ready and service.lifecycle.accepting
            return (200 if open_now else 503), b""
        if path == "/hang":
            (ORDERS / "hangs").touch()
            time.sleep(60)
        if path in {"/slow", "/slower"}:
            if service.lifecycle.draining:
                return 503, b""
            place = service.admission.enter()
            (ORDERS / "slow").touch()
            await asyncio.sleep(0.3 if path == "/slow" else 1)
            place.leave()
        return 200, json.dumps(os.getpid()).encode()


server.create_app = lambda _engine, settings, _dispatcher: TinyApp(settings)  # type: ignore[assignment,return-value]  # enough of one

supervisor.LONGEST_BACKOFF_S = float(os.environ.get("LONGEST_BACKOFF_S", "5"))

if __name__ == "__main__":
    run("tiny", None, "TORCH_MODEL_URI")  # type: ignore[arg-type]  # no engine is made
