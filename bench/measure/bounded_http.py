"""HTTP connections that end: an answer is bounded in bytes and in time, whatever its service sends.

The standard library's client bounds the wait for each read, not for the whole answer, and reads interim
answers, headers and bodies for as long as they go on.
"""

import contextlib
import http.client
import io
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from bench.load.drive_plan import MOST_ANSWER_BYTES
from bench.load.reaching import tls_context, with_access
from bench.model import PLAIN, Access

FAULTS = (OSError, http.client.HTTPException, ValueError)
"""What asking and reading raise if there is no whole answer; ValueError for a number that is none."""


class EndlessAnswerError(http.client.HTTPException):
    """More bytes than an answer may have."""


class _BoundedReader(io.RawIOBase):
    """The bytes of a socket until a deadline, and no more than MOST_ANSWER_BYTES of them."""

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self._sock, self._deadline, self._left = sock, deadline, MOST_ANSWER_BYTES
        self._raw = sock.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        left_s = self._deadline - time.monotonic()
        if left_s <= 0:
            raise TimeoutError("the answer did not end in time")
        self._sock.settimeout(left_s)
        count = int(self._raw.readinto(buffer) or 0)
        self._left -= count
        if self._left < 0:
            raise EndlessAnswerError(f"an answer of more than {MOST_ANSWER_BYTES} bytes")
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class BoundedSocket:
    """What the standard library's response wants of a socket: a file to read from."""

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self._sock, self._deadline = sock, deadline

    def makefile(self, _mode: str) -> io.BufferedReader:
        """The bounded file."""
        return io.BufferedReader(_BoundedReader(self._sock, self._deadline))


@contextmanager
def answer_to(
    method: str,
    host: str,
    port: int,
    path: str,
    *,
    timeout_s: float,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    access: Access = PLAIN,
) -> Iterator[http.client.HTTPResponse]:
    """The answer to a request, to be read in the block; it ends `timeout_s` after now.

    With an `access` it is made over TLS, or with the headers that the access names beside the others. Raises
    one of FAULTS, in the block too.
    """
    deadline = time.monotonic() + timeout_s
    connection = http.client.HTTPConnection(host, port, timeout=timeout_s)
    if access.tls:
        context = tls_context(access.ca)
        connection = http.client.HTTPSConnection(host, port, timeout=timeout_s, context=context)
    try:
        connection.request(method, path, body, with_access(access, headers or {}))
        response = http.client.HTTPResponse(BoundedSocket(connection.sock, deadline), method=method)  # type: ignore[arg-type]  # it only makes a file of it
        with contextlib.closing(response):
            response.begin()
            yield response
    finally:
        connection.close()


def whole_body(answer: http.client.HTTPResponse) -> bytes:
    """The body of an answer, to its end; raises one of FAULTS if it has none within the bounds.

    Without an amount the library asks for as much memory at once as the answer promises.
    """
    body = answer.read(MOST_ANSWER_BYTES)
    if answer.length:
        raise http.client.IncompleteRead(body, answer.length)
    return body
