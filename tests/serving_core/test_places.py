"""Connections too many: the longest idle gives way, and if none is idle the newcomer is told so."""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from serving_core.http.places import ConnectionPlaces
from serving_core.http.protocol import ConnectionLimits
from tests.serving_core.echo_service import GET, LONG_BYTES, read_all, read_answer, refusal, serving

FEW = 4
TURNED_AWAY = 3
SLOW = GET.replace(b"/a", b"/slow")
Connect = Callable[[], socket.socket]


@pytest.fixture
def connect() -> Iterator[Connect]:
    limits = ConnectionLimits(connections=FEW, refusals=TURNED_AWAY, body_timeout_s=3, header_timeout_s=3)
    with serving(limits) as connects:
        yield connects


def is_closed(client: socket.socket) -> bool:
    """Tell whether the connection is closed, given a moment."""
    client.settimeout(0.2)
    try:
        return client.recv(4096) == b""
    except ConnectionError:
        return True
    except TimeoutError:
        return False


def check_answers(client: socket.socket) -> None:
    client.settimeout(10)
    client.sendall(GET)
    assert read_answer(client).startswith(b"HTTP/1.1 200")


IDLE = {
    "without a byte": b"",
    "with empty lines": b"\r\n\r\n",
    "with half a head": GET[:-2],
    "after an answer": GET,
    "after an answer to a body that goes on": b"POST /early HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n",
}


@pytest.mark.parametrize("kind", IDLE)
def test_the_longest_idle_connections_give_way(connect: Connect, kind: str) -> None:
    with ExitStack() as open_:
        idle = [open_.enter_context(connect()) for _ in range(FEW)]
        for client in idle:
            client.sendall(IDLE[kind])
            if kind.startswith("after"):
                read_answer(client)
        time.sleep(0.1)
        newcomers = [open_.enter_context(connect()) for _ in range(FEW - 1)]
        for client in newcomers:
            check_answers(client)
        *gone, youngest = idle
        assert all(map(is_closed, gone))
        assert not is_closed(youngest)


def test_a_connection_that_was_used_again_is_not_the_longest_idle(connect: Connect) -> None:
    with ExitStack() as open_:
        used, *others = [open_.enter_context(connect()) for _ in range(FEW)]
        for client in (used, *others, used):
            check_answers(client)
        check_answers(open_.enter_context(connect()))
        assert is_closed(others[0])
        check_answers(used)


BUSY = {
    "waits for its answer": SLOW,
    "still sends its body": b"POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n.",
    "reads a long answer": GET.replace(b"/a", b"/long"),
}


@pytest.mark.parametrize("kind", BUSY)
def test_a_busy_connection_does_not_give_way(connect: Connect, kind: str) -> None:
    with ExitStack() as open_:
        busy = [open_.enter_context(connect()) for _ in range(FEW)]
        for client in busy:
            client.sendall(BUSY[kind])
        time.sleep(0.2)
        newcomer = open_.enter_context(connect())
        newcomer.sendall(b"POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 300000\r\n\r\n" + b"." * 300_000)
        status, head, error = refusal(read_all(newcomer))
        assert status == 503
        assert "retry-after: 1" in head
        assert error == f"all {FEW} connections are taken: send again later"
        for client in busy:
            if kind.startswith("reads"):
                taken = 0
                while taken < sum(LONG_BYTES):
                    taken += len(client.recv(65536))
            else:
                client.sendall(b"." * 8 if kind.startswith("still") else b"")
                assert read_answer(client).startswith(b"HTTP/1.1 200")
        check_answers(open_.enter_context(connect()))


def test_many_that_are_turned_away_and_do_not_go_keep_no_newcomer_from_being_told() -> None:
    reasons: list[str] = []
    limits = ConnectionLimits(connections=1, refusals=TURNED_AWAY, refused=reasons.append)
    with serving(limits) as connects, ExitStack() as open_:
        busy = open_.enter_context(connects())
        busy.sendall(b"POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n.")
        time.sleep(0.1)
        silent = [open_.enter_context(connects()) for _ in range(5 * TURNED_AWAY)]
        newcomer = open_.enter_context(connects())
        newcomer.sendall(GET)
        assert refusal(read_all(newcomer))[0] == 503
        assert reasons == ["connections"] * (len(silent) + 1)
        assert [is_closed(client) for client in silent] == [True] * (len(silent) - 2) + [False] * 2
        busy.sendall(b"." * 8)
        assert read_answer(busy).startswith(b"HTTP/1.1 200")


def test_a_thousand_idle_connections_keep_nobody_out() -> None:
    with serving(ConnectionLimits(connections=200, refusals=20)) as connects, ExitStack() as open_:
        for _ in range(1000):
            open_.enter_context(connects())
        for _ in range(300):
            check_answers(open_.enter_context(connects()))


class Connection:
    """A connection that notes that it gave way."""

    def __init__(self) -> None:
        self.sending = self.gone = False

    def sends(self) -> bool:
        return self.sending

    def give_way(self) -> None:
        self.gone = True


def test_places_are_counted_whatever_comes_when() -> None:
    places = ConnectionPlaces(2, 1)
    first, second, third, fourth = (Connection() for _ in range(4))
    assert places.enter(first)
    assert places.enter(second)
    places.work(first)
    second.sending = True
    assert not places.enter(third)
    assert not places.enter(fourth)
    assert (third.gone, fourth.gone) == (True, False)
    places.rest(first)
    for _ in range(2):
        places.leave(first)
    places.rest(first)  # its last answer is written after it has left
    fifth, sixth = Connection(), Connection()
    assert places.enter(fifth)
    assert places.enter(sixth)
    assert (fifth.gone, sixth.gone, second.gone) == (True, False, False)
