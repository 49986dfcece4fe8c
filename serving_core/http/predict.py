"""The hot routes: predictions, in plain ASGI, with no layers between the socket and the engine."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from dataclasses import dataclass
from math import inf
from time import monotonic, perf_counter
from typing import Any

import orjson

from serving_core.admission import Place
from serving_core.calls import Answer, Headers
from serving_core.codecs import encodings, oip
from serving_core.dispatch import Dropped, Work, expired
from serving_core.errors import RequestError, fault
from serving_core.numbers import whole_number
from serving_core.service import Served, Service
from serving_core.settings import Settings


@dataclass(frozen=True, slots=True)
class PredictPath:
    """A path that predicts: `route` is its template; `model` is None for the first; `oip` marks the OIP."""

    route: str
    model: str | None = None
    version: str | None = None
    oip: bool = False


PREDICT = PredictPath("/predict/")
MODEL_PREDICT = "/{model}/predict"
INFER = "/v2/models/{model}/infer"
VERSION_INFER = "/v2/models/{model}/versions/{version}/infer"
# for the app's table of routes, which distinguishes a wrong method from a wrong path
TEMPLATES = ("/predict", "/predict/", MODEL_PREDICT, MODEL_PREDICT + "/", INFER, VERSION_INFER)


def match(path: str) -> PredictPath | None:
    """Return the target of a POST to `path`; None if the path does not predict."""
    if path in {"/predict/", "/predict"}:
        return PREDICT
    match path.split("/"):
        case ["", model, "predict"] | ["", model, "predict", ""] if model:
            return PredictPath(MODEL_PREDICT, model)
        case ["", "v2", "models", model, "infer"] if model:
            return PredictPath(INFER, model, oip=True)
        case ["", "v2", "models", model, "versions", version, "infer"] if model and version:
            return PredictPath(VERSION_INFER, model, version, oip=True)
    return None


Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

# How much of a refused body is read and thrown away, so that its sender gets to read the refusal.
DISCARD_LIMIT_BYTES = 64 * 1024 * 1024


class Disconnected(Exception):  # noqa: N818 - not an error: the client went away and nobody waits for an answer
    """The client closed the connection before its body was complete."""


class BodyReader:
    """Reads one request's body within limits, or throws it away."""

    __slots__ = ("_asked", "_finished", "_headers", "_hold", "_receive", "held_bytes")

    def __init__(self, receive: Receive, headers: Headers, hold: Callable[[int, int], None]) -> None:
        """`hold` gets the bytes of each chunk and the bytes held before; it raises if that is too much."""
        self._receive = receive
        self._headers = headers
        self._hold = hold
        self._asked = False
        self._finished = False
        self.held_bytes = 0

    def declared(self, max_bytes: int) -> int:
        """Return the bytes that the sender declares, 0 if it declares none; raises RequestError 400, 413."""
        length = whole_number(self._headers.get(b"content-length", b"0"))
        if length is None:
            raise RequestError(400, "Content-Length is wrong: send the length of the body in bytes")
        if length > max_bytes:
            raise _too_long(max_bytes)
        return length

    async def _next(self) -> bytes:
        self._asked = True
        message = await self._receive()
        if message["type"] != "http.request":
            self._finished = True
            raise Disconnected
        self._finished = not message.get("more_body", False)
        chunk: bytes = message.get("body", b"")
        return chunk

    async def read(self, max_bytes: int, timeout_s: float) -> bytes:
        """Return the body; raises RequestError 413 for a long and 408 for a slow body, or Disconnected."""
        chunks: list[bytes] = []
        try:
            async with asyncio.timeout(timeout_s):
                while not self._finished:
                    chunk = await self._next()
                    length = len(chunk)
                    if self.held_bytes + length > max_bytes:
                        raise _too_long(max_bytes)
                    self._hold(length, self.held_bytes)
                    self.held_bytes += length
                    chunks.append(chunk)
        except TimeoutError:
            raise RequestError(408, f"the body took more than {timeout_s:g} s: send it faster") from None
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    async def discard(self, timeout_s: float) -> bool:
        """Read the rest of the body within limits and throw it away; return True if all of it was read."""
        if not self._asked and self._headers.get(b"expect", b"").lower() == b"100-continue":
            return self._finished
        length = 0
        try:
            async with asyncio.timeout(timeout_s):
                while not self._finished and length <= DISCARD_LIMIT_BYTES:
                    length += len(await self._next())
        except TimeoutError:
            pass
        return self._finished


