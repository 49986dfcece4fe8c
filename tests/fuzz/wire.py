"""A client that writes what it is told, sound or not, and reads what comes back."""

import contextlib
import re
import socket
from dataclasses import dataclass, field
from http.client import HTTPException, HTTPResponse
from io import BytesIO

import orjson

from tests.fuzz.bytes_of import Hostile
from tests.fuzz.malformed import Written

TIMEOUT_S = 20
ANSWERED_WITHIN_S = 0.05
STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer."""

    status: int
    content_type: str
    body: bytes

    def check_error(self) -> None:
        """Fail unless this is an error as every error is to be."""
        assert self.content_type == "application/json", self
        error = orjson.loads(self.body)
        assert error.keys() == {"error"}, self
        assert isinstance(error["error"], str), self
        assert error["error"], self
        assert "Traceback" not in error["error"], self


@dataclass
class Channel:
    """A connection that is kept while the service keeps it."""

    port: int
    connection: socket.socket | None = field(default=None)

    def ask(self, request: Hostile) -> Reply:
        """Send a request and return its answer; a kept connection may have been closed, a new one not."""
        kept = self.connection is not None
        try:
            return self._ask(request)
        except (ConnectionError, HTTPException):
            self.close()
            if not kept:
                raise
        return self._ask(request)

    def _ask(self, request: Hostile) -> Reply:
        if self.connection is None:
            self.connection = socket.create_connection(("127.0.0.1", self.port), TIMEOUT_S)
        self.connection.sendall(head(request) + request.body)
        with HTTPResponse(self.connection, method=request.method) as answer:
            answer.begin()
            reply = Reply(answer.status, answer.getheader("content-type", ""), answer.read())
            closes = answer.will_close
        if closes:
            self.close()
        return reply

    def close(self) -> None:
        if self.connection is not None:
            self.connection.close()
            self.connection = None


def head(request: Hostile) -> bytes:
    """Return a request's line and headers."""
    headers = {"Host": "service", "Content-Length": str(len(request.body)), **request.headers}
    lines = [f"{request.method} {request.target} HTTP/1.1", *(f"{key}: {headers[key]}" for key in headers)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def exchange(port: int, written: Written) -> tuple[list[int], Reply | None]:
    """Write to a connection, end it, and return all statuses and the first whole answer.

    The pieces follow when as many requests are answered as are to be. The end comes when nothing has been
    answered for a moment: who hangs up at once is given no answer.
    """
    with socket.create_connection(("127.0.0.1", port), TIMEOUT_S) as connection:
        read = b""
        try:
            connection.sendall(written.sound)
            while len(STATUS.findall(read)) < written.answers and (chunk := connection.recv(65536)):
                read += chunk
            for piece in written.pieces:
                connection.sendall(piece)
            connection.settimeout(ANSWERED_WITHIN_S)
            with contextlib.suppress(TimeoutError):
                while chunk := connection.recv(65536):
                    read += chunk
            connection.settimeout(TIMEOUT_S)
            connection.shutdown(socket.SHUT_WR)
            while chunk := connection.recv(65536):
                read += chunk
        except TimeoutError:
            raise
        except OSError:
            pass  # hung up on, as who sends no HTTP may be
    return [int(status) for status in STATUS.findall(read)], _first(read)


def _first(read: bytes) -> Reply | None:
    class Read:
        def makefile(self, _: str) -> BytesIO:
            return BytesIO(read)

    answer = HTTPResponse(Read())  # type: ignore[arg-type]  # all that it asks of a socket
    try:
        answer.begin()
        return Reply(answer.status, answer.getheader("content-type", ""), answer.read())
    except (HTTPException, ConnectionError):
        return None
