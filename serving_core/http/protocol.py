"""uvicorn's HTTP protocol with limits on time, length and number, and with errors in our own form."""

import asyncio
import logging
import secrets
from asyncio.events import TimerHandle
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from itertools import count
from typing import Any

import orjson
from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

# How long a refused client may take to read its answer and to stop sending.
LAST_WORDS_S = 1.0
# How many connections at a time get the answer that there are too many; further connections are cut.
REFUSALS = 128
# The headers that say where a body ends.
FRAMING = frozenset({b"content-length", b"transfer-encoding"})

log = logging.getLogger("serving_core.http.protocol")


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """The limits of one connection and of a process's connections; `refused` gets the reason for each 503.

    `body_timeout_s` limits the rest of a body that was answered already, and the reading of an answer.
    """

    header_timeout_s: float = 10.0
    body_timeout_s: float = 10.0
    header_bytes: int = 65_536
    connections: int = 1024
    refused: Callable[[str], object] = lambda _: None


def _refusal_ids() -> Iterator[bytes]:
    prefix = secrets.token_hex(4)
    return (f"refused-{prefix}-{number:x}".encode() for number in count(1))


class Protocol(HttpToolsProtocol):
    """Adds limits, gives each request's scope an `abandoned` function, and refuses with {"error": …}.

    A timer runs for a new connection, for a request whose headers arrive in pieces, for a request that was
    answered before its body ended, and for an answer that is not read. No timer runs for a request that
    arrives whole. An offer to change to another protocol (Upgrade) is declined.
    """

    limits = ConnectionLimits()
    ids = _refusal_ids()

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._timer: TimerHandle | None = None
        self._reading_timer: TimerHandle | None = None
        self._head_known = False
        self._in_head = False
        self._head_bytes = 0
        self._other_bytes = 0
        self._read_bytes = 0
        self._turned_away = False
        self._done = False
        # uvicorn knows only the newest, but a client may send several requests before it reads an answer
        self._unanswered: deque[RequestResponseCycle] = deque()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Accept the connection, unless there are too many."""
        super().connection_made(transport)
        most = self.limits.connections
        if len(self.connections) > most:
            self.limits.refused("connections")
            if len(self.connections) > most + REFUSALS:
                transport.abort()
                return
            self._turned_away = True
        self._timer = self.loop.call_later(self.limits.header_timeout_s, self._head_is_late)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._stop_timer()
        self._stop_reading_timer()
        self._abandon()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse the bytes that the client sent; a request begins when its headers are complete."""
        if self._done:
            return
        if self._turned_away:
            self._refuse(503, f"all {self.limits.connections} connections are taken: send again later")
            return
        self._read_bytes = len(data)
        was_in_head = self._in_head
        self._unset_keepalive_if_required()
        try:
            self._feed(data)
        except HttpParserError:
            self.send_400_response("Invalid HTTP request received.")
            return
        if self._in_head:
            self._head_goes_on(len(data), was_in_head)
        elif not self._unanswered and self._timer is None:  # the rest of an answered request arrived
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def on_message_begin(self) -> None:
        """Record that a request's headers are arriving."""
        self._in_head = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Begin the request and let it see whether its client left; raises ValueError if its head is long."""
        if self._head_known:
            self._in_head = False
            return
        # Only one long read or many reads can have brought a long head.
        if self._read_bytes + self._head_bytes > self.limits.header_bytes:
            self._check_length()
        self._in_head = False
        self._head_bytes = 0
        if self._timer is not None:
            self._stop_timer()
        newest = self.cycle
        super().on_headers_complete()
        if self.cycle is not None and self.cycle is not newest:
            self.scope["abandoned"] = partial(_gone, self.cycle)  # type: ignore[typeddict-unknown-key]  # ours
            self._unanswered.append(self.cycle)

    def on_message_complete(self) -> None:
        """Tell the request that its body is complete."""
        if self.parser.should_upgrade():  # the parser stops here, at the end of the head
            return
        cycle = self.cycle
        if not cycle.response_complete:
            cycle.more_body = False
            cycle.message_event.set()
        elif cycle.keep_alive:
            self._stop_timer()

    def on_response_complete(self) -> None:
        """Go on to the next request, or start the timer for the rest of the answered request's body."""
        if self._unanswered:
            cycle = self._unanswered.popleft()
            if cycle.more_body or not cycle.keep_alive:
                self._stop_timer()
                self._timer = self.loop.call_later(self.limits.body_timeout_s, self.transport.abort)
        super().on_response_complete()

    def pause_writing(self) -> None:
        """Start the timer for the client to read its answer."""
        super().pause_writing()
        self._reading_timer = self.loop.call_later(self.limits.body_timeout_s, self.transport.abort)

    def resume_writing(self) -> None:
        """Go on writing: the client has read its answer."""
        self._stop_reading_timer()
        super().resume_writing()

    def timeout_keep_alive_handler(self) -> None:
        """Close at once: a graceful close would wait for ever for a client that does not read."""
        self.transport.abort()

    def send_400_response(self, msg: str) -> None:
        """Refuse bytes that are not HTTP, and close: the start of the next request is unknown."""
        if not self._done:
            self._refuse(400, f"{msg.rstrip('.')}: send HTTP/1.1")

    def _feed(self, data: bytes | memoryview) -> None:
        """Parse the bytes; the parser stops after an offer to change the protocol, and then goes on."""
        while True:
            try:
                self.parser.feed_data(data)
            except HttpParserUpgrade as offer:
                self._await_body()
                data = memoryview(data)[offer.args[0] :]
            else:
                return

    def _await_body(self) -> None:
        """Go on to a request's body: a new parser gets the head once more, without the offer."""
        lines = [b"POST / HTTP/1.1"]
        lines += [b"%s: %s" % (name, value) for name, value in self.headers if name in FRAMING]
        if not self.cycle.keep_alive:
            lines.append(b"connection: close")
        self.parser = HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn's own
        self._head_known = True
        self.parser.feed_data(b"\r\n".join([*lines, b"", b""]))
        self._head_known = False

    def _head_goes_on(self, length: int, was_in_head: bool) -> None:
        self._head_bytes += length
        if not was_in_head:
            self._other_bytes = length  # or fewer: the bytes may have begun with the end of a body
        if self._head_bytes - self._other_bytes > self.limits.header_bytes:
            self._refuse_length()
        elif self._timer is None:
            self._timer = self.loop.call_later(self.limits.header_timeout_s, self._head_is_late)

    def _head_is_late(self) -> None:
        self._timer = None
        if self._unanswered:  # nothing was read: the time begins when the earlier requests are answered
            self._timer = self.loop.call_later(self.limits.header_timeout_s, self._head_is_late)
        elif self._in_head:
            allowed_s = self.limits.header_timeout_s
            self._refuse(408, f"the headers took over {allowed_s:g} s: send a request in one go")
        else:
            self.transport.abort()

    def _check_length(self) -> None:
        length = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if length > self.limits.header_bytes:
            self._refuse_length()
            raise ValueError

    def _refuse_length(self) -> None:
        self._refuse(
            400, f"the headers are over {self.limits.header_bytes} bytes: send fewer or shorter ones"
        )

    def _abandon(self) -> None:
        """Let the unanswered requests be given up: no answer can be written any more."""
        for cycle in self._unanswered:
            cycle.disconnected = True
            cycle.message_event.set()
        self._unanswered.clear()

    def _refuse(self, status: int, message: str) -> None:
        """Answer, and close when the client has read the answer; an earlier close would reset it."""
        self._done = True
        self._stop_timer()
        content = orjson.dumps({"error": message})
        request_id = next(self.ids)
        retry = b"retry-after: 1\r\n" if status == 503 else b""
        head = b"HTTP/1.1 %d %s\r\n" % (status, HTTPStatus(status).phrase.encode())
        head += b"content-type: application/json\r\n%scontent-length: %d\r\n" % (retry, len(content))
        head += b"x-request-id: %s\r\n" % request_id
        log.debug("refused", extra={"request_id": request_id.decode(), "status": status})
        self.transport.write(head + b"connection: close\r\n\r\n" + content)
        if self._unanswered:  # the earlier requests get no answer, because the bytes after them were not HTTP
            self._abandon()
            self.transport.close()
        else:
            self.transport.write_eof()
        self._timer = self.loop.call_later(LAST_WORDS_S, self.transport.abort)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _stop_reading_timer(self) -> None:
        if self._reading_timer is not None:
            self._reading_timer.cancel()
            self._reading_timer = None


def limited(limits: ConnectionLimits) -> type[Protocol]:
    """Return the protocol with these limits."""
    return type("Limited", (Protocol,), {"limits": limits, "ids": _refusal_ids()})


def _gone(cycle: RequestResponseCycle) -> bool:
    return cycle.disconnected
