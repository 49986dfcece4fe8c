"""Request bodies: read within limits of size and time."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from serving_core.calls import Headers
from serving_core.errors import RequestError

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

# How much of a refused body is read and thrown away so that its sender lives to read the refusal.
DISCARD_LIMIT_BYTES = 64 * 1024 * 1024


class Disconnected(Exception):  # noqa: N818 - not an error: the client went away and nobody waits for an answer
    """The client closed the connection before its body was complete."""


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


def _too_long(max_bytes: int) -> RequestError:
    return RequestError(413, f"the body is too long: send at most {max_bytes} bytes")