def _too_long(max_bytes: int) -> RequestError:
    return RequestError(413, f"the body is too long: send at most {max_bytes} bytes")


Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

CLOSE = (b"connection", b"close")
# How long a shutdown waits for the rest of a refused body.
DRAINING_DISCARD_S = 1.0
LONGEST_TIMEOUT_MS = 3_600_000
# The headers that the contract reads a number from, as messages name them.
NUMBERS = {
    b"x-request-timeout-ms": "X-Request-Timeout-Ms",
    b"inference-header-content-length": "Inference-Header-Content-Length",
}
# The statuses of refusals that are not computed, so their time says nothing about the time of answers.
UNWORKED = {429, 503, 504}

log = logging.getLogger("serving_core.http.predict")


def never(*_: object) -> bool:
    """Say that the client is still connected, or that the server did not write an answer: it does neither."""
    return False


def log_request(request_id: bytes, route: str, status: int, seconds: float) -> None:
    """Log one answered request, at the level for details."""
    fields = {"request_id": request_id.decode("latin-1"), "route": route, "status": status}
    log.debug("answered", extra={**fields, "milliseconds": round(1000 * seconds, 3)})


class Predict:
    """Answers a request that predicts, or refuses it with the reason in JSON."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._in_flight = 0
        service.metrics.in_flight.set_function(lambda: self._in_flight)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        target = match(scope["path"]) or PREDICT
        await self.serve(target, scope, receive, send)

    async def serve(self, target: PredictPath, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request whose path has been matched."""
        started = perf_counter()
        service = self._service
        headers: Headers = dict(scope["headers"])
        request_id = headers.get(b"x-request-id", b"")[:128] or service.new_request_id().encode()
        self._in_flight += 1
        status = 200
        extra: list[tuple[bytes, bytes]] = []
        try:
            answer = await self._predict(target, scope, headers, receive, request_id)
            extra += answer.headers
        except (Disconnected, Dropped):
            service.metrics.dropped.labels("disconnected").inc()
            return
        except RequestError as refusal:
            status, answer = refusal.status, _refusal(refusal)
            extra += answer.headers
            if status == 504:
                service.metrics.dropped.labels("expired").inc()
        except asyncio.CancelledError:
            if not service.lifecycle.draining:
                raise
            # The stop waits no longer for this request: its client gets a refusal before the port closes.
            gone = service.shutting_down()
            status, answer = gone.status, _refusal(gone)
            extra += answer.headers
        except Exception:
            log.exception("a request failed", extra={"request_id": request_id.decode("latin-1")})
            status, answer = 500, _refusal(fault())
        finally:
            self._in_flight -= 1
        if service.lifecycle.draining and CLOSE not in extra:
            extra.append(CLOSE)
        content = [
            (b"content-type", answer.content_type),
            (b"content-length", b"%d" % len(answer.body)),
            (b"x-request-id", request_id),
            *extra,
        ]
        if not scope.get("write_answer", never)(status, content, answer.body):
            await send({"type": "http.response.start", "status": status, "headers": content})
            await send({"type": "http.response.body", "body": answer.body})
        seconds, model = perf_counter() - started, service.known_name(target.model)
        service.metrics.observe_request(target.route, status, seconds, model)
        if log.isEnabledFor(logging.DEBUG):
            log_request(request_id, target.route, status, seconds)

    async def _predict(
        self, target: PredictPath, scope: Scope, headers: Headers, receive: Receive, request_id: bytes
    ) -> Answer:
        admission = self._service.admission
        reader = BodyReader(receive, headers, admission.hold)
        try:
            try:
                served, work, place = await self._accept(target, scope, headers, reader, request_id)
            except RequestError as refusal:
                refusal.with_traceback(None)  # its frames hold what was read of the body
                admission.release(reader.held_bytes)
                reader.held_bytes = 0
                refusal.closes = not await self._read_away(reader, refusal)
                raise
            answered = False
            try:
                answer = await _in_time(served, work)
                answered = True
                return answer
            except RequestError as refusal:
                answered = refusal.status not in UNWORKED
                raise
            finally:
                place.leave(answered=answered)
        finally:
            admission.release(reader.held_bytes)

    async def _accept(
        self, target: PredictPath, scope: Scope, headers: Headers, reader: BodyReader, request_id: bytes
    ) -> tuple[Served, Work, Place]:
        service = self._service
        settings, admission = service.settings, service.admission
        service.check_open()
        served = service.model(target.model, target.version)
        if len(headers) != len(scope["headers"]):
            _check_numbers_are_single(scope["headers"])
        if target.oip:
            parse = oip.choose(headers, served.signature)
        else:
            parse = encodings.choose(headers, scope["query_string"], served.signature)
        due_s = monotonic() + _allowed_s(headers, settings.request_timeout_ms)
        admission.check(reader.declared(settings.max_body_bytes))
        body = await _read(reader, settings, due_s)
        service.check_open()
        place = admission.enter(inf if served.dispatcher.judges_deadlines else due_s)
        abandoned = scope.get("abandoned", never)
        named = request_id.decode("latin-1")
        return served, Work(parse, body, monotonic(), due_s, named, abandoned, place.claim), place

    async def _read_away(self, reader: BodyReader, refusal: RequestError) -> bool:
        """Read the rest of a refused body, so that its sender sees no reset; return True if all was read."""
        if refusal.status in {408, 504}:
            return False  # its time is used up
        timeout_s = self._service.settings.body_timeout_s
        if self._service.lifecycle.draining:
            timeout_s = min(timeout_s, DRAINING_DISCARD_S)
        return await reader.discard(timeout_s)


