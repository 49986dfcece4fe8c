"""Running a service: bind, serve, drain, and end with the right exit status."""

import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable
from time import monotonic
from types import FrameType
from typing import NoReturn

import uvicorn

from serving_core.app import create_app
from serving_core.dispatch import Direct, MakeDispatcher
from serving_core.errors import StartError
from serving_core.listener import BACKLOG, listen, stop_admitting
from serving_core.logs import configure_logs
from serving_core.loop import run_loop
from serving_core.memory import keep_freed_memory
from serving_core.protocol import Protocol
from serving_core.service import MakeEngine, Service
from serving_core.settings import Settings, load_settings

KEEP_ALIVE_S = 75
# How often the drain looks whether it is done.
POLL_S = 0.02
# How long the last connections may take to be accepted.
ACCEPT_S = 0.05
# After the listener has closed, requests already on the wire are still answered for this long.
LAST_WORDS_S = 0.3

log = logging.getLogger("serving_core.serve")


class DrainingServer(uvicorn.Server):
    """On SIGTERM: refuse new work at once, answer all that was accepted, and close only then."""

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self._service = service

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to drain; a second signal ends without waiting. The signal is not raised again: we exit 0."""
        del frame
        if self._service.lifecycle.draining and sig in (signal.SIGINT, signal.SIGTERM):
            self.force_exit = True
        self._service.lifecycle.draining = True
        self.should_exit = True

    async def on_tick(self, counter: int) -> bool:
        """End too when the service cannot go on."""
        return await super().on_tick(counter) or not self._service.alive()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Drain, close the listener, let requests on the wire be refused politely, then close the rest."""
        service, settings = self._service, self._service.settings
        service.lifecycle.draining = True
        began = monotonic()
        give_up = began + settings.grace_s
        if service.lifecycle.failure is None:
            await self._until(lambda: service.admission.waiting == 0, give_up)
            await self._until(lambda: False, min(give_up, began + settings.drain_linger_s))
        for listener in sockets or []:
            stop_admitting(listener)
        await asyncio.sleep(ACCEPT_S)
        for server in self.servers:
            server.close()
        await self._until(lambda: not self.server_state.connections, monotonic() + LAST_WORDS_S)
        self.config.timeout_graceful_shutdown = 1
        await super().shutdown(sockets)
        if self.force_exit:  # the lifespan ends in order however urgent the end is
            await self.lifespan.shutdown()

    async def _until(self, done: Callable[[], bool], give_up: float) -> None:
        while not done() and monotonic() < give_up and not self.force_exit:
            await asyncio.sleep(POLL_S)


def run(
    service: str, make_engine: MakeEngine, model_uri_variable: str, make_dispatcher: MakeDispatcher = Direct
) -> NoReturn:
    """Serve until told to stop, or with the argument `loop` run the in-process loop; ends the process."""
    # Until the server has handlers of its own: a container's first process ignores signals without one.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os._exit(0))
    arguments = sys.argv[1:]
    if arguments not in ([], ["loop"]):
        print(f"usage: python -m {service}_serving [loop]", file=sys.stderr)
        sys.exit(2)
    keep_freed_memory()
    configure_logs(service, "info")
    try:
        settings = load_settings(service, model_uri_variable)
        configure_logs(service, settings.log_level)
        if arguments == ["loop"]:
            run_loop(make_engine, settings, sys.stdin.buffer, sys.stdout.buffer)
            _end(0)
        _end(_serve(make_engine, settings, make_dispatcher))
    except StartError as error:
        log.error("cannot start: %s", error)
        _end(1)


def _serve(make_engine: MakeEngine, settings: Settings, make_dispatcher: MakeDispatcher) -> int:
    listener = listen(settings.host, settings.port)
    app = create_app(make_engine, settings, make_dispatcher)
    service: Service = app.state.service
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http=Protocol,
        ws="none",
        log_config=None,
        access_log=False,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_S,
        server_header=False,
        date_header=False,
    )
    DrainingServer(config, service).run(sockets=[listener])
    if service.lifecycle.failure is not None:
        cannot = "cannot go on" if service.lifecycle.ready else "cannot start"
        log.error("%s: %s", cannot, service.lifecycle.failure)
        return 1
    log.info("stopped")
    return 0


def _end(status: int) -> NoReturn:
    """End now: a thread inside native code must not hold up, or crash, the interpreter's own end."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
