"""The driver's clients, built on Locust's fast client.

Only the driver imports this module, as it imports locust, which patches the standard library."""

import select
import socket
import ssl
import time
from collections.abc import Iterator
from typing import Any

import gevent
from gevent import monkey
from geventhttpclient._parser import HTTPResponseParser
from geventhttpclient.client import HTTPClientPool
from geventhttpclient.response import HTTPParseError, HTTPSocketPoolResponse
from geventhttpclient.url import URL
from locust import task
from locust.contrib.fasthttp import FastHttpSession, FastHttpUser
from locust.env import Environment

from bench.load.drive_plan import MOST_ANSWER_BYTES, PAUSE_S, DrivePlan, Expected, weighted_passes, weights_of
from bench.load.open_loop import Arrival, OpenLoop
from bench.load.reaching import authority, tls_context, with_access
from bench.load.trial_clock import TrialClock

# gevent's poll lets other greenlets run even if it need not wait
PlainPoll = monkey.get_original("select", "poll")


class AnswerTooLongError(HTTPParseError):
    """An answer that goes on beyond MOST_ANSWER_BYTES: in its headers, its body or interim answers."""


class BareResponse(HTTPSocketPoolResponse):
    """An answer that does not keep its headers: the connection needs them parsed, but nobody reads them."""

    received = 0
    ended_by_close = False

    def feed(self, data: bytes) -> None:  # type: ignore[override]  # only bytes come from a socket
        """Parse what came; raises AnswerTooLongError once it is more than an answer may be.

        A socket that always has more never lets another greenlet run, so no timeout could end it.
        """
        self.received += len(data)
        if self.received > MOST_ANSWER_BYTES:
            raise AnswerTooLongError(f"an answer of more than {MOST_ANSWER_BYTES} bytes")
        self.ended_by_close = not data
        HTTPResponseParser.feed(self, data)

    def _on_status(self, msg: str) -> None:
        """Keep no reason phrase."""

    def _on_header_field(self, string: str) -> None:
        """Keep no header."""

    def _on_header_value(self, string: str) -> None:
        """Keep no header."""

    def _on_headers_complete(self) -> None:
        self.headers_complete = True


class EncodedSession(FastHttpSession):
    """Locust's fast session, for requests that are already encoded; it connects and parses in its own way.

    The session is also the pool of its one connection. Locust's pool checks after each answer whether the
    server closed the connection, and lets other clients run meanwhile, which would delay each request.
    """

    def __init__(self, base_url: str, **options: Any) -> None:
        super().__init__(base_url, **options)
        self._connect = self.client.clientpool.get_client(URL(base_url))._connection_pool._create_socket
        self._poll: Any = None
        self._idle: Any = None
        self.sock: Any = None
        self.sent_ns = 0
        self.cut: int | None = None

    def send(self, request: bytes) -> tuple[int, bytes]:
        """Send one encoded request and return status and body; raises OSError or HTTPParseError."""
        # a service that does not accept a connection keeps the request waiting: the driver has sent it
        self.cut, self.sent_ns = None, time.monotonic_ns()
        sock = self.sock = self._connection()
        try:
            sock.sendall(request)
        except BaseException:
            self.release_socket(sock)
            raise
        # the response returns the socket by itself, also if it fails
        response = BareResponse(sock, self, method="POST")  # type: ignore[arg-type]  # has what a pool needs
        body = response.read()
        if self.cut is not None and response.ended_by_close:
            raise HTTPParseError("the answer had not ended when it was cut off")
        return response.get_code(), body

    def _connection(self) -> Any:
        """Return the kept connection, or a new one if there is none or the server has closed it."""
        sock, self._idle = self._idle, None
        if sock is not None:
            if not (self._poll.poll(0) and self._closed(sock)):
                return sock
            sock.close()
        sock = self._connect()
        self._poll = PlainPoll()
        self._poll.register(sock.fileno(), select.POLLIN)
        return sock

    def _closed(self, sock: Any) -> bool:
        """Whether a connection from which there is something to read, unasked, is of no more use."""
        del sock
        return True

    def return_socket(self, sock: Any) -> None:
        """Keep a connection for the next request."""
        self._idle = sock

    def release_socket(self, sock: Any) -> None:
        """Close a connection that is no longer needed."""
        sock.close()

    def cut_off(self, outcome: int) -> None:
        """End the request in flight; the client still reads the bytes that have arrived."""
        self.cut = outcome
        if self.sock is not None:
            try:
                self.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                return


