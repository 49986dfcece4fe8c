"""What a client sends before its request is whole is bounded on each route, and a trailer is not a header."""

import contextlib
import json
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from serving_core.http.protocol import ConnectionLimits
from serving_core.http.request_bytes import RequestBytes
from tests.serving_core.echo_service import GET, bodies, read_all, refusal, serving

HEADER_BYTES = 4096
MANY_BYTES = 4_000_000
PIPELINED = 4
LIMITS = ConnectionLimits(
    header_timeout_s=2.0, body_timeout_s=2.0, header_bytes=HEADER_BYTES, pipelined=PIPELINED
)
LAST = GET[:-2] + b"Connection: close\r\n\r\n"


def chunked(path: str, *more: bytes) -> bytes:
    """The head of a request with a body in chunks; `more` are headers."""
    lines = [f"POST {path} HTTP/1.1".encode(), b"Host: x", b"Transfer-Encoding: chunked", *more, b"", b""]
    return b"\r\n".join(lines)


def chunks(*contents: bytes) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(content), content) for content in contents)


@pytest.fixture(scope="module")
def connect() -> Iterator[Callable[[], socket.socket]]:
    with serving(LIMITS) as connects:
        yield connects


def sent_until_cut(client: socket.socket, piece: bytes) -> tuple[int, bytes]:
    """Send the piece again and again; return how many bytes were taken until an answer came or the end."""
    sent, answer = 0, b""
    client.settimeout(0.02)
    with contextlib.suppress(ConnectionError):
        while sent < MANY_BYTES and not answer:
            with contextlib.suppress(TimeoutError):
                sent += client.send(piece)
            with contextlib.suppress(TimeoutError, BlockingIOError):
                client.setblocking(False)
                answer = client.recv(65536)
                if not answer:
                    break
            client.settimeout(0.02)
    client.settimeout(10)
    with contextlib.suppress(ConnectionError):
        answer += read_all(client)
    return sent, answer


ENDLESS = {
    "trailers": (chunks(b"x") + b"0\r\n", b"a:b\r\n" * 200),
    "a trailer's value": (b"0\r\na: ", b"v" * 1000),
    "a trailer's name": (b"0\r\na", b"v" * 1000),
    "an extension of a chunk": (b"1;", b"v" * 1000),
    "an extension's quoted value": (b'1;a="', b"v" * 1000),
    "a chunk's size": (b"", b"0" * 1000),
    "chunks of a byte": (b"", chunks(b"x") * 200),
    "extensions of chunks of a byte": (b"", (b"1;" + b"e" * 90 + b"\r\nx\r\n") * 10),
    "an extension of the last chunk": (chunks(b"x" * 100) + b"0;", b"v" * 1000),
}


@pytest.mark.parametrize("kind", ENDLESS)
def test_what_comes_beside_a_body_is_bounded(connect: Callable[[], socket.socket], kind: str) -> None:
    begin, piece = ENDLESS[kind]
    with connect() as client:
        client.sendall(chunked("/b") + begin)
        sent, answer = sent_until_cut(client, piece)
    assert sent < MANY_BYTES
    status, _, error = refusal(answer)
    assert status == 400
    assert error == f"over {HEADER_BYTES} bytes came beside the body: send longer chunks, and no trailers"


@pytest.mark.parametrize("kind", ["trailers", "a trailer's value", "chunks of a byte"])
def test_it_is_bounded_too_where_the_answer_did_not_wait_for_the_body(
    connect: Callable[[], socket.socket], kind: str
) -> None:
    begin, piece = ENDLESS[kind]
    with connect() as client:
        client.sendall(chunked("/early") + begin)
        sent = 0
        with contextlib.suppress(ConnectionError):
            while sent < MANY_BYTES:
                client.sendall(piece)
                sent += len(piece)
    assert sent < MANY_BYTES


def test_the_rest_of_an_answered_body_is_bounded() -> None:
    with serving(ConnectionLimits(rest_bytes=100_000)) as connects, connects() as client:
        client.sendall(b"POST /early HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999999\r\n\r\n")
        sent = 0
        with contextlib.suppress(ConnectionError):
            while sent < MANY_BYTES:
                client.sendall(b"." * 10_000)
                sent += 10_000
    assert sent < MANY_BYTES


@pytest.mark.parametrize(
    "piece",
    [b"\r\n" * 500, b"x-%d: y\r\n" * 50, b"x" * 1000, b"/" * 1000],
    ids=["lines", "heads", "name", "url"],
)
def test_what_comes_before_a_body_is_bounded(connect: Callable[[], socket.socket], piece: bytes) -> None:
    begin = b"" if piece.startswith(b"\r") else b"GET /" if piece.startswith(b"/") else b"GET / HTTP/1.1\r\n"
    with connect() as client:
        client.sendall(begin)
        sent, answer = sent_until_cut(client, piece)
    assert sent < MANY_BYTES
    assert refusal(answer)[0] == 400


