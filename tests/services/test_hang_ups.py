"""Clients that leave before their answer are dropped, those that only end their half are answered."""

import contextlib
import socket
import struct
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.running.heavy import heavy_png, in_json
from tests.running.rust import RUST

ROOT = Path(__file__).parents[2]
WEATHER = (ROOT / "examples" / "windchill" / "model" / "coefficients.json").as_uri()
CLIENTS = 40
# a few are computed while the others still send
DROPPED = 25
SIZES = {"small": 20, "391 KB": 391_000, "3 MB": 3_000_000}
RESET = struct.pack("ii", 1, 0)


@dataclass(frozen=True)
class Slow:
    """A service that takes 50 ms for an item or a few, the body of an item, and the answer to it."""

    service: Any
    item: bytes = b'{"number": 1.0}'
    answer: bytes = b'{"double":2.0}'

    def sent(self, length: int, *, in_chunks: bool = False, version: str = "1.1") -> bytes:
        """Return a request whose body is an item, made as long as that by spaces."""
        return sent(self.item.ljust(length), in_chunks=in_chunks, version=version)


@pytest.fixture(scope="module", params=["torch", "onnx", "batched", RUST])
def slow(
    request: pytest.FixtureRequest, launch: Callable[..., Any], environment: Callable[[str], dict[str, str]]
) -> Iterator[Slow]:
    """A service of each way to serve."""
    name = request.param
    given = {"THREADS": "1"}
    if name == "rust":
        given |= environment(name)
    else:
        given |= {f"{'ONNX' if name == 'onnx' else 'TORCH'}_MODEL_URI": WEATHER}
        given |= {"HANDLER": "tests.services.timed_handler:Timed", "MAX_BATCH": "2"}
    service = launch(name, **given)
    service.wait_until_ready()
    item = in_json(heavy_png(4000))
    yield (
        Slow(service, item, service.post(item, "application/json").content)
        if name == "rust"
        else Slow(service)
    )
    service.end()


def sent(body: bytes, *, in_chunks: bool = False, version: str = "1.1") -> bytes:
    head = f"POST /predict/ HTTP/{version}\r\nHost: x\r\nContent-Type: application/json\r\n".encode()
    if in_chunks:
        return head + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    return head + b"Content-Length: %d\r\n\r\n" % len(body) + body


def metric(service: Any, name: str) -> float:
    lines = service.get("/metrics").text.splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith(name))


def connected(service: Any) -> socket.socket:
    return socket.create_connection(("127.0.0.1", service.port), timeout=120)


def close(client: socket.socket) -> None:
    client.close()


def reset(client: socket.socket) -> None:
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    client.close()


def end_and_close(client: socket.socket) -> None:
    with contextlib.suppress(OSError):  # it may have been answered
        client.shutdown(socket.SHUT_WR)
    client.close()


WAYS: dict[str, tuple[Callable[[socket.socket], None], Callable[[Slow, int], bytes]]] = {
    "closes": (close, Slow.sent),
    "resets": (reset, Slow.sent),
    "ends its half and closes": (end_and_close, Slow.sent),
    "sends in chunks": (close, lambda slow, length: slow.sent(length, in_chunks=True)),
    "has sent more": (close, lambda slow, length: slow.sent(length) + slow.sent(100_000)),
}


@pytest.mark.parametrize(
    ("size", "way"), [("small", "closes"), ("3 MB", "closes"), *(("391 KB", way) for way in WAYS)]
)
def test_the_request_of_a_client_that_leaves_is_dropped(slow: Slow, size: str, way: str) -> None:
    leave, of_length = WAYS[way]
    wire = of_length(slow, SIZES[size])
    service = slow.service
    before = metric(service, 'dropped_total{reason="disconnected"}')
    clients = [connected(service) for _ in range(CLIENTS)]
    for client in clients:
        client.sendall(wire)
    for client in clients:
        leave(client)
    give_up = time.monotonic() + 60
    while metric(service, "in_flight ") or metric(service, "queue_depth "):
        assert time.monotonic() < give_up
    assert metric(service, 'dropped_total{reason="disconnected"}') - before >= DROPPED


def answers(service: Any, wire: bytes) -> bytes:
    """Send, end our half, and return all that comes until the connection is closed."""
    with connected(service) as client:
        client.sendall(wire)
        client.shutdown(socket.SHUT_WR)
        answer = b""
        while piece := client.recv(65536):
            answer += piece
    return answer


@pytest.mark.parametrize("size", SIZES)
def test_a_client_that_ends_its_half_is_answered_and_the_connection_closed(slow: Slow, size: str) -> None:
    length, small = SIZES[size], slow.sent(20)
    for wire, count in (
        (slow.sent(length), 1),
        (slow.sent(length, in_chunks=True), 1),
        (slow.sent(length, version="1.0"), 1),
        (small + slow.sent(length) + small, 3),
        (small + slow.sent(length)[:-3], 1),
        (slow.sent(length)[:-3], 0),
    ):
        found = answers(slow.service, wire)
        heads = [part.partition(b"\r\n\r\n") for part in found.split(b"HTTP/1.1 200 OK\r\n")]
        assert heads.pop(0) == (b"", b"", b"")
        assert [body for _, _, body in heads] == [slow.answer] * count


@pytest.mark.parametrize(
    ("wire", "status"),
    [
        (b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n", 200),
        (b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", 200),
        (b"GET /nothing HTTP/1.0\r\n\r\n", 404),
        (b"POST /predict/ HTTP/1.1\r\nHost: x\r\nContent-Type: x\r\nContent-Length: 1\r\n\r\nx", 415),
        (sent(bytes(17_000_000)), 413),
    ],
    ids=["ping", "metrics", "404", "415", "413"],
)
def test_whatever_is_asked(slow: Slow, wire: bytes, status: int) -> None:
    answer = answers(slow.service, wire)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status), answer[:200]
    assert body
