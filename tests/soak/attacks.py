"""Peers that mean harm, each bounded in bytes and time; a few of them check what they are answered."""

import contextlib
import random
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.client import HTTPException, HTTPResponse

from tests.contract.encodings import ENCODINGS
from tests.fuzz.malformed import CHUNKED, PING
from tests.fuzz.seeds import TINY, images
from tests.running.load import bytes_of
from tests.soak.pictures import large, large_grey, many_scans, odd_metadata

Attack = Callable[[int, random.Random], None]

TIMEOUT_S = 60
# the most that one peer writes where nothing ends what it sends, and how long it waits for room to write
MOST_BYTES = 8_000_000
ROOM_WITHIN_S = 2
# the length at which a service stops reading a body until somebody takes it
LONG_BODY = 391_000
HEAD = b"POST /predict/ HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\n"


@contextlib.contextmanager
def connected(port: int) -> Iterator[socket.socket]:
    """Connect; whatever the service does to the connection is borne."""
    with (
        contextlib.suppress(ConnectionError, TimeoutError),
        socket.create_connection(("127.0.0.1", port), TIMEOUT_S) as peer,
    ):
        yield peer


def picture_request(data: bytes, headers: bytes = b"") -> bytes:
    """A POST of one picture."""
    return HEAD + headers + b"Content-Length: %d\r\n\r\n" % len(data) + data


def status(peer: socket.socket) -> int:
    """Read an answer and return its status; 0 if the connection ends without a whole answer."""
    with HTTPResponse(peer) as answer:
        try:
            answer.begin()
            answer.read()
        except HTTPException:
            return 0
        return answer.status


def _endless(port: int, begin: bytes, piece: bytes) -> None:
    """Begin a request and send the same piece until the service hangs up, or until it is too much."""
    with connected(port) as peer:
        peer.settimeout(ROOM_WITHIN_S)
        peer.sendall(begin)
        block = piece * (65536 // len(piece) + 1)
        for _ in range(MOST_BYTES // len(block)):
            peer.sendall(block)


def endless_trailers(port: int, _: random.Random) -> None:
    """Fields after the last chunk, without end."""
    _endless(port, CHUNKED + b"0\r\n", b"a:b\r\n")


def endless_ping_trailers(port: int, _: random.Random) -> None:
    """The same on a route that reads no body."""
    _endless(port, b"GET /ping HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"a:b\r\n")


def endless_extension(port: int, _: random.Random) -> None:
    """A chunk whose extension has no end."""
    _endless(port, CHUNKED + b"1", b";x=yyyyyyyyyyyy")


def tiny_chunks(port: int, _: random.Random) -> None:
    """A body of chunks of one byte."""
    _endless(port, CHUNKED, b"1\r\nx\r\n")


def endless_head(port: int, _: random.Random) -> None:
    """Headers without end."""
    _endless(port, HEAD, b"X-More: y\r\n")


def pipelined(port: int, _: random.Random) -> None:
    """Requests one after the other; no answer is read."""
    _endless(port, PING, PING)


def endless_length(port: int, rng: random.Random) -> None:
    """A length of thousands of digits."""
    with connected(port) as peer:
        peer.sendall(HEAD + b"Content-Length: " + b"0" * rng.randint(1, 6000) + b"3\r\n\r\nabc")
        status(peer)


def idle(port: int, rng: random.Random) -> None:
    """Connections on which nothing comes, or half a head."""
    with ExitStack() as held, contextlib.suppress(ConnectionError, TimeoutError):
        for _ in range(64):
            peer = held.enter_context(socket.create_connection(("127.0.0.1", port), TIMEOUT_S))
            peer.sendall(rng.choice([b"", b"GET /ping HT"]))
        time.sleep(rng.uniform(0.1, 2.0))


def abandoned(port: int, _: random.Random) -> None:
    """Long requests whose sender hangs up."""
    for _attempt in range(8):
        with connected(port) as peer:
            peer.sendall(picture_request(images()[TINY] + bytes(LONG_BODY)))


def half_closed(port: int, _: random.Random) -> None:
    """A sender that ends its side after its request; a request that was accepted is answered."""
    with connected(port) as peer:
        peer.sendall(picture_request(images()[TINY]))
        peer.shutdown(socket.SHUT_WR)
        answer = status(peer)
        assert answer in {200, 429, 503}, f"a sender that ended its side got {answer}"


def hurried(port: int, rng: random.Random) -> None:
    """Requests that ask to be answered before all others."""
    with connected(port) as peer:
        for _ in range(20):
            peer.sendall(
                picture_request(images()[TINY], b"X-Request-Timeout-Ms: %d\r\n" % rng.randint(1, 500))
            )
            status(peer)


def scans(port: int, rng: random.Random) -> None:
    """A progressive JPEG of many scans."""
    with connected(port) as peer:
        peer.sendall(picture_request(many_scans(rng.choice([50, 1000, 20_000]))))
        status(peer)


def large_picture(port: int, _: random.Random) -> None:
    """A picture of as many pixels as are allowed."""
    with connected(port) as peer:
        peer.sendall(picture_request(large()))
        status(peer)


def many_large(port: int, _: random.Random) -> None:
    """One request of many small files, each of as many pixels as are allowed."""
    with connected(port) as peer:
        peer.sendall(bytes_of(ENCODINGS["multipart several"].request([large_grey()] * 64)))
        status(peer)


def metadata(port: int, rng: random.Random) -> None:
    """Pictures with metadata that nobody can read are answered like any other."""
    with connected(port) as peer:
        peer.sendall(picture_request(rng.choice(odd_metadata(images()[TINY]))))
        answer = status(peer)
        assert answer in {200, 429, 503}, f"a picture with odd metadata got {answer}"


def typed_field(port: int, _: random.Random) -> None:
    """A form with a field of a type of its own beside the file."""
    request = ENCODINGS["multipart"].request([images()[TINY]])
    begin, end = request.body[: request.body.index(b"\r\n") + 2], b""
    field = b'Content-Disposition: form-data; name="meta"\r\nContent-Type: application/json\r\n\r\n{}\r\n'
    body = begin + field + request.body + end
    headers = b"".join(
        b"%s: %s\r\n" % (name.encode(), value.encode()) for name, value in request.headers.items()
    )
    with connected(port) as peer:
        peer.sendall(b"POST /predict/ HTTP/1.1\r\nHost: x\r\n" + headers)
        peer.sendall(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        answer = status(peer)
        assert answer in {400, 429, 503}, f"a form with a typed field got {answer}"


def damaged(port: int, rng: random.Random) -> None:
    """Pictures with bytes that were changed."""
    with connected(port) as peer:
        for _ in range(20):
            picture = bytearray(images()[rng.choice(sorted(images()))])
            for _change in range(rng.randint(1, 8)):
                picture[rng.randrange(len(picture))] = rng.randrange(256)
            peer.sendall(picture_request(bytes(picture)))
            status(peer)


ATTACKS: tuple[Attack, ...] = (
    endless_trailers,
    endless_ping_trailers,
    endless_extension,
    tiny_chunks,
    endless_head,
    pipelined,
    endless_length,
    idle,
    abandoned,
    half_closed,
    hurried,
    scans,
    large_picture,
    many_large,
    metadata,
    typed_field,
    damaged,
)