@pytest.mark.parametrize("step", [100_000, 900, 7])
def test_a_long_body_in_chunks_with_trailers_is_taken(
    connect: Callable[[], socket.socket], step: int
) -> None:
    content = chunks(*[b"." * 100] * 300, *[b"x"] * 100)
    request = chunked("/b") + content + b"0;last\r\nX-Checksum: 1\r\nX-More: 2\r\n\r\n"
    with connect() as client:
        sent = request + LAST
        for start in range(0, len(sent), step):
            client.sendall(sent[start : start + step])
        assert bodies(read_all(client)) == [["/b", 30_100], ["/a", 0]]


@pytest.mark.parametrize("step", [100_000, 5])
@pytest.mark.parametrize("path", ["/headers", "/early-headers"])
def test_a_trailer_is_not_a_header_of_its_request_or_the_next(
    connect: Callable[[], socket.socket], path: str, step: int
) -> None:
    trailers = (
        b"X-Request-Id: other\r\nContent-Type: text/plain\r\nX-Request-Timeout-Ms: 1\r\nNew: 1\r\nLast:\r\n"
    )
    first = chunked(path, b"X-Request-Id: mine") + b"0\r\n" + trailers + b"\r\n"
    sent = first + GET.replace(b"/a", b"/headers")[:-2] + b"Connection: close\r\n\r\n"
    with connect() as client:
        for start in range(0, len(sent), step):
            client.sendall(sent[start : start + step])
        heads = [
            json.loads(part.partition(b"\r\n\r\n")[2]) for part in read_all(client).split(b"HTTP/1.1 200")[1:]
        ]
    assert heads == [
        ["host: x", "transfer-encoding: chunked", "x-request-id: mine"],
        ["host: x", "connection: close"],
    ]


def test_headers_are_counted(connect: Callable[[], socket.socket]) -> None:
    def asked(count: int) -> bytes:
        return GET[:-2] + b"a:\r\n" * (count - 2) + b"Connection: close\r\n\r\n"

    with connect() as client:
        client.sendall(asked(LIMITS.headers))
        assert bodies(read_all(client)) == [["/a", 0]]
    with connect() as client:
        client.sendall(asked(LIMITS.headers + 1))
        status, _, error = refusal(read_all(client))
    assert (status, error) == (400, f"there are over {LIMITS.headers} headers: send fewer")


def test_spaces_after_a_value_are_none_of_it(connect: Callable[[], socket.socket]) -> None:
    with connect() as client:
        client.sendall(b"GET /headers HTTP/1.1\r\nHost: \t x \t\r\nA:\r\nConnection: close \r\n\r\n")
        answer = read_all(client).partition(b"\r\n\r\n")[2]
    assert json.loads(answer) == ["host: x", "a: ", "connection: close"]


def test_of_requests_far_ahead_of_their_answers_the_first_are_answered(
    connect: Callable[[], socket.socket],
) -> None:
    with connect() as client:
        client.sendall(GET.replace(b"/a", b"/slow") + GET * 1000)
        assert bodies(read_all(client)) == [["/slow", 0], *[["/a", 0]] * (PIPELINED - 1)]


def test_empty_lines_do_not_keep_a_connection() -> None:
    with serving(ConnectionLimits(header_timeout_s=0.5), keep_alive_s=0.5) as connects:
        for request in (b"", GET):
            with connects() as client:
                client.sendall(request)
                began = time.monotonic()
                with contextlib.suppress(ConnectionError):
                    while time.monotonic() < began + 60:
                        client.sendall(b"\r\n")
                        time.sleep(0.1)
                    raise AssertionError("the connection is still open")


def test_memory_does_not_grow_with_what_is_sent(connect: Callable[[], socket.socket]) -> None:
    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

    before = resident()
    for begin, piece in ENDLESS.values():
        with connect() as client, contextlib.suppress(ConnectionError):
            client.sendall(chunked("/early") + begin)
            for _ in range(MANY_BYTES // len(piece)):
                client.sendall(piece)
    assert resident() - before < 16 * 1024 * 1024


class Reads:
    """What the parser would report of a sequence of reads."""

    def __init__(self, most: int) -> None:
        self.bytes = RequestBytes(most)

    def read(self, length: int, *events: Callable[[], None]) -> str | None:
        self.bytes.begin_read(length)
        for event in events:
            event()
        return self.bytes.end_read()


def test_bytes_of_an_earlier_request_are_not_counted() -> None:
    reads = Reads(100)
    counted = reads.bytes
    assert reads.read(90, counted.begin_head) is None
    end_of_one = (counted.end_head, lambda: counted.take_body(5000), counted.end_body)
    assert reads.read(5200, *end_of_one, counted.begin_head) is None
    assert reads.read(90) is None
    assert reads.read(20) is not None


def test_bytes_of_a_body_allow_some_beside_it() -> None:
    reads = Reads(100)
    counted = reads.bytes
    reads.read(50, counted.begin_head, counted.end_head)
    for _ in range(100):
        assert reads.read(1100, lambda: counted.take_body(1000)) is None
    assert reads.read(2601) is not None
