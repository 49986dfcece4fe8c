"""On the wire: senders that are hostile, impatient or gone."""

import json
import random
import socket
from typing import Any

import pytest
import requests

from tests.contract.encodings import ENCODINGS, INFER, MODEL
from tests.contract.refusals import check_refusal


def head(path: str, kind: str, length: int, *more: str) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: x", f"Content-Type: {kind}", f"Content-Length: {length}", *more]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def until_closed(client: socket.socket) -> bytes:
    answer = b""
    while piece := client.recv(4096):
        answer += piece
    return answer


@pytest.mark.parametrize(("path", "kind"), [("/predict/", "image/jpeg"), (INFER, "application/json")])
def test_a_sender_that_waits_to_be_asked_is_refused_before_it_sends(
    service: Any, path: str, kind: str
) -> None:
    with socket.create_connection(("127.0.0.1", service.port), timeout=120) as client:
        client.sendall(head(path, kind, 20_000_000, "Expect: 100-continue"))
        answer = until_closed(client)  # what follows would be taken for the body
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"\r\nconnection: close\r\n" in answer


def test_a_sender_that_waits_to_be_asked_is_asked(service: Any, jpeg: bytes) -> None:
    with socket.create_connection(("127.0.0.1", service.port), timeout=120) as client:
        client.sendall(head("/predict/", "image/jpeg", len(jpeg), "Expect: 100-continue"))
        assert client.recv(4096).startswith(b"HTTP/1.1 100 ")
        client.sendall(jpeg)
        assert client.recv(4096).startswith(b"HTTP/1.1 200 ")


def test_requests_in_a_row_on_one_connection_are_answered_in_order(service: Any, jpeg: bytes) -> None:
    request = head("/predict/", "image/jpeg", len(jpeg), "X-Request-Id: %s") + jpeg
    last = head(f"/{MODEL}/predict", "image/jpeg", len(jpeg), "X-Request-Id: 2", "Connection: close") + jpeg
    with socket.create_connection(("127.0.0.1", service.port), timeout=120) as client:
        client.sendall(request.replace(b"%s", b"0") + request.replace(b"%s", b"1") + last)
        answers = until_closed(client)
    assert answers.count(b"HTTP/1.1 200 ") == 3
    ids = [line for line in answers.split(b"\r\n") if line.startswith(b"x-request-id: ")]
    assert ids == [b"x-request-id: 0", b"x-request-id: 1", b"x-request-id: 2"]


def test_what_is_not_http_is_refused_in_json(service: Any) -> None:
    with socket.create_connection(("127.0.0.1", service.port), timeout=120) as client:
        client.sendall(b"\x00\x01\x02 nonsense\r\n\r\n")
        start, _, body = until_closed(client).partition(b"\r\n\r\n")
    assert start.startswith(b"HTTP/1.1 400 ")
    assert b"\r\nx-request-id: " in start
    assert json.loads(body).keys() == {"error"}


@pytest.mark.parametrize(
    "framing",
    [
        ("Content-Length: 5", "Transfer-Encoding: chunked"),
        ("Transfer-Encoding: chunked", "Content-Length: 5"),
        ("content-length:5", "CONTENT-LENGTH: 5"),
        ("Content-Length: 5", "Content-Length: 6"),
    ],
)
@pytest.mark.parametrize("before", ["none", "whole", "in chunks"])
def test_a_body_whose_end_is_in_doubt_is_refused(
    service: Any, jpeg: bytes, framing: tuple[str, str], before: str
) -> None:
    """A proxy that reads its end elsewhere would take the rest for another client's request."""
    start = "POST /predict/ HTTP/1.1\r\nHost: x\r\nContent-Type: image/jpeg\r\n"
    lines = "\r\n".join(framing)
    doubtful = f"{start}{lines}\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    earlier = {
        "none": b"",
        "whole": f"{start}Content-Length: {len(jpeg)}\r\n\r\n".encode() + jpeg,
        "in chunks": f"{start}Transfer-Encoding: chunked\r\n\r\n{len(jpeg):x}\r\n".encode()
        + jpeg
        + b"\r\n0\r\n\r\n",
    }
    with socket.create_connection(("127.0.0.1", service.port), timeout=120) as client:
        client.sendall(earlier[before] + doubtful)
        answers = until_closed(client)
    refusal = answers[answers.rindex(b"HTTP/1.1 ") :]
    assert refusal.startswith(b"HTTP/1.1 400 "), answers
    said = json.loads(refusal.partition(b"\r\n\r\n")[2])
    assert said == {"error": "Invalid HTTP request received: send HTTP/1.1"}
    assert answers.count(b"HTTP/1.1 ") <= (1 if before == "none" else 2)


