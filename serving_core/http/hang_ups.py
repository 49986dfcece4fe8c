"""Clients that hang up while nobody reads from their connection, and those that only end their own half.

A client that closes its connection and a client that ends only its sending look alike: both send FIN. They
differ when they are sent something: the kernel of the first answers with a reset, the second reads on. So a
connection with an ended half gets the bytes with which any answer begins; if no reset comes, the answer goes
on behind them. They go one at a time, because a proxy between us passes the first on before it learns that
nobody reads, fails to pass the second on, and only then is gone itself.
"""

import asyncio
import select
from typing import Protocol

BEGINNING = b"HTTP/1.1 "
BETWEEN_BYTES_S = 0.005


class Watched(Protocol):
    """A connection as seen by the watch."""

    def half_ended(self) -> None:
        """Be told that the client sends nothing more."""

    def give_way(self) -> None:
        """Close at once: nobody reads any more."""


class HangUps:
    """Watches connections through the kernel's own queue of events, which needs no reading."""

    def __init__(self) -> None:
        self._epoll: select.epoll | None = None
        self._watched: dict[int, Watched] = {}

    def watch(self, descriptor: int, connection: Watched) -> None:
        """Tell the connection when its client ends its half or hangs up; what has happened is told too."""
        if self._epoll is None:
            self._epoll = select.epoll()
            asyncio.get_running_loop().add_reader(self._epoll.fileno(), self._tell)
        self._watched[descriptor] = connection
        self._epoll.register(descriptor, select.EPOLLRDHUP | select.EPOLLET)

    def forget(self, descriptor: int) -> None:
        """Watch the connection no longer; its descriptor is still open."""
        assert self._epoll is not None  # noqa: S101 - it was watched
        del self._watched[descriptor]
        self._epoll.unregister(descriptor)

    def _tell(self) -> None:
        assert self._epoll is not None  # noqa: S101 - it has events
        for descriptor, events in self._epoll.poll(0):
            connection = self._watched.get(descriptor)
            if connection is None:
                continue
            if events & (select.EPOLLERR | select.EPOLLHUP):
                connection.give_way()
            else:
                connection.half_ended()


class BegunAnswer:
    """A transport on which the next answer begins before it is there."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._sent = 0
        self._timer: asyncio.TimerHandle | None = None
        self._send_a_byte()

    def write(self, data: bytes) -> None:
        """Write an answer's next bytes without those that were sent already."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._transport.write(data[self._sent :])
        self._sent = 0

    def is_closing(self) -> bool:
        """Tell whether nothing more can be written."""
        return self._transport.is_closing()

    def close(self) -> None:
        """Close when all is written."""
        self._transport.close()

    def _send_a_byte(self) -> None:
        self._timer = None
        if self._transport.is_closing():
            return
        self._transport.write(BEGINNING[self._sent : self._sent + 1])
        self._sent += 1
        if self._sent < len(BEGINNING):
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(BETWEEN_BYTES_S, self._send_a_byte)
