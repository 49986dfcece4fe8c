"""The HTTP server of one process: it serves, and ends only when every accepted request is answered."""

import asyncio
import logging
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from types import FrameType

import uvicorn
from starlette.types import ASGIApp

from serving_core.dispatch import Direct, MakeDispatcher
from serving_core.http.app import create_app
from serving_core.http.protocol import REFUSALS, ConnectionLimits, Protocol, limited
from serving_core.process.push import pusher_of
from serving_core.process.signals import HURRYING, ignore_stopping_signals, stopping_signals
from serving_core.process.sockets import (
    BACKLOG,
    ConnectionCounts,
    Seat,
    allow_connections,
    listen,
    queued,
    stop_admitting,
)
from serving_core.service import MakeEngine, Service
from serving_core.settings import Settings

KEEP_ALIVE_S = 75
# How often the drain checks whether it is done.
POLL_S = 0.02
# How long a connection may take to reach the listener's queue, and how long the queue may take to empty.
ACCEPT_S = 0.05
QUEUE_S = 1.0
# After the listener has closed, an idle connection may bring one more request for this long,
LAST_WORDS_S = 0.3
# and what a connection has begun is waited for this long.
LAST_REQUESTS_S = 1.5
# How long a worker's end may take after its drain.
MARGIN_S = 3.0

log = logging.getLogger("serving_core.process.server")


class DrainingServer(uvicorn.Server):
    """On a stopping signal it refuses new requests, answers every accepted request, and closes only then."""

    def __init__(self, config: uvicorn.Config, service: Service, seat: Seat | None = None) -> None:
        super().__init__(config)
        self._service = service
        self._seat = seat
        self._announced = seat is None
        # Whether no process accepts connections once this process stops accepting them.
        self._last = seat is None
        # Whether somebody asked for the stop in a way that is worth hurrying for when it comes again.
        self._told = False
        # The accepted items that were not answered when the grace period ended.
        self.unanswered = 0

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle the stopping signals; ignore them when the server has ended."""
        for number in stopping_signals():
            signal.signal(number, self.handle_exit)
        try:
            yield
        finally:
            ignore_stopping_signals()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to drain; a second SIGTERM or SIGINT ends at once. The exit status is 0."""
        del frame
        if sig in HURRYING:
            self.force_exit |= self._told
            self._told = True
        self._drain()

    def stop_with_all(self) -> None:
        """Begin to drain because the whole service stops."""
        self._last = self._told = True
        self._drain()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start; listen too, unless the listener must wait until the service is ready."""
        await super().startup([] if self._seat is not None and self._seat.late else sockets)

    async def on_tick(self, counter: int) -> bool:
        """Tell whether to end; end also if the service cannot go on."""
        self._service.metrics.refresh()
        lifecycle = self._service.lifecycle
        if not self._announced and lifecycle.ready and not self.should_exit:
            await self._announce()
        return await super().on_tick(counter) or not self._service.alive()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Drain, close the listener, answer requests on the wire with 503, then close the connections.

        If other workers go on, this process first leaves the listener to them, so no client is refused
        needlessly.
        """
        service, settings = self._service, self._service.settings
        if not self._last:
            self._leave()
            await asyncio.sleep(ACCEPT_S)
        service.lifecycle.draining = True
        began = monotonic()
        give_up = began + settings.grace_s
        if service.lifecycle.failure is None:
            await self._until(lambda: service.admission.waiting == 0 and not self._unsent(), give_up)
            self._count_unanswered()
            if self._last:
                await self._until(lambda: False, min(give_up, began + settings.drain_linger_s))
        if self._last and self.servers:
            for listener in sockets or []:
                stop_admitting(listener)
            await asyncio.sleep(ACCEPT_S)
            await self._until(lambda: not any(map(queued, sockets or [])), monotonic() + QUEUE_S)
        self._leave()
        closed = monotonic()
        await self._until(lambda: not self.server_state.connections, closed + LAST_WORDS_S)
        await self._until(lambda: not self._begun(), closed + LAST_REQUESTS_S)
        if self.unanswered:
            for task in list(self.server_state.tasks):
                task.cancel()  # each task then answers its client
        self.config.timeout_graceful_shutdown = 1
        await super().shutdown(sockets)
        if self.force_exit:  # the lifespan ends in order even if the end is urgent
            await self.lifespan.shutdown()

    def _unsent(self) -> bool:
        """Tell whether a client is still reading its answer."""
        return any(
            connection.transport.get_write_buffer_size() > 0
            for connection in self.server_state.connections
            if not connection.transport.is_closing()
        )

    def _begun(self) -> bool:
        """Tell whether a request is on its way, or not answered yet."""
        connections = self.server_state.connections
        return any(one.begun() for one in connections if isinstance(one, Protocol))

    def _drain(self) -> None:
        self._service.lifecycle.draining |= self._last
        self.should_exit = True

    def _leave(self) -> None:
        for server in self.servers:
            server.close()

    def _count_unanswered(self) -> None:
        if self.force_exit:
            return
        self.unanswered = self._service.admission.waiting
        if self.unanswered:
            log.error(
                "%d accepted items were not answered within GRACE_S=%g: raise it, or lower QUEUE_LIMIT",
                self.unanswered,
                self._service.settings.grace_s,
            )

    async def _announce(self) -> None:
        """Tell the supervisor that this worker serves, and start to listen if that had to wait."""
        assert self._seat is not None  # noqa: S101 - only a worker announces itself
        self._announced = True
        if not self.servers:
            loop = asyncio.get_running_loop()
            server = await loop.create_server(self._protocol, sock=self._seat.listener, backlog=BACKLOG)
            self.servers.append(server)
        self._seat.tell_ready()

    def _protocol(self) -> asyncio.Protocol:
        return self.config.http_protocol_class(
            config=self.config,  # type: ignore[call-arg]  # uvicorn types it as any protocol
            server_state=self.server_state,
            app_state=self.lifespan.state,
        )

    async def _until(self, done: Callable[[], bool], give_up: float) -> None:
        while not done() and monotonic() < give_up and not self.force_exit:
            self._service.metrics.refresh()
            await asyncio.sleep(POLL_S)