def test_an_offer_of_http_2_is_declined_and_the_request_answered(service: Any, jpeg: bytes) -> None:
    """As curl --http2 and Java's own client ask at first."""
    offer = (
        "Connection: Upgrade, HTTP2-Settings",
        "Upgrade: h2c",
        "HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA",
    )
    last = head("/predict/", "image/jpeg", len(jpeg), "Connection: close")
    with socket.create_connection(("127.0.0.1", service.port), timeout=120) as client:
        client.sendall(head("/predict/", "image/jpeg", len(jpeg), *offer) + jpeg + last + jpeg)
        answers = until_closed(client)
    assert answers.count(b"HTTP/1.1 ") == answers.count(b"HTTP/1.1 200 ") == 2


@pytest.mark.parametrize("name", list(ENCODINGS))
def test_it_lives_on_after_hostile_bodies(service: Any, jpeg: bytes, name: str) -> None:
    """Requests with some of their bytes turned into others."""
    chance = random.Random(name)  # noqa: S311 - a repeatable test, not a secret
    request = ENCODINGS[name].request([jpeg])
    for _ in range(15):
        body = bytearray(request.body if chance.random() < 0.8 else chance.randbytes(chance.randrange(3000)))
        for _ in range(chance.randrange(1, 20)):
            if body:
                # where the encoding is, as often as where the image is
                reach = len(body) if chance.random() < 0.5 else min(len(body), 300)
                body[chance.randrange(reach)] = chance.randrange(256)
        answer = requests.post(
            service.url + request.path, bytes(body), headers=dict(request.headers), timeout=30
        )
        if answer.status_code != 200:
            assert answer.status_code in (400, 413, 415, 422)
            check_refusal(answer, answer.status_code)
    assert service.send(request).status_code == 200
    assert service.get("/v2/health/live").status_code == 200


def dropped(service: Any) -> float:
    rows = service.get("/metrics").text.splitlines()
    ours = (row for row in rows if row.startswith("dropped_total{") and 'reason="disconnected"' in row)
    return sum(float(row.rpartition(" ")[2]) for row in ours)


@pytest.mark.parametrize("name", ["raw", "oip raw"])
def test_abandoned_requests_are_not_computed(service: Any, jpeg: bytes, name: str) -> None:
    request = ENCODINGS[name].request([jpeg])
    named = dict(request.headers)
    kind = named.pop("Content-Type")
    start = head(request.path, kind, len(jpeg), *(f"{key}: {value}" for key, value in named.items()))
    before = dropped(service)
    clients = [socket.create_connection(("127.0.0.1", service.port), timeout=120) for _ in range(60)]
    for client in clients:
        client.sendall(start + jpeg)
        client.close()  # at once: on a busy machine the others' bodies take long
    assert service.post(jpeg).status_code == 200
    assert dropped(service) - before >= 30


def test_a_type_s_case_and_parameters_do_not_matter(service: Any, jpeg: bytes) -> None:
    for name, kind in (("json", "Application/JSON; charset=utf-8"), ("raw", "IMAGE/JPEG; q=1")):
        request = ENCODINGS[name].request([jpeg])
        assert service.post(request.body, kind, request.path).status_code == 200


@pytest.mark.parametrize("name", list(ENCODINGS))
def test_a_body_may_come_in_chunks(service: Any, jpeg: bytes, name: str) -> None:
    encoding = ENCODINGS[name]
    request = encoding.request([jpeg])
    pieces = (request.body[at : at + 5000] for at in range(0, len(request.body), 5000))
    answer = requests.post(service.url + request.path, pieces, headers=dict(request.headers), timeout=120)
    assert answer.status_code == 200, answer.text
    assert encoding.readings(answer) == encoding.readings(service.send(request))


@pytest.mark.parametrize(
    ("body", "kind", "path"),
    [
        (b"[" * 200_000, "application/json", "/predict/"),
        (b'{"inputs":' + b"[" * 200_000, "application/json", INFER),
        (b"\x91" * 200_000, "application/msgpack", "/predict/"),
    ],
)
def test_a_body_that_nests_without_end_is_refused(service: Any, body: bytes, kind: str, path: str) -> None:
    check_refusal(service.post(body, kind, path), 400)


def test_answers_are_compressed_only_where_that_pays(service: Any, jpeg: bytes) -> None:
    """requests accepts gzip; it says what it was sent."""
    described = service.get("/api-description").headers
    assert described["content-encoding"] == "gzip"
    assert "accept-encoding" in described["vary"].lower()
    for name in ("raw", "oip binary"):
        assert "content-encoding" not in service.send(ENCODINGS[name].request([jpeg])).headers


@pytest.mark.parametrize("sent", ["x" * 300, "a b", "é", "a\tb"])
def test_a_request_id_comes_back_as_one_bounded_header(service: Any, jpeg: bytes, sent: str) -> None:
    named = {"Content-Type": b"image/jpeg", "X-Request-Id": sent.encode("latin-1")}
    answer = requests.post(f"{service.url}/predict/", jpeg, headers=named, timeout=120)
    assert answer.headers["x-request-id"] == sent[:128]
