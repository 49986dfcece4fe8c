"""A connection that is kept alive over several requests, each with a bounded answer."""

import contextlib
import http.client
import socket
import time

from bench.load.reaching import tls_context, with_access
from bench.measure.bounded_http import FAULTS, BoundedSocket, whole_body
from bench.measure.http_client import ANSWER_TIMEOUT_S, in_words
from bench.model import PLAIN, Access, Payload

# what a client sees of a connection that its service has closed meanwhile
STALE = (ConnectionError, http.client.BadStatusLine)


class KeptConnection:
    """One client of a service: it sends its requests one after the other, over one connection if it may."""

    def __init__(self, host: str, port: int, access: Access = PLAIN) -> None:
        self._access = access
        if access.tls:
            self._connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                host, port, timeout=ANSWER_TIMEOUT_S, context=tls_context(access.ca)
            )
        else:
            self._connection = http.client.HTTPConnection(host, port, timeout=ANSWER_TIMEOUT_S)
        # the library makes the answer itself, of the connection's socket
        self._connection.response_class = _bounded_response  # type: ignore[assignment]
        self._used = False

    def post(self, path: str, payload: Payload) -> tuple[int, bytes]:
        """Status and body of a payload's request, at its own path if it has one; status 0 without an answer.

        A service may have closed a connection that it kept: then the request is sent once more.
        """
        kept = self._used
        while True:
            try:
                return self._post(path, payload)
            except FAULTS as error:
                self._drop()
                if not kept or not isinstance(error, STALE):
                    return 0, in_words(error).encode(errors="replace")
                kept = False

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _post(self, path: str, payload: Payload) -> tuple[int, bytes]:
        headers = {"Content-Type": payload.content_type, **payload.headers}
        if self._connection.sock is not None:
            self._connection.sock.settimeout(ANSWER_TIMEOUT_S)
        self._connection.request(
            payload.method, payload.path or path, payload.body, with_access(self._access, headers)
        )
        with contextlib.closing(self._connection.getresponse()) as answer:
            found = answer.status, whole_body(answer)
        self._used = True
        return found

    def _drop(self) -> None:
        self._connection.close()
        self._used = False


def _bounded_response(sock: socket.socket, method: str | None = None) -> http.client.HTTPResponse:
    bounded = BoundedSocket(sock, time.monotonic() + ANSWER_TIMEOUT_S)
    return http.client.HTTPResponse(bounded, method=method)  # type: ignore[arg-type]  # it only makes a file of it