def serve(
    make_engine: MakeEngine,
    settings: Settings,
    make_dispatcher: MakeDispatcher | None,
    seat: Seat | None = None,
) -> int:
    """Serve until stopped; return the exit status. Raises StartError if the address is not available."""
    listener = listen(settings.host, settings.port) if seat is None else seat.listener
    counts = allow_connections(settings.max_connections, REFUSALS)
    app = create_app(make_engine, settings, make_dispatcher or Direct)
    service: Service = app.state.service
    server = DrainingServer(_config(app, service, counts), service, seat)
    if seat is None:
        pusher = pusher_of(settings, lambda: service.metrics.registry)
        server.run(sockets=[listener])
        pusher.close()
    else:
        seat.watch(server.stop_with_all, settings.grace_s + settings.drain_linger_s + MARGIN_S)
        server.run(sockets=[listener])
    if service.lifecycle.failure is not None:
        cannot = "cannot go on" if service.lifecycle.ready else "cannot start"
        log.error("%s: %s", cannot, service.lifecycle.failure)
        return 1
    if server.unanswered:
        return 1
    if seat is None:
        log.info("stopped")
    return 0


def _config(app: ASGIApp, service: Service, counts: ConnectionCounts) -> uvicorn.Config:
    settings = service.settings
    limits = ConnectionLimits(
        header_timeout_s=settings.header_timeout_s,
        body_timeout_s=settings.body_timeout_s,
        connections=counts.served,
        refusals=counts.turned_away,
        refused=lambda reason: service.metrics.dropped.labels(reason).inc(),
    )
    return uvicorn.Config(
        app,
        loop="uvloop",
        http=limited(limits),
        ws="none",
        log_config=None,
        access_log=False,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_S,
        server_header=False,
        date_header=False,
        proxy_headers=False,
    )
