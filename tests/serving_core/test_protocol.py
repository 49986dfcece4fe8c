"""The limits of connections and headers, on real sockets around an app that answers with what it was sent."""

import asyncio
import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import uvicorn

from serving_core.http.protocol import REFUSALS, Limits, limited

HEADER_BYTES = 4096
GET = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n"


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Answer with the path and the body's length; `/slow` takes its time."""
    length, more = 0, True
    while more:
        message = await receive()
        length += len(message.get("body", b""))
        more = message.get("more_body", False)
    if scope["path"] == "/slow":
        await asyncio.sleep(0.6)
    body = json.dumps([scope["path"], length]).encode()
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@contextlib.contextmanager
def serving(limits: Limits) -> Iterator[Callable[[], socket.socket]]:
    """Serve with these limits; gives a function that connects."""
    options: dict[str, Any] = {"lifespan": "off", "log_config": None, "access_log": False, "loop": "uvloop"}
    server = uvicorn.Server(uvicorn.Config(echo, http=limited(limits), ws="none", **options))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        while not server.started:
            time.sleep(0.01)
        try:
            yield lambda: socket.create_connection(listener.getsockname(), timeout=10)
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture(scope="module")
def connect() -> Iterator[Callable[[], socket.socket]]:
    with serving(Limits(header_timeout_s=0.3, header_bytes=HEADER_BYTES)) as connects:
        yield connects


def read_all(client: socket.socket) -> bytes:
    answer = b""
    while piece := client.recv(65536):
        answer += piece
    return answer


def refusal(answer: bytes) -> tuple[int, str, str]:
    """Return the status, the headers and the error of an answer."""
    head, _, body = answer.partition(b"\r\n\r\n")
    content = json.loads(body)
    assert content.keys() == {"error"}
    assert b"connection: close" in head
    return int(head.split()[1]), head.decode(), content["error"]


def bodies(answers: bytes) -> list[Any]:
    return [json.loads(part.partition(b"\r\n\r\n")[2]) for part in answers.split(b"HTTP/1.1 200 OK")[1:]]


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
            assert client.recv(4096).startswith(b"HTTP/1.1 200")
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


def test_a_connection_too_many_is_told_so_and_a_place_that_is_free_is_given() -> None:
    reasons: list[str] = []
    with serving(Limits(connections=2, refused=reasons.append)) as connects, contextlib.ExitStack() as open_:
        kept = [open_.enter_context(connects()) for _ in range(2)]
        for client in kept:
            client.sendall(GET)
            assert client.recv(4096).startswith(b"HTTP/1.1 200")
        with connects() as third:
            third.sendall(b"POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 300000\r\n\r\n" + b"." * 300000)
            status, head, error = refusal(read_all(third))
        assert status == 503
        assert "retry-after: 1" in head
        assert "all 2 connections" in error
        assert reasons == ["connections"]
        for client in kept:
            client.close()
        while True:  # until the server has seen both leave
            with connects() as fourth:
                fourth.sendall(GET)
                if fourth.recv(4096).startswith(b"HTTP/1.1 200"):
                    break


def test_far_too_many_connections_are_cut() -> None:
    with serving(Limits(connections=1)) as connects, contextlib.ExitStack() as open_:
        clients = [open_.enter_context(connects()) for _ in range(1 + REFUSALS + 20)]
        for client in clients[-20:]:
            with contextlib.suppress(ConnectionResetError):
                assert client.recv(1) == b""
        clients[0].sendall(GET)
        assert clients[0].recv(4096).startswith(b"HTTP/1.1 200")
