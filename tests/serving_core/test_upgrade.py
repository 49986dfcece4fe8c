"""Requests that offer to go on in another protocol (curl's and Java's HTTP/2, browsers' websockets)."""

import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from serving_core.http.protocol import ConnectionLimits
from tests.serving_core.echo_service import GET, bodies, read_all, refusal, serving

H2C = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n"
WEBSOCKET = b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
LAST = GET[:-2] + b"Connection: close\r\n\r\n"


def post(body: bytes, *more: bytes) -> bytes:
    length = b"Content-Length: %d\r\n" % len(body)
    return b"".join([b"POST /b HTTP/1.1\r\nHost: x\r\n", length, *more, b"\r\n", body])


@pytest.fixture(scope="module")
def connect() -> Iterator[Callable[[], socket.socket]]:
    with serving(ConnectionLimits()) as connects:
        yield connects


@pytest.mark.parametrize("step", [10_000, 150, 40, 7])
@pytest.mark.parametrize("offer", [H2C, WEBSOCKET], ids=["h2c", "websocket"])
def test_a_body_belongs_to_its_request_however_it_comes(
    connect: Callable[[], socket.socket], offer: bytes, step: int
) -> None:
    sent = post(SMUGGLED, offer) + post(b"", offer) + post(SMUGGLED) + GET[:-2] + offer + b"\r\n" + LAST
    with connect() as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for start in range(0, len(sent), step):
            client.sendall(sent[start : start + step])
            time.sleep(0.001)
        said = bodies(read_all(client))
    assert said == [["/b", len(SMUGGLED)], ["/b", 0], ["/b", len(SMUGGLED)], ["/a", 0], ["/a", 0]]


def test_a_body_that_follows_its_head_belongs_to_its_request(connect: Callable[[], socket.socket]) -> None:
    with connect() as client:
        head = post(SMUGGLED, H2C)[: -len(SMUGGLED)]
        for part in (head, SMUGGLED + LAST):
            client.sendall(part)
            time.sleep(0.2)
        assert bodies(read_all(client)) == [["/b", len(SMUGGLED)], ["/a", 0]]


def test_a_body_in_chunks_belongs_to_its_request(connect: Callable[[], socket.socket]) -> None:
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (SMUGGLED, b"." * 100_000, b""))
    with connect() as client:
        head = b"POST /b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
        client.sendall(head + H2C + b"\r\n" + chunks + LAST)
        assert bodies(read_all(client)) == [["/b", len(SMUGGLED) + 100_000], ["/a", 0]]


def test_a_connection_that_is_to_be_closed_is_closed(connect: Callable[[], socket.socket]) -> None:
    offer = H2C.replace(b"Upgrade,", b"close, Upgrade,")
    with connect() as client:
        client.sendall(post(SMUGGLED, offer) + b"what follows does not matter\r\n\r\n")
        assert bodies(read_all(client)) == [["/b", len(SMUGGLED)]]


def test_a_body_whose_end_is_unknown_is_refused(connect: Callable[[], socket.socket]) -> None:
    with connect() as client:
        client.sendall(b"POST /b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n" + H2C + b"\r\n" + GET)
        assert refusal(read_all(client))[0] == 400


def test_curl_may_offer_http_2(connect: Callable[[], socket.socket], tmp_path: Path) -> None:
    """Two requests on one connection, the second with a body that curl asks about first."""
    with connect() as client:
        host, port = client.getpeername()
    words = ["curl"]
    for length in (20_000, 2_000_000):
        (tmp_path / str(length)).write_bytes(b"." * length)
        words += ["--silent", "--http2", "--data-binary", f"@{tmp_path / str(length)}"]
        words += ["--write-out", " %{num_connects}\n", f"http://{host}:{port}/b", "--next"]
    said = subprocess.run(words[:-1], check=True, capture_output=True, timeout=120, text=True).stdout
    assert said.splitlines() == ['["/b", 20000] 1', '["/b", 2000000] 0']
