"""Request bodies: read within limits of size and time, and taken apart into the bytes of one image."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import orjson
import pybase64

from serving_core.errors import RequestError

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Headers = dict[bytes, bytes]

JSON_TYPE = "application/json"
RAW_TYPES = frozenset({"image/jpeg", "image/png", "image/webp", "application/octet-stream"})
SERVED_TYPES = ", ".join([JSON_TYPE, *sorted(RAW_TYPES)])
# How much of a refused body is read and thrown away so that its sender lives to read the refusal.
DISCARD_LIMIT_BYTES = 64 * 1024 * 1024


class Disconnected(Exception):  # noqa: N818 - not an error: the client went away and nobody waits for an answer
    """The client closed the connection before its body was complete."""


def content_type_of(headers: Headers) -> str:
    """Return the served content type without parameters; raises RequestError 415."""
    sent = headers.get(b"content-type", b"").decode("latin-1")
    kind = sent.partition(";")[0].strip().lower()
    if kind != JSON_TYPE and kind not in RAW_TYPES:
        named = f"content type {kind[:80]!r} is not served" if kind else "the content type is missing"
        raise RequestError(415, f"{named}: send one of {SERVED_TYPES}")
    return kind


class BodyReader:
    """One request's body, which is either read within limits or thrown away."""

    __slots__ = ("_asked", "_finished", "_headers", "_hold", "_receive", "held_bytes")

    def __init__(self, receive: Receive, headers: Headers, hold: Callable[[int, int], None]) -> None:
        """`hold` is told of each chunk's bytes and those held before, and raises when they are too many."""
        self._receive = receive
        self._headers = headers
        self._hold = hold
        self._asked = False
        self._finished = False
        self.held_bytes = 0

    def declared(self, max_bytes: int) -> int:
        """Return the bytes that the sender declares, 0 when it does not; raises RequestError 413."""
        sent = self._headers.get(b"content-length", b"")
        length = int(sent) if sent.isdigit() else 0
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
        """Return the body; raises RequestError 413 when too long, 408 when too slow, or Disconnected."""
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
        """Read the rest and throw it away, within bounds; true when nothing of it is left unread."""
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


def image_bytes(content_type: str, body: bytes) -> bytes:
    """Return the encoded image that the body carries; raises RequestError 400."""
    if not body:
        raise RequestError(400, "the body is empty: send an image")
    if content_type != JSON_TYPE:
        return body
    try:
        parsed: Any = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise RequestError(400, f'the body is not JSON ({error}): send {{"image": "<base64>"}}') from None
    if not isinstance(parsed, dict) or parsed.keys() != {"image"} or not isinstance(parsed["image"], str):
        raise RequestError(400, 'the JSON has the wrong fields: send {"image": "<base64>"} and nothing else')
    try:
        image = pybase64.b64decode(parsed["image"], validate=True)
    except ValueError as error:
        raise RequestError(400, f"the image is not base64 ({error}): encode its bytes with padding") from None
    if not image:
        raise RequestError(400, "the image is empty: send the base64 of an image file")
    return image


def _too_long(max_bytes: int) -> RequestError:
    return RequestError(413, f"the body is too long: send at most {max_bytes} bytes")