async def _read(reader: BodyReader, settings: Settings, due_s: float) -> bytes:
    """Return the body; raises RequestError 504 rather than 408 if the deadline passed first."""
    allowed_s = due_s - monotonic()
    if allowed_s >= settings.body_timeout_s:
        return await reader.read(settings.max_body_bytes, settings.body_timeout_s)
    try:
        return await reader.read(settings.max_body_bytes, allowed_s)
    except RequestError as refusal:
        raise expired() if refusal.status == 408 else refusal from None


async def _in_time(served: Served, work: Work) -> Answer:
    if served.dispatcher.judges_deadlines:
        return await served.dispatcher.answer(work)
    try:
        async with asyncio.timeout(work.due_s - monotonic()) as deadline:
            return await served.dispatcher.answer(work)
    except TimeoutError:
        if deadline.expired():
            raise expired() from None
        raise


def _allowed_s(headers: Headers, default_ms: int) -> float:
    sent = headers.get(b"x-request-timeout-ms")
    if sent is None:
        return default_ms / 1000
    allowed_ms = whole_number(sent)
    if allowed_ms is None or not 0 < allowed_ms <= LONGEST_TIMEOUT_MS:
        raise RequestError(
            400, f"X-Request-Timeout-Ms is wrong: send whole milliseconds, 1 to {LONGEST_TIMEOUT_MS}"
        )
    return allowed_ms / 1000


def _check_numbers_are_single(headers: Iterable[tuple[bytes, bytes]]) -> None:
    """Raise RequestError 400 if a header with a number is there twice: which one is meant is not known."""
    names = [name for name, _ in headers]
    for name, shown in NUMBERS.items():
        if names.count(name) > 1:
            raise RequestError(400, f"the header {shown} is there twice: send it once")


def _refusal(refusal: RequestError) -> Answer:
    headers = []
    if refusal.retry_after_s is not None:
        headers.append((b"retry-after", b"%d" % refusal.retry_after_s))
    if refusal.closes:
        headers.append(CLOSE)
    return Answer(orjson.dumps({"error": refusal.message}), headers=tuple(headers))
