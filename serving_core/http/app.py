"""The only way to create a service: create_app(make_engine, settings)."""

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from time import perf_counter
from typing import Any, TypeVar

import orjson
from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving_core.codecs.oip import model_metadata, server_metadata
from serving_core.dispatch import Direct, MakeDispatcher
from serving_core.errors import RequestError, fault
from serving_core.http.description import describe
from serving_core.http.predict import TEMPLATES, Predict, log_request, match
from serving_core.service import MakeEngine, Service
from serving_core.settings import Settings

VERSION = "0.1.0"
WORTH_COMPRESSING_BYTES = 2048
DESCRIPTION = "/api-description"
REFUSES_GZIP = re.compile(rb"gzip\s*;\s*q=0(\.0*)?\s*(,|$)")

log = logging.getLogger("serving_core.http.app")

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])


class ServiceApp(FastAPI):
    """A FastAPI app whose hot routes bypass the app's own layers.

    Those layers cost a request some 60 microseconds, 3 % of a small image's time in the fastest strategy.
    """

    def __init__(self, predict: Predict, **options: Any) -> None:
        super().__init__(**options)
        self._predict = predict

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or the app's lifespan."""
        if scope["type"] == "http" and scope["method"] == "POST":
            target = match(scope["path"])
            if target is not None:
                await self._predict.serve(target, scope, receive, send)
                return
        await super().__call__(scope, receive, send)

    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI document, with the models that are ready now."""
        service: Service = self.state.service
        return describe(self.title, self.version, [served.signature for served in service.models.values()])


def create_app(
    make_engine: MakeEngine, settings: Settings, make_dispatcher: MakeDispatcher = Direct
) -> FastAPI:
    """Return the app of a service: its lifespan loads the models, and `app.state.service` owns everything."""
    service = Service(make_engine, settings, make_dispatcher)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        service.start()
        yield
        service.stop()

    predict = Predict(service)
    app = ServiceApp(
        predict,
        title=f"{settings.service} serving",
        version=VERSION,
        lifespan=lifespan,
        routes=[Route(path, predict, methods=["POST"]) for path in TEMPLATES],
        redirect_slashes=False,
        openapi_url=DESCRIPTION,
        docs_url=None,
        redoc_url=None,
    )
    app.state.service = service
    # The answers of the hot routes are too short to be worth compressing.
    app.add_middleware(_Compressed, minimum_size=WORTH_COMPRESSING_BYTES)
    app.add_middleware(_Observed, service=service)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(RequestError, _on_refusal)
    _add_health(app, service)
    _add_models(app, service)
    return app


def _getter(app: FastAPI) -> Callable[[str], Callable[[Endpoint], Endpoint]]:
    """Return a decorator for routes that GET and HEAD read."""
    return partial(app.api_route, methods=["GET", "HEAD"])


def _add_health(app: FastAPI, service: Service) -> None:
    settings, lifecycle, get = service.settings, service.lifecycle, _getter(app)

    @get("/")
    async def root() -> Response:
        """Say that the service is up."""
        return _json(200, {"status": "healthy", "message": f"{settings.service} serves POST /predict/"})

    @get("/ping")
    @get("/v2/health/live")
    async def live() -> Response:
        """Tell whether this process can still answer; 503 means restart it."""
        if service.alive():
            return _json(200, {"status": "healthy", "live": True})
        return _json(503, {"error": f"not live: {lifecycle.failure}"}, {"retry-after": "1"})

    @get("/v2/health/ready")
    async def ready() -> Response:
        """Tell whether requests to every model are served now."""
        if service.alive() and lifecycle.ready and lifecycle.accepting:
            return _json(200, {"ready": True})
        reason = "the service is shutting down" if lifecycle.draining else "the model is still loading"
        return _json(503, {"error": f"not ready: {reason}"}, {"retry-after": "1"})

    @get("/metrics")
    async def metrics(request: Request) -> Response:
        """Return the metrics in Prometheus text or OpenMetrics."""
        # on another thread than the event loop's: with many workers it reads many files
        content, kind = await asyncio.to_thread(service.metrics.render, request.headers.get("accept", ""))
        return Response(content, headers={"content-type": kind})


def _add_models(app: FastAPI, service: Service) -> None:
    get = _getter(app)

    @get("/v2")
    async def server() -> Response:
        """Return the name and version of this server and its extensions of the protocol."""
        return _json(200, server_metadata(app.title, app.version))

    @get("/v2/models/{model}")
    @get("/v2/models/{model}/versions/{version}")
    async def metadata(model: str, version: str | None = None) -> Response:
        """Describe a model's inputs and outputs."""
        return _json(200, model_metadata(service.model(model, version).signature))

    @get("/v2/models/{model}/ready")
    @get("/v2/models/{model}/versions/{version}/ready")
    async def ready(model: str, version: str | None = None) -> Response:
        """Tell whether requests to this model are served now."""
        service.check_open()
        return _json(200, {"name": service.model(model, version).signature.name, "ready": True})


class _Compressed(GZipMiddleware):
    """Starlette's compression, except for a client that refuses it."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        accepted = b",".join(value for name, value in scope.get("headers", ()) if name == b"accept-encoding")
        if REFUSES_GZIP.search(accepted):
            await self.app(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


class _Observed:
    """Counts and times every route except the hot routes, which do so themselves; adds the request's id."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app = app
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = perf_counter()
        sent = dict(scope["headers"]).get(b"x-request-id", b"")[:128]
        request_id = sent or self._service.new_request_id().encode()

        begun = False

        async def observed(message: Message) -> None:
            nonlocal begun
            begun = True
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"x-request-id", request_id)]
                if self._service.lifecycle.draining:
                    message["headers"].append((b"connection", b"close"))
                route, status, seconds = _route_of(scope), message["status"], perf_counter() - started
                self._service.metrics.observe_request(route, status, seconds)
                log_request(request_id, route, status, seconds)
            await send(message)

        try:
            await self._app(scope, receive, observed)
        except Exception:
            log.exception("a request failed", extra={"request_id": request_id.decode("latin-1")})
            if begun:
                raise
            await _json(500, {"error": fault().message})(scope, receive, observed)


def _route_of(scope: Scope) -> str:
    """Return the template of a request's path; "other" stands for every path that is not a route."""
    target = match(scope["path"])
    if target is not None:
        return target.route
    if scope["path"] == DESCRIPTION:
        return DESCRIPTION
    return getattr(scope.get("route"), "path", "other")


async def _on_http_error(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    headers = getattr(error, "headers", None)
    if status == 404:
        return _json(
            404, {"error": f"no route {request.url.path}: POST to /predict/, or see {DESCRIPTION}"}, headers
        )
    if status == 405:
        allowed = (headers or {}).get("Allow", "another method")
        return _json(
            405, {"error": f"{request.method} is not served on {request.url.path}: use {allowed}"}, headers
        )
    return _json(status, {"error": str(getattr(error, "detail", error))}, headers)


async def _on_refusal(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestError)  # noqa: S101 - it is registered for this type
    headers = {} if error.retry_after_s is None else {"retry-after": str(error.retry_after_s)}
    return _json(error.status, {"error": error.message}, headers)


def _json(status: int, content: dict[str, Any], headers: dict[str, str] | None = None) -> Response:
    return Response(orjson.dumps(content), status, headers, "application/json")
