"""uvicorn's HTTP protocol with limits on time, length and number, and with errors in our own form."""

import asyncio
from asyncio.events import TimerHandle
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from serving_core.http.hang_ups import BegunAnswer, HangUps
from serving_core.http.places import ConnectionPlaces
from serving_core.http.refusals import Refusals
from serving_core.http.request_bytes import RequestBytes
from serving_core.http.whole import Chunks, write_answer

# How long a refused client may take to read its answer and to stop sending.
LAST_WORDS_S = 1.0
# How many connections at a time get the answer that there are too many.
REFUSALS = 128
# How much of a body may arrive before the request takes it: an image in JSON, which comes in two reads.
READ_AHEAD_BYTES = 512 * 1024
# The headers that say where a body ends.
FRAMING = frozenset({b"content-length", b"transfer-encoding"})


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """The limits of one connection and of a process's connections; `refused` gets the reason for each 503.

    `body_timeout_s` and `rest_bytes` limit the rest of a body that was answered already, and `body_timeout_s`
    the reading of an answer too. `pipelined` limits the requests sent ahead of their answers.
    """

    header_timeout_s: float = 10.0
    body_timeout_s: float = 10.0
    header_bytes: int = 65_536
    headers: int = 100
    pipelined: int = 32
    rest_bytes: int = 64 * 1024 * 1024
    connections: int = 1024
    refusals: int = REFUSALS
    refused: Callable[[str], object] = lambda _: None


