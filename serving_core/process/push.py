"""Pushes metrics to a Prometheus Pushgateway, beside the metrics that are served for scraping."""

import logging
import socket
import threading
from collections.abc import Callable
from functools import partial
from http.client import HTTPException
from urllib.parse import unquote

from prometheus_client import CollectorRegistry, push_to_gateway
from prometheus_client.exposition import basic_auth_handler, default_handler

from serving_core.settings import Settings

# The function that prometheus_client calls with url, method, timeout, headers and data.
Handler = Callable[[str, str, float | None, list[tuple[str, str]], bytes], Callable[[], None]]
# The longest time that a push may take; the end of a service waits for it.
TIMEOUT_S = 2.0

log = logging.getLogger("serving_core.process.push")


class Pusher:
    """A thread that pushes every `interval_s` seconds, and once more when it is closed.

    The beginning and the end of an outage are logged; a failed push has no other effect.
    """

    def __init__(
        self, source: Callable[[], CollectorRegistry], address: str, job: str, interval_s: float
    ) -> None:
        self._source = source
        self._address, self._handler = _without_user(address)
        self._job = job
        self._interval_s = interval_s
        self._out = False
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pusher", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Push a last time and end, within twice TIMEOUT_S seconds."""
        self._closing.set()
        self._thread.join(2 * TIMEOUT_S)

    def _run(self) -> None:
        while not self._closing.wait(self._interval_s):
            self._push()
        self._push()

    def _push(self) -> None:
        instance = {"instance": socket.gethostname()}
        try:
            push_to_gateway(
                self._address, self._job, self._source(), instance, timeout=TIMEOUT_S, handler=self._handler
            )
        except (OSError, HTTPException, ValueError, RuntimeError) as error:
            if not self._out:
                log.warning("cannot push metrics to %s: %s", self._address, error)
            self._out = True
            return
        if self._out:
            log.info("metrics are pushed to %s again", self._address)
        self._out = False


def _without_user(address: str) -> tuple[str, Handler]:
    """Return an address without its name and password, and a handler that sends these."""
    scheme, slashes, rest = address.partition("//")
    user, at, place = rest.rpartition("@")
    if not at:
        return address, default_handler
    name, _, password = user.partition(":")
    handler = partial(basic_auth_handler, username=unquote(name), password=unquote(password))
    return scheme + slashes + place, handler


class Nothing:
    """Stands in for a Pusher if nothing is pushed."""

    def close(self) -> None:
        """Do nothing."""


def pusher_of(settings: Settings, source: Callable[[], CollectorRegistry]) -> Pusher | Nothing:
    """Start to push the metrics of `source`, if the settings say so."""
    if not settings.pushgateway:
        return Nothing()
    return Pusher(source, settings.pushgateway, settings.service, settings.push_interval_s)
