"""The null target answers exactly one reply to each request, however the bytes arrive."""

import http.client
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.load.ceiling import null_target

ANSWER = b'{"prediction":"rain"}'
HEAD = b"POST /predict/ HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    with null_target(ANSWER, tmp_path, (0,)) as number:
        yield number


def replies(port: int, *pieces: bytes) -> int:
    """How many answers come back for the pieces, sent one after another on one connection."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        for piece in pieces:
            connection.sendall(piece)
            time.sleep(0.02)
        connection.settimeout(0.3)
        received = b""
        try:
            while block := connection.recv(65536):
                received += block
        except TimeoutError:
            pass
    return received.count(ANSWER)


def test_it_answers_a_client_of_the_standard_library_again_and_again(port: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port)
    for size in (0, 10, 400_000, 1_000_000):
        connection.request("POST", "/predict/", bytes(size))
        assert connection.getresponse().read() == ANSWER
    connection.close()


def test_a_head_in_pieces_is_put_together(port: int) -> None:
    head = HEAD % 5
    assert replies(port, head[:7], head[7:30], head[30:], b"ab", b"cde") == 1


def test_a_body_that_is_not_complete_gets_no_answer(port: int) -> None:
    assert replies(port, HEAD % 5 + b"abcd") == 0


def test_requests_that_arrive_together_get_an_answer_each(port: int) -> None:
    assert replies(port, (HEAD % 3 + b"abc") * 4) == 4
    assert replies(port, HEAD % 3 + b"abc" + HEAD % 2, b"ab" + HEAD % 0) == 3