class TlsSession(EncodedSession):
    """A session whose connection is encrypted, and whose service shows a certificate for the plan's host."""

    def __init__(self, plan: DrivePlan, base_url: str, **options: Any) -> None:
        super().__init__(base_url, **options)
        self._context, self._server, self._most_s = tls_context(plan.access.ca), plan.host, plan.timeout_s
        self._plainly, self._connect = self._connect, self._securely

    def _securely(self) -> Any:
        """A new connection after its handshake, which must end within the time that an answer may take."""
        sock = self.sock = self._context.wrap_socket(
            self._plainly(), server_hostname=self._server, do_handshake_on_connect=False
        )
        try:
            sock.settimeout(self._most_s)
            sock.do_handshake()
            sock.settimeout(None)
        except BaseException:
            sock.close()
            raise
        return sock

    def _closed(self, sock: Any) -> bool:
        """Whether the server has closed the kept connection, or sent what nobody asked for.

        What is there to read may be of TLS itself, such as a ticket for a later session: reading takes it.
        """
        sock.settimeout(0.0)
        try:
            sock.recv(1)
        except (ssl.SSLWantReadError, BlockingIOError):
            sock.settimeout(None)
            return False
        except OSError:
            return True
        return True

    def cut_off(self, outcome: int) -> None:
        """End the request in flight: the connection below TLS, since the client may be reading."""
        self.cut = outcome
        if self.sock is not None:
            try:
                gevent.socket.socket.shutdown(self.sock, socket.SHUT_RDWR)
            except OSError:
                return


class Client(FastHttpUser):
    """A closed-loop client: it sends its next request when the last one is answered.

    Its number is unique in the trial and gives it its own order of payloads.
    """

    plan: DrivePlan
    requests: tuple[bytes, ...]
    clock: TrialClock
    due_ns = 0

    def __init__(self, environment: Environment, number: int) -> None:
        super().__init__(environment)
        self._seed = f"{self.plan.seed}/{number}"
        self.session = self._session()

    def _session(self) -> EncodedSession:
        plan = self.plan
        options: dict[str, Any] = {
            "request_event": self.environment.events.request,
            "user": self,
            "client_pool": HTTPClientPool(
                concurrency=1, connection_timeout=plan.timeout_s, network_timeout=None
            ),
        }
        # TLS is put around a plain connection
        if not plan.access.tls:
            return EncodedSession(self.host or "", **options)
        return TlsSession(plan, self.host or "", **options)

    def arrivals(self) -> Iterator[tuple[int, int]]:
        """Yield the instant at which a request is due, and its payload; in a closed loop, that is now."""
        now_ns, clock = time.monotonic_ns, self.clock
        for payload in weighted_passes(weights_of(self.plan), self._seed):
            due_ns = now_ns()
            if due_ns >= clock.stop_ns:
                return
            yield due_ns, payload

    @task
    def drive(self) -> None:
        """Send until the window ends, in a single task: to schedule a task costs more than a request."""
        session, fire, requests = self.session, self.environment.events.request.fire, self.requests
        path, clock = self.plan.path, time.monotonic_ns
        for due_ns, payload in self.arrivals():
            self.due_ns = due_ns
            status, body, error = 0, b"", None
            try:
                status, body = session.send(requests[payload])
            except (OSError, HTTPParseError) as failure:
                error = failure
            done_ns = clock()
            self.due_ns = 0
            fire(
                request_type="POST",
                name=path,
                response_time=(done_ns - due_ns) / 1e6,
                response_length=MOST_ANSWER_BYTES if isinstance(error, AnswerTooLongError) else len(body),
                exception=error,
                context=(due_ns, session.sent_ns, done_ns, payload, session.cut),
                response=body,
                status=status,
            )
            if error is not None:
                gevent.sleep(PAUSE_S)
        self.stop()


class OpenClient(Client):
    """An open-loop client: the loop gives it a request at a time, and it is idle in between."""

    open_loop: OpenLoop
    _waiting: Any = None

    def arrivals(self) -> Iterator[tuple[int, int]]:
        """Yield what is due already, or else what the loop gives, until that is None."""
        self._waiting = gevent.getcurrent()
        open_loop, hub = self.open_loop, gevent.get_hub()
        while True:
            arrival = open_loop.take()
            if arrival is None and not open_loop.closed:
                open_loop.wait(self)
                arrival = hub.switch()
            if arrival is None:
                return
            yield arrival

    def give(self, arrival: Arrival | None) -> None:
        """Go on in the client's own greenlet until it waits for an answer; called in the hub."""
        self._waiting.switch(arrival)


def encode_requests(plan: DrivePlan, bodies: bytes) -> tuple[bytes, ...]:
    """Return each payload's request, head and body, as it goes over the wire."""
    return tuple(
        _head(plan, item) + bodies[item.offset : item.offset + item.length] for item in plan.payloads
    )


def _head(plan: DrivePlan, item: Expected) -> bytes:
    named = {name.lower() for name in item.headers}
    headers = {
        "Host": authority(plan.host, plan.port, plan.access),
        "Content-Type": item.content_type,
        "Content-Length": str(item.length),
        **({} if "accept" in named else {"Accept": "application/json"}),
        **with_access(plan.access, item.headers),
    }
    lines = (f"{name}: {value}\r\n" for name, value in headers.items())
    return f"{item.method} {item.path or plan.path} HTTP/1.1\r\n{''.join(lines)}\r\n".encode("ascii")
