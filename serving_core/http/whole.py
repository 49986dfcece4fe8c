"""Bodies and answers that are whole: a hot route copies and writes them once, where ASGI has pieces."""

from collections.abc import Iterable
from typing import Self

from uvicorn.protocols.http.httptools_impl import (
    HEADER_VALUE_RE,
    STATUS_LINE,
    RequestResponseCycle,
)


class Chunks:
    """A request's body as it arrives, in the place of a bytearray: each chunk is kept and not copied."""

    __slots__ = ("_chunks", "_length")

    def __init__(self) -> None:
        self._chunks: list[bytes] = []
        self._length = 0

    def __iadd__(self, chunk: bytes) -> Self:
        self._chunks.append(chunk)
        self._length += len(chunk)
        return self

    def __len__(self) -> int:
        return self._length

    def __bytes__(self) -> bytes:
        return self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)


def write_answer(
    cycle: RequestResponseCycle, status: int, headers: Iterable[tuple[bytes, bytes]], body: bytes
) -> bool:
    """Write an answer with its Content-Length among the headers at once, and complete the request.

    Nothing is written, and the answer is False, if the client still has to read earlier answers or is gone,
    or if a header's value holds what no header may: the usual way deals with these.
    """
    if cycle.flow.write_paused or cycle.disconnected or cycle.response_started:
        return False
    content = [STATUS_LINE[status]]
    closes = False
    for name, value in headers:
        if HEADER_VALUE_RE.search(value):
            return False
        closes = closes or name == b"connection"  # which the hot routes send only to close
        content += (name, b": ", value, b"\r\n")
    if closes:
        cycle.keep_alive = False
    elif not cycle.keep_alive:
        content.append(b"connection: close\r\n")
    content += (b"\r\n", body)
    cycle.response_started = cycle.response_complete = True
    cycle.waiting_for_100_continue = False
    cycle.transport.write(b"".join(content))
    cycle.message_event.set()
    if not cycle.keep_alive:
        cycle.transport.close()
    cycle.on_response()
    return True
