"""Limits of time and queue, each kept on every route; they are set low here, in processes of their own."""

import asyncio
import json
import socket
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from serving_core.http.predict import NUMBERS
from tests.contract.encodings import ENCODINGS, INFER, MODEL, Request
from tests.contract.refusals import check_refusal
from tests.running.load import bytes_of
from tests.running.processes import MODEL_SETTINGS, MODELS
from tests.running.rust import RUST

NAMES = ("raw", "json list", "by name json", "oip json", "oip raw")


@pytest.fixture(scope="module", params=["onnx", RUST])
def tight(
    request: pytest.FixtureRequest, launch: Callable[..., Any], environment: Callable[[str], dict[str, str]]
) -> Any:
    """A service with a short queue and little patience."""
    limits = {"QUEUE_LIMIT": "2", "BODY_TIMEOUT_S": "0.3", "MAX_BODY_BYTES": "100000"}
    service = launch(request.param, **environment(request.param), **limits)
    service.wait_until_ready()
    return service


async def exchange(port: int, request: Request) -> tuple[int, dict[str, str], bytes]:
    """Send one request on a connection of its own; return the answer's status, headers and body."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(bytes_of(request))
        start, *rows = (await reader.readuntil(b"\r\n\r\n")).decode().splitlines()
        headers = dict(row.split(": ", 1) for row in rows if row)
        return int(start.split()[1]), headers, await reader.readexactly(int(headers["content-length"]))
    finally:
        writer.close()


def test_a_full_queue_is_answered_with_429_and_when_to_come_again(tight: Any, jpeg: bytes) -> None:
    requests = [ENCODINGS[name].request([jpeg, jpeg]) for name in NAMES for _ in range(20)]

    async def burst() -> list[tuple[int, dict[str, str], bytes]]:
        return await asyncio.gather(*(exchange(tight.port, request) for request in requests))

    seen: dict[str, Counter[int]] = {name: Counter() for name in NAMES}
    for index, (status, headers, body) in enumerate(asyncio.run(burst())):
        seen[NAMES[index // 20]][status] += 1
        if status == 429:
            assert json.loads(body).keys() == {"error"}
            assert headers["content-type"] == "application/json"
            assert 1 <= int(headers["retry-after"]) <= 60
    assert set().union(*seen.values()) == {200, 429}, seen
    assert all(counts[429] for counts in seen.values()), seen
    text = tight.get("/metrics").text
    assert 'dropped_total{reason="full"}' in text


def test_more_items_than_the_queue_holds_are_answered_where_nobody_waits(tight: Any, jpeg: bytes) -> None:
    request = ENCODINGS["json list"].request([jpeg] * 3)
    answer = tight.post(request.body, "application/json", request.path)
    assert answer.status_code == 200, answer.text
    assert len(answer.json()) == 3


@pytest.mark.parametrize("path", ["/predict/", f"/{MODEL}/predict", INFER])
def test_a_body_that_does_not_come_is_answered_with_408(tight: Any, path: str) -> None:
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n"
    with socket.create_connection(("127.0.0.1", tight.port), timeout=120) as client:
        client.sendall(head.encode() + b"{")
        answer = b""
        while piece := client.recv(4096):
            answer += piece
    start, _, body = answer.partition(b"\r\n\r\n")
    assert start.startswith(b"HTTP/1.1 408 ")
    assert b"\r\nconnection: close" in start
    assert b"\r\nx-request-id: " in start
    assert json.loads(body).keys() == {"error"}


@pytest.mark.parametrize("name", list(ENCODINGS))
def test_a_body_over_the_limit_is_refused_in_every_encoding(
    tight: Any, image_set: dict[str, Any], name: str
) -> None:
    large = next(image["content"] for image in image_set["images"] if image["kind"] == "seed")
    request = ENCODINGS[name].request([large])
    sent = {key.replace("-", "_"): value for key, value in request.headers.items()}
    assert "100000" in check_refusal(tight.post(request.body, None, request.path, **sent), 413)


@pytest.mark.parametrize("strategy", ["onnx", RUST])
def test_nothing_is_served_before_the_model_is_there(
    strategy: str, launch: Callable[..., Any], jpeg: bytes
) -> None:
    """Every route that predicts or tells of readiness says 503 and when to come again; the others answer."""
    store = {"LOCAL_STORE": "models=http://127.0.0.1:9", "STORE_TIMEOUT_S": "60"}
    model = {MODEL_SETTINGS[strategy]: f"gs://models/weather/{MODELS[strategy]}"}
    service = launch(strategy, **model, **store)
    while True:
        assert service.process.poll() is None
        try:
            assert service.get("/ping").status_code == 200
            break
        except OSError:
            continue
    for name in NAMES:
        request = ENCODINGS[name].request([jpeg])
        sent = {key.replace("-", "_"): value for key, value in request.headers.items()}
        check_refusal(service.post(request.body, None, request.path, **sent), 503)
    for path in ("/v2/health/ready", f"/v2/models/{MODEL}", f"/v2/models/{MODEL}/ready"):
        check_refusal(service.get(path), 503)
    for path in ("/", "/ping", "/v2", "/v2/health/live", "/metrics", "/api-description"):
        assert service.get(path).status_code == 200, path
    service.stop()
    assert service.end()[0] == 0


TYPES = {"/predict/": "image/png", f"/{MODEL}/predict": "image/png", INFER: "application/json"}


def answer_to(service: Any, path: str, *lines: str) -> bytes:
    """Send a request of three bytes with these header lines; return the answer."""
    fixed = [f"POST {path} HTTP/1.1", "Host: x", "Connection: close", f"Content-Type: {TYPES[path]}"]
    with socket.create_connection(("127.0.0.1", service.port), timeout=120) as client:
        client.sendall("\r\n".join([*fixed, *lines, "", "abc"]).encode("latin-1"))
        answer = b""
        while piece := client.recv(65536):
            answer += piece
    return answer


@pytest.mark.parametrize("path", TYPES)
def test_a_wrong_length_is_refused(tight: Any, path: str) -> None:
    lengths = ["0" * 5000 + "3", "3" * 5000, "18446744073709551616", "+3", "\xb2", "3,3", "-3", "0x3", ""]
    for length in lengths:
        answer = answer_to(tight, path, f"Content-Length: {length}")
        assert answer.startswith(b"HTTP/1.1 400 "), (length[:20], answer)
        assert b'{"error":"' in answer


def test_a_number_may_have_zeros_before_it_and_spaces_around_it(tight: Any) -> None:
    for lines in (("Content-Length: 003",), ("Content-Length: 3 ", "X-Request-Timeout-Ms:  09000\t")):
        assert answer_to(tight, "/predict/", *lines).startswith(b"HTTP/1.1 422 ")


@pytest.mark.parametrize("name", NUMBERS.values())
def test_a_number_that_is_there_twice_is_refused(tight: Any, name: str) -> None:
    answer = answer_to(tight, "/predict/", "Content-Length: 3", f"{name}: 7", f"{name.lower()}: 9000")
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert f"the header {name} is there twice".encode() in answer
