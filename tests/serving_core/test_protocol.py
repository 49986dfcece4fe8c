"""The limits of connections and headers, on real sockets around an app that answers with what it was sent."""

import contextlib
import json
import socket
import time
from collections.abc import Callable, Iterator

import pytest

from serving_core.http.protocol import ConnectionLimits
from tests.serving_core.echo_service import GET, LONG_BYTES, bodies, read_all, read_answer, refusal, serving

HEADER_BYTES = 4096


@pytest.fixture(scope="module")
def connect() -> Iterator[Callable[[], socket.socket]]:
    with serving(ConnectionLimits(header_timeout_s=0.3, header_bytes=HEADER_BYTES)) as connects:
        yield connects


def test_headers_that_do_not_come_to_an_end_are_answered_with_408(
    connect: Callable[[], socket.socket],
) -> None:
    with connect() as client:
        client.sendall(GET[:-2])
        status, _, error = refusal(read_all(client))
    assert status == 408
    assert "0.3 s" in error


def test_headers_that_trickle_are_answered_with_408(connect: Callable[[], socket.socket]) -> None:
    with connect() as client:
        client.sendall(GET + GET[:-2])
        with contextlib.suppress(OSError):
            for _ in range(20):
                client.sendall(b"a: b\r\n")
                time.sleep(0.05)
        answers = read_all(client)
    assert answers.startswith(b"HTTP/1.1 200")
    assert b"HTTP/1.1 408 Request Timeout\r\n" in answers


def test_a_connection_that_sends_nothing_is_closed_without_a_word(
    connect: Callable[[], socket.socket],
) -> None:
    with connect() as client:
        assert read_all(client) == b""


def test_a_connection_kept_alive_is_not_timed_by_the_limit_for_headers(
    connect: Callable[[], socket.socket],
) -> None:
    with connect() as client:
        for _ in range(2):
            client.sendall(GET)
            assert read_answer(client).startswith(b"HTTP/1.1 200")
            time.sleep(0.5)


def test_a_slow_answer_does_not_count_against_the_next_headers(connect: Callable[[], socket.socket]) -> None:
    with connect() as client:
        client.sendall(GET.replace(b"/a", b"/slow") + GET[:-2])
        time.sleep(0.5)
        client.sendall(b"Connection: close\r\n\r\n")
        assert bodies(read_all(client)) == [["/slow", 0], ["/a", 0]]


def test_pipelined_requests_are_answered_in_order(connect: Callable[[], socket.socket]) -> None:
    post = b"POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 10000\r\n\r\n" + b"." * 10000
    last = GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    with connect() as client:
        client.sendall(GET + post + GET + last)
        expected = [["/a", 0], ["/b", 10000], ["/a", 0], ["/a", 0]]
        assert bodies(read_all(client)) == expected


@pytest.mark.parametrize("pieces", [1, 3, 40])
def test_headers_over_the_limit_are_refused_though_they_come_in_pieces(
    connect: Callable[[], socket.socket], pieces: int
) -> None:
    head = GET[:-2] + b"".join(b"x-%d: %s\r\n" % (number, b"v" * 90) for number in range(60)) + b"\r\n"
    step = len(head) // pieces + 1
    with connect() as client:
        with contextlib.suppress(OSError):
            for start in range(0, len(head), step):
                client.sendall(head[start : start + step])
                time.sleep(0.002)
        status, _, error = refusal(read_all(client))
    assert status == 400
    assert str(HEADER_BYTES) in error


def test_headers_within_the_limit_are_taken_with_a_body_of_any_length(
    connect: Callable[[], socket.socket],
) -> None:
    head = GET.replace(b"GET /a", b"POST /b")[:-2] + b"x: %s\r\n" % (b"v" * (HEADER_BYTES - 100))
    with connect() as client:
        client.sendall(head + b"Connection: close\r\nContent-Length: 100000\r\n\r\n" + b"." * 100000)
        assert bodies(read_all(client)) == [["/b", 100000]]


def test_what_is_not_http_is_refused(connect: Callable[[], socket.socket]) -> None:
    with connect() as client:
        client.sendall(b"\x16\x03\x01 hello\r\n\r\n" * 2000)
        status, _, error = refusal(read_all(client))
    assert status == 400
    assert error == "Invalid HTTP request received: send HTTP/1.1"


def test_each_refusal_has_an_id_of_its_own(connect: Callable[[], socket.socket]) -> None:
    heads = set()
    for _ in range(3):
        with connect() as client:
            client.sendall(b"hello\r\n\r\n")
            heads.add(refusal(read_all(client))[1])
    assert len(heads) == 3


def early(length: int) -> bytes:
    return b"POST /early HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % length


def test_a_body_that_does_not_end_after_its_answer_is_not_waited_for() -> None:
    with serving(ConnectionLimits(body_timeout_s=0.3)) as connects, connects() as client:
        client.sendall(early(1000))
        assert read_answer(client).startswith(b"HTTP/1.1 200")
        with contextlib.suppress(ConnectionError):
            for _ in range(40):
                client.sendall(b".")
                time.sleep(0.05)
            raise AssertionError("the connection is still open")


