"""The hot route: one prediction, as plain ASGI so that nothing stands between the socket and the engine."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from time import monotonic, perf_counter
from typing import Any

import orjson

from serving_core.bodies import BodyReader, Disconnected, Headers, Receive, content_type_of
from serving_core.dispatch import Dropped, Work, expired
from serving_core.errors import RequestError
from serving_core.service import Service

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

ROUTE = "/predict/"
CLOSE = (b"connection", b"close")
NOT_READY_RETRY_S = 1.0
# After a refusal with 503 a client should find another instance, or this one's successor.
DRAINING_RETRY_S = 2.0
# How long a shutdown waits for the rest of a body that it refuses.
DRAINING_DISCARD_S = 1.0
LONGEST_TIMEOUT_DIGITS = 7

log = logging.getLogger("serving_core.predict")


def never() -> bool:
    """Say that the client is still there, where the server cannot tell."""
    return False


class Predict:
    """POST /predict/: answers, or says in JSON why not."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._in_flight = 0
        service.metrics.in_flight.set_function(lambda: self._in_flight)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        started = perf_counter()
        service = self._service
        headers: Headers = dict(scope["headers"])
        request_id = headers.get(b"x-request-id", b"")[:128] or service.new_request_id().encode()
        self._in_flight += 1
        status = 200
        extra: list[tuple[bytes, bytes]] = []
        try:
            payload = await self._predict(scope, headers, receive)
        except (Disconnected, Dropped):
            service.metrics.dropped.labels("disconnected").inc()
            return
        except RequestError as refusal:
            status, payload, extra = _refusal(refusal)
            if status == 504:
                service.metrics.dropped.labels("expired").inc()
        except Exception:
            log.exception("a request failed", extra={"request_id": request_id.decode("latin-1")})
            status, payload = 500, _error("this is our fault: report it with the X-Request-Id of this answer")
        finally:
            self._in_flight -= 1
        if service.lifecycle.draining and CLOSE not in extra:
            extra.append(CLOSE)
        await send(
            {
                "type": "http.response.start",
                "status": status,
                "headers": [
                    (b"content-type", b"application/json"),
                    (b"content-length", b"%d" % len(payload)),
                    (b"x-request-id", request_id),
                    *extra,
                ],
            }
        )
        await send({"type": "http.response.body", "body": payload})
        service.metrics.observe_request(ROUTE, status, perf_counter() - started)

    async def _predict(self, scope: Scope, headers: Headers, receive: Receive) -> bytes:
        admission = self._service.admission
        reader = BodyReader(receive, headers, admission.hold)
        try:
            try:
                work = await self._accept(scope, headers, reader)
            except RequestError as refusal:
                refusal.closes = not await self._read_away(reader, refusal)
                raise
            try:
                return await self._compute(work)
            finally:
                admission.leave()
        finally:
            admission.release(reader.held_bytes)

    async def _accept(self, scope: Scope, headers: Headers, reader: BodyReader) -> Work:
        settings, admission = self._service.settings, self._service.admission
        self._check_open()
        content_type = content_type_of(headers)
        due_s = monotonic() + _allowed_s(headers, settings.request_timeout_ms)
        admission.check(reader.declared(settings.max_body_bytes))
        body = await reader.read(settings.max_body_bytes, settings.body_timeout_s)
        self._check_open()
        admission.enter()
        return Work(content_type, body, monotonic(), due_s, scope.get("abandoned", never))

    async def _read_away(self, reader: BodyReader, refusal: RequestError) -> bool:
        """Read what a refused sender still writes, which else would see a reset; true when that is all."""
        if refusal.status == 408:
            return False  # it has had its time
        timeout_s = self._service.settings.body_timeout_s
        if self._service.lifecycle.draining:
            timeout_s = min(timeout_s, DRAINING_DISCARD_S)
        return await reader.discard(timeout_s)

    async def _compute(self, work: Work) -> bytes:
        dispatcher = self._service.dispatcher
        if dispatcher is None:
            raise _unavailable("the model is still loading", NOT_READY_RETRY_S)
        try:
            async with asyncio.timeout(work.due_s - monotonic()):
                return await dispatcher.answer(work)
        except TimeoutError:
            raise expired() from None

    def _check_open(self) -> None:
        lifecycle = self._service.lifecycle
        if lifecycle.accepting:
            return
        self._service.metrics.dropped.labels("draining" if lifecycle.draining else "not_ready").inc()
        if lifecycle.draining:
            raise _unavailable("the service is shutting down", DRAINING_RETRY_S)
        raise _unavailable("the model is still loading", NOT_READY_RETRY_S)


def _allowed_s(headers: Headers, default_ms: int) -> float:
    sent = headers.get(b"x-request-timeout-ms")
    if sent is None:
        return default_ms / 1000
    if not sent.isdigit() or len(sent) > LONGEST_TIMEOUT_DIGITS or not 0 < int(sent) <= 3_600_000:
        raise RequestError(400, "X-Request-Timeout-Ms is wrong: send whole milliseconds, 1 to 3600000")
    return int(sent) / 1000


def _unavailable(reason: str, retry_after_s: float) -> RequestError:
    return RequestError(503, f"{reason}: send again later", retry_after_s)


def _refusal(refusal: RequestError) -> tuple[int, bytes, list[tuple[bytes, bytes]]]:
    extra = []
    if refusal.retry_after_s is not None:
        extra.append((b"retry-after", b"%d" % refusal.retry_after_s))
    if refusal.closes:
        extra.append(CLOSE)
    return refusal.status, _error(refusal.message), extra


def _error(message: str) -> bytes:
    return orjson.dumps({"error": message})