class Protocol(HttpToolsProtocol):
    """Adds limits, gives each request's scope an `abandoned` function, and refuses with {"error": …}.

    A timer runs for a new connection, for a request whose headers arrive in pieces, for a request that was
    answered before its body ended, and for an answer that is not read. No timer runs for a request that
    arrives whole. An offer to change to another protocol (Upgrade) is declined. What follows a body in chunks
    (trailers) is thrown away. A client that ends its half of the connection is answered all the same.
    """

    limits = ConnectionLimits()
    refusals = Refusals()
    places = ConnectionPlaces(limits.connections, limits.refusals)
    hang_ups = HangUps()

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._timer: TimerHandle | None = None
        self._reading_timer: TimerHandle | None = None
        self._head_known = False
        self._bytes = RequestBytes(self.limits.header_bytes)
        self._turned_away = False
        self._done = False
        self._half_ended = False
        self._watched: int | None = None
        # uvicorn knows only the newest, but a client may send several requests before it reads an answer
        self._unanswered: deque[RequestResponseCycle] = deque()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Accept the connection, unless there are too many."""
        super().connection_made(transport)
        if not self.places.enter(self):
            self._turned_away = True
            self.limits.refused("connections")
        self._timer = self.loop.call_later(self.limits.header_timeout_s, self._head_is_late)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self.places.leave(self)
        if self._watched is not None:
            self.hang_ups.forget(self._watched)
        self._stop_timer()
        self._stop_reading_timer()
        self._abandon()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse the bytes that the client sent; a request begins when its headers are complete."""
        if self._done:
            return
        if self._turned_away:
            self._refuse(503, f"all {self.places.most} connections are taken: send again later")
            return
        self._bytes.begin_read(len(data))
        try:
            self._feed(data)
        except HttpParserError:
            self.send_400_response("Invalid HTTP request received.")
            return
        too_long = self._bytes.end_read()
        if too_long is not None:
            self._refuse(400, too_long)
        elif self._bytes.in_head and self._timer is None:
            self._timer = self.loop.call_later(self.limits.header_timeout_s, self._head_is_late)
        elif self._answered_in_body() and self._bytes.body > self.limits.rest_bytes:
            self.transport.abort()
        if self.flow.read_paused:
            self._watch()

    def eof_received(self) -> bool:  # type: ignore[override]  # as asyncio has it
        """Keep the connection open if a whole request is to be answered; then it is the last."""
        newest = self._unanswered[-1] if self._unanswered else None
        if newest is not None and newest.more_body:  # it will never be whole
            self._give_up(self._unanswered.pop())
            if self._unanswered:
                self.pipeline.popleft()
        if not self._unanswered:
            return False
        self._unanswered[-1].keep_alive = False
        self._watch()
        self.half_ended()
        return True

    def half_ended(self) -> None:
        """Find out whether the client, which sends nothing more, is gone or waits for its answer."""
        self._half_ended = True
        cycle = self._unanswered[0] if self._unanswered else None
        if cycle is None or cycle.more_body or cycle.response_started or self.transport.is_closing():
            return
        if cycle.transport is self.transport:
            cycle.transport = BegunAnswer(self.transport)  # type: ignore[assignment]  # all that a cycle uses

    def begun(self) -> bool:
        """Tell whether the client has still to send a request that it began, or to get its answer.

        A new connection has begun its first.
        """
        if self._done or self.transport.is_closing():
            return False
        return self.cycle is None or self._bytes.in_head or bool(self._unanswered)

    def sends(self) -> bool:
        """Tell whether the client still has to read an answer."""
        return self.transport.get_write_buffer_size() > 0

    def give_way(self) -> None:
        """Close at once."""
        self.transport.abort()

    def on_message_begin(self) -> None:
        """Record that a request's headers are arriving."""
        self._bytes.begin_head()
        self._unset_keepalive_if_required()
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; raises ValueError if there are too many. A trailer is not a header."""
        if not self._bytes.in_head:
            return
        if len(self.headers) >= self.limits.headers:
            self._refuse(400, f"there are over {self.limits.headers} headers: send fewer")
            raise ValueError
        super().on_header(name, value.rstrip(b" \t"))

    def on_body(self, body: bytes) -> None:
        """Take a part of a body."""
        self._bytes.take_body(len(body))
        cycle = self.cycle
        if cycle.response_complete:
            return
        cycle.body += body
        if len(cycle.body) > READ_AHEAD_BYTES:
            self.flow.pause_reading()
        cycle.message_event.set()

    def on_headers_complete(self) -> None:
        """Begin the request and let it see whether its client left; raises ValueError if its head is long."""
        if self._head_known:
            self._bytes.end_head()
            return
        if self._bytes.head_may_be_long():
            self._check_length()
        if len(self._unanswered) >= self.limits.pipelined:
            self._done = True  # the client sends the others again when this connection closes
            self._unanswered[-1].keep_alive = False
            raise ValueError
        if self._timer is not None:
            self._stop_timer()
        newest = self.cycle
        super().on_headers_complete()
        self._bytes.end_head()
        if self.cycle is not None and self.cycle is not newest:
            self.cycle.body = Chunks()  # type: ignore[assignment]  # all that is used of a bytearray
            self.scope["abandoned"] = partial(_gone, self.cycle)  # type: ignore[typeddict-unknown-key]  # ours
            self.scope["write_answer"] = partial(write_answer, self.cycle)  # type: ignore[typeddict-unknown-key]
            self._unanswered.append(self.cycle)
            self.places.work(self)

    def on_message_complete(self) -> None:
        """Tell the request that its body is complete."""
        if self.parser.should_upgrade():  # the parser stops here, at the end of the head
            return
        self._bytes.end_body()
        cycle = self.cycle
        if not cycle.response_complete:
            cycle.more_body = False
            cycle.message_event.set()
            if self._half_ended:
                self.half_ended()
        elif cycle.keep_alive:
            self._stop_timer()
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def on_response_complete(self) -> None:
        """Go on to the next request, or start the timer for the rest of the answered request's body."""
        more_body = False
        if self._unanswered:
            cycle = self._unanswered.popleft()
            more_body = cycle.more_body
            if more_body or not cycle.keep_alive:
                self._stop_timer()
                self._timer = self.loop.call_later(self.limits.body_timeout_s, self.transport.abort)
            if not self._unanswered:
                self.places.rest(self)
        super().on_response_complete()
        if more_body:
            self._unset_keepalive_if_required()

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

    def _answered_in_body(self) -> bool:
        """Tell whether the request whose body arrives has its answer already."""
        return self._bytes.in_body and self.cycle.response_complete

    def _watch(self) -> None:
        """Notice the end of the connection though nothing is read."""
        if self._watched is None:
            self._watched = self.transport.get_extra_info("socket").fileno()
            self.hang_ups.watch(self._watched, self)

    def _head_is_late(self) -> None:
        self._timer = None
        if self._unanswered:  # nothing was read: the time begins when the earlier requests are answered
            self._timer = self.loop.call_later(self.limits.header_timeout_s, self._head_is_late)
        elif self._bytes.in_head:
            allowed_s = self.limits.header_timeout_s
            self._refuse(408, f"the headers took over {allowed_s:g} s: send a request in one go")
        else:
            self.transport.abort()

    def _check_length(self) -> None:
        length = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        most = self.limits.header_bytes
        if length > most:
            self._refuse(400, f"the headers are over {most} bytes: send fewer or shorter ones")
            raise ValueError

    def _abandon(self) -> None:
        """Let the unanswered requests be given up: no answer can be written any more."""
        for cycle in self._unanswered:
            self._give_up(cycle)
        self._unanswered.clear()

    def _give_up(self, cycle: RequestResponseCycle) -> None:
        cycle.disconnected = True
        cycle.message_event.set()

    def _refuse(self, status: int, message: str) -> None:
        """Answer, and close when the client has read the answer; an earlier close would reset it."""
        self._done = True
        self._stop_timer()
        if self._answered_in_body():
            self.transport.close()
            return
        self.transport.write(self.refusals.answer(status, message))
        self._abandon()  # earlier requests get no answer either: who reads the refusal takes it for the last
        self.places.rest(self)
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
    """Return the protocol with these limits, for one event loop."""
    own = {
        "refusals": Refusals(),
        "places": ConnectionPlaces(limits.connections, limits.refusals),
        "hang_ups": HangUps(),
    }
    return type("Limited", (Protocol,), {"limits": limits, **own})


def _gone(cycle: RequestResponseCycle) -> bool:
    return cycle.disconnected