def test_a_body_that_ends_after_its_answer_leaves_the_connection_open() -> None:
    with serving(ConnectionLimits(body_timeout_s=0.3)) as connects, connects() as client:
        for _ in range(2):
            client.sendall(early(10))
            assert read_answer(client).startswith(b"HTTP/1.1 200")
            client.sendall(b"." * 10)
            time.sleep(0.5)


@pytest.mark.parametrize(
    ("request_", "rest"), [(early(10), b"." * 10), (GET, b"\r\n")], ids=["a body", "an empty line"]
)
def test_a_connection_that_ends_an_answered_request_is_kept_as_long_as_any_other(
    request_: bytes, rest: bytes
) -> None:
    with serving(ConnectionLimits(), keep_alive_s=0.3) as connects, connects() as client:
        client.sendall(request_)
        assert read_answer(client).startswith(b"HTTP/1.1 200")
        client.sendall(rest)
        assert client.recv(4096) == b""


def test_a_request_may_take_longer_than_a_connection_is_kept() -> None:
    with serving(ConnectionLimits(), keep_alive_s=0.5) as connects, connects() as client:
        for request in (GET, GET.replace(b"/a", b"/slow")):
            client.sendall(request)
            assert read_answer(client).startswith(b"HTTP/1.1 200")


def check_the_place_becomes_free(connects: Callable[[], socket.socket]) -> None:
    """The only place there is: the client that has it does not read, and sees nothing."""
    for _ in range(50):
        with connects() as other, contextlib.suppress(ConnectionError):
            other.sendall(GET)
            if other.recv(4096).startswith(b"HTTP/1.1 200"):
                return
        time.sleep(0.1)
    raise AssertionError("the connection is still held")


LONG = GET.replace(b"/a", b"/long")


def test_a_client_that_does_not_read_is_cut() -> None:
    with serving(ConnectionLimits(connections=1, body_timeout_s=0.3)) as connects, connects() as client:
        client.sendall(LONG * 10)
        check_the_place_becomes_free(connects)


@pytest.mark.parametrize("more", [b"", b"Connection: close\r\n"], ids=["kept", "closing"])
def test_a_client_that_does_not_read_the_last_of_an_answer_is_cut(more: bytes) -> None:
    limits = ConnectionLimits(connections=1, body_timeout_s=0.3)
    with serving(limits, keep_alive_s=0.3) as connects, connects() as client:
        client.sendall(LONG[:-2] + more + b"\r\n")
        taken = 0
        while taken < LONG_BYTES[0]:  # so little is left that the server need not wait to write it
            taken += len(client.recv(4096))
        check_the_place_becomes_free(connects)


def test_a_client_that_has_read_a_long_answer_keeps_its_connection() -> None:
    with serving(ConnectionLimits(body_timeout_s=1.5)) as connects, connects() as client:
        for _ in range(2):
            client.sendall(LONG)
            taken = 0
            while taken < sum(LONG_BYTES):
                taken += len(client.recv(65536))
            time.sleep(2)


def ended(connects: Callable[[], socket.socket], sent: bytes) -> bytes:
    """Send, end our half, and return all that comes."""
    with connects() as client:
        client.sendall(sent)
        client.shutdown(socket.SHUT_WR)
        return read_all(client)


def test_a_client_that_ends_its_half_is_answered_and_the_connection_closed(
    connect: Callable[[], socket.socket],
) -> None:
    slow = GET.replace(b"/a", b"/slow")
    long = b"POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 300000\r\n\r\n" + b"." * 300_000
    for sent, answers in (
        (slow, [["/slow", 0]]),
        (long, [["/b", 300_000]]),
        (slow + long + GET, [["/slow", 0], ["/b", 300_000], ["/a", 0]]),
        (slow + long[:-1], [["/slow", 0]]),
        (slow + GET[:-1], [["/slow", 0]]),
        (long[:-1], []),
        (b"", []),
    ):
        answer = ended(connect, sent)
        assert bodies(answer) == answers
        assert answer.count(b"HTTP/1.1") == answer.count(b"HTTP/1.1 200 OK\r\n") == len(answers)


@pytest.mark.parametrize("half", [True, False])
@pytest.mark.parametrize("length", [0, 300_000])
def test_a_request_learns_that_its_client_is_gone(length: int, half: bool) -> None:
    with serving(ConnectionLimits()) as connects:
        with connects() as client:
            head = b"POST /abandoned HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % length
            client.sendall(head + b"." * length)
            if half:
                client.shutdown(socket.SHUT_WR)
                time.sleep(0.1)
        with connects() as client:
            client.sendall(GET.replace(b"/a", b"/abandonments"))
            assert json.loads(client.recv(4096).partition(b"\r\n\r\n")[2]) == [["/abandoned", length]]
