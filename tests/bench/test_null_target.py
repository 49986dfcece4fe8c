"""The null target answers exactly one reply to each request, and the driver's ceiling is found with it."""

import http.client
import shutil
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.load.ceiling import MOST_TARGET_BYTES, SHORT_ANSWER, measure_ceiling, null_target, stand_in
from bench.load.drive_plan import MOST_ANSWER_BYTES
from bench.load.reference_clients import Speed
from bench.model import ClosedLoad, Payload
from bench.model.expectations import (
    BytesExpectation,
    ExpectedTensor,
    LabelExpectation,
    TensorsExpectation,
)

pytestmark = pytest.mark.slow

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


def test_the_ceiling_is_found_beside_plain_locust_and_ab_in_turns() -> None:
    """Payloads of any protocol will do: what the null target answers is right for all of them."""
    right = LabelExpectation("rain", {"rain": 1.0})
    bodies = [b"{" + b"x" * 20_000 + b"}", b"binary"]
    payloads = [
        Payload("a", "seed", "oip", "application/json", body, right, path="/v2/x", reply="oip-json")
        for body in bodies
    ]
    found = measure_ceiling(payloads, ClosedLoad(4, 0.2, 0.4), (0,), 1, plain=True)
    assert (found.payload_class, found.encoding, found.clients) == ("seed", "oip", 4)
    assert found.throughput_rps > 0
    assert found.driver_cpu_ms_per_request > 0
    assert found.plain_throughput_rps is not None
    assert found.plain_throughput_rps > 0
    assert found.plain_cpu_ms_per_request is not None
    assert found.plain_cpu_ms_per_request > 0
    assert (found.ab_throughput_rps is None) == (shutil.which("ab") is None)


def test_a_right_answer_that_is_longer_than_an_answer_may_be_leaves_a_ceiling() -> None:
    count = MOST_ANSWER_BYTES // 4
    tensor = ExpectedTensor("out", "FP32", (1, count), (0.5,) * count)
    payload = Payload("a", "seed", "json", "application/json", b"{}", TensorsExpectation((tensor,)))
    found = measure_ceiling([payload], ClosedLoad(2, 0.1, 0.3), (0,), 1)
    assert found.throughput_rps > 0


def test_only_who_asks_for_plain_locust_waits_for_it() -> None:
    payload = Payload("a", "seed", "json", "application/json", b"{}", LabelExpectation("rain", {"rain": 1.0}))
    found = measure_ceiling([payload], ClosedLoad(2, 0.1, 0.3), (0,), 1)
    assert (found.plain_throughput_rps, found.plain_cpu_ms_per_request) == (None, None)


def test_turns_are_taken_together_by_requests_and_time() -> None:
    both = Speed.of([Speed(100, 1.0, 0.02), Speed(500, 2.0, 0.04)])
    assert both is not None
    assert (both.throughput_rps, both.cpu_ms_per_request) == (200.0, 0.1)
    assert Speed.of([Speed(100, 1.0, 0.02), None]) is None
    assert Speed.of([]) is None


@pytest.mark.parametrize(
    ("expect", "length"),
    [
        (BytesExpectation(text="é" * 500), 1000),
        (BytesExpectation(base64="AAAA" * 100), 300),
        (BytesExpectation(sha256="0" * 64, length=70_000), 70_000),
        (BytesExpectation(sha256="0" * 64, length=10**15), MOST_TARGET_BYTES),
        (BytesExpectation(sha256="0" * 64), len(SHORT_ANSWER)),
        (BytesExpectation(text=""), len(SHORT_ANSWER)),
    ],
)
def test_the_target_answers_as_many_bytes_as_the_service(expect: BytesExpectation, length: int) -> None:
    """A ceiling with the few bytes of a digest would be that of another load."""
    assert len(stand_in(expect)) == length
