"""Bodies that are kept in chunks, and answers that are written at once, on real sockets."""

import socket
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving_core.http.protocol import READ_AHEAD_BYTES, ConnectionLimits
from serving_core.http.whole import Chunks
from tests.serving_core.echo_service import GET, bodies, read_all, read_answer, serving


@pytest.fixture(scope="module")
def connect() -> Iterator[Callable[[], socket.socket]]:
    with serving(ConnectionLimits()) as connects:
        yield connects


def whole(path: bytes, more: bytes = b"") -> bytes:
    return GET.replace(b"/a", path).replace(b"\r\n\r\n", b"\r\n" + more + b"\r\n")


@given(st.lists(st.binary(max_size=9), max_size=5))
def test_chunks_are_the_bytes_that_came(pieces: list[bytes]) -> None:
    chunks = Chunks()
    for piece in pieces:
        chunks += piece
    assert bytes(chunks) == b"".join(pieces)
    assert len(chunks) == sum(map(len, pieces))


def test_a_single_chunk_is_not_copied() -> None:
    chunks, piece = Chunks(), b"a body"
    chunks += piece
    assert bytes(chunks) is piece


def test_an_answer_at_once_leaves_the_connection_open(connect: Callable[[], socket.socket]) -> None:
    with connect() as client:
        for _ in range(3):
            client.sendall(whole(b"/whole"))
            assert read_answer(client) == b'HTTP/1.1 200 OK\r\ncontent-length: 13\r\n\r\n["/whole", 0]'


def test_an_answer_at_once_that_closes_says_so_once(connect: Callable[[], socket.socket]) -> None:
    with connect() as client:
        client.sendall(whole(b"/whole-close"))
        answer = read_all(client)
    assert answer.lower().count(b"connection: close") == 1
    assert bodies(answer) == [["/whole-close", 0]]


@pytest.mark.parametrize("asked", [b"Connection: close\r\n", b"Connection: Close\r\n"])
def test_a_client_that_asks_to_close_is_told_that_it_will(
    connect: Callable[[], socket.socket], asked: bytes
) -> None:
    with connect() as client:
        client.sendall(whole(b"/whole", asked))
        answer = read_all(client)
    assert b"\r\nconnection: close\r\n" in answer
    assert bodies(answer) == [["/whole", 0]]


def test_an_older_protocol_is_closed(connect: Callable[[], socket.socket]) -> None:
    with connect() as client:
        client.sendall(b"GET /whole HTTP/1.0\r\n\r\n")
        answer = read_all(client)
    assert b"\r\nconnection: close\r\n" in answer
    assert bodies(answer) == [["/whole", 0]]


def test_answers_at_once_keep_the_order_of_requests_sent_ahead(connect: Callable[[], socket.socket]) -> None:
    last = whole(b"/whole", b"Connection: close\r\n")
    with connect() as client:
        client.sendall(whole(b"/whole-slow") + whole(b"/a") + whole(b"/whole") + last)
        answered = [path for path, _ in bodies(read_all(client))]
    assert answered == ["/whole-slow", "/a", "/whole", "/whole"]


def test_a_client_that_ended_its_half_gets_an_answer_at_once_behind_the_bytes_that_began_it(
    connect: Callable[[], socket.socket],
) -> None:
    with connect() as client:
        client.sendall(whole(b"/whole-slow"))
        client.shutdown(socket.SHUT_WR)
        answer = read_all(client)
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert bodies(answer) == [["/whole-slow", 0]]


def test_an_answer_that_has_begun_goes_on_in_the_usual_way(connect: Callable[[], socket.socket]) -> None:
    with connect() as client:
        client.sendall(whole(b"/whole-late"))
        answer = read_answer(client)
    assert answer.count(b"HTTP/1.1 200 OK") == 1
    assert bodies(answer) == [["/whole-late", 0]]


def test_a_value_that_no_header_may_have_is_not_written(connect: Callable[[], socket.socket]) -> None:
    with connect() as client:
        client.sendall(whole(b"/whole-odd"))
        answer = read_answer(client)
    assert b"x-odd" not in answer
    assert b"\r\nx-usual: yes\r\n" in answer


@pytest.mark.parametrize("length", [0, 1, READ_AHEAD_BYTES - 1, READ_AHEAD_BYTES + 1, 5 * READ_AHEAD_BYTES])
def test_a_body_of_any_length_arrives_whole(connect: Callable[[], socket.socket], length: int) -> None:
    head = b"POST /whole HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % length
    with connect() as client:
        client.sendall(head + b"." * length)
        assert bodies(read_answer(client)) == [["/whole", length]]


def test_a_body_in_many_chunks_arrives_whole(connect: Callable[[], socket.socket]) -> None:
    head = b"POST /whole HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    with connect() as client:
        client.sendall(head + b"5\r\n.....\r\n" * 1000 + b"0\r\n\r\n")
        assert bodies(read_answer(client)) == [["/whole", 5000]]
