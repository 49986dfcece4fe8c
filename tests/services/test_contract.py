"""One contract for all services: the same answers, the same limits, the same errors."""

import base64
import json
import random
import socket
import struct
import zlib
from typing import Any

import pytest
import requests

SUFFIX_TYPES = {"jpg": "image/jpeg", "png": "image/png", "webp": "image/webp"}


def as_json(content: bytes) -> bytes:
    return json.dumps({"image": base64.b64encode(content).decode()}).encode()


def check_refusal(answer: requests.Response, status: int) -> str:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.json().keys() == {"error"}
    assert answer.headers["x-request-id"]
    message: str = answer.json()["error"]
    assert "Traceback" not in message
    return message


def test_every_image_gets_the_expected_answer_in_both_encodings(
    service: Any, image_set: dict[str, Any]
) -> None:
    for image in image_set["images"]:
        expected = image["expected"]
        kind = SUFFIX_TYPES.get(image["file"].rpartition(".")[2], "application/octet-stream")
        raw = service.post(image["content"], kind)
        encoded = service.post(as_json(image["content"]), "application/json")
        for answer in (raw, encoded):
            assert answer.status_code == 200, (image["file"], answer.text)
            assert answer.json()["prediction"] == expected["label"], image["file"]
            assert list(answer.json()["probabilities"]) == image_set["labels"]
            given = list(answer.json()["probabilities"].values())
            assert given == pytest.approx(expected["probabilities"], abs=0.03), image["file"]
            assert sum(given) == pytest.approx(1)


def test_the_path_without_its_slash_answers_without_a_redirect(service: Any, jpeg: bytes) -> None:
    headers = {"Content-Type": "image/jpeg"}
    answer = requests.post(f"{service.url}/predict", jpeg, headers=headers, timeout=30, allow_redirects=False)
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"", "image/jpeg", 400),
        (b"", "application/json", 400),
        (b"{", "application/json", 400),
        (b'{"image": "not base64"}', "application/json", 400),
        (b'{"picture": "YQ=="}', "application/json", 400),
        (b'{"image": "YQ=="}', "application/json", 422),
        (b"no image at all", "image/jpeg", 422),
        (b"x", "text/plain", 415),
        (b"x", None, 415),
        (b"x", "multipart/form-data; boundary=b", 415),
    ],
)
def test_a_wrong_body_gets_its_status_and_a_message(
    service: Any, body: bytes, kind: str | None, status: int
) -> None:
    check_refusal(service.post(body, kind), status)


def test_half_an_image_is_refused(service: Any, jpeg: bytes) -> None:
    assert "truncated" in check_refusal(service.post(jpeg[: len(jpeg) // 2]), 422)


def test_an_image_over_the_pixel_limit_is_refused_before_it_is_decoded(service: Any) -> None:
    ihdr = struct.pack(">4sIIBBBBB", b"IHDR", 20_000, 20_000, 8, 2, 0, 0, 0)
    header = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + ihdr + struct.pack(">I", zlib.crc32(ihdr))
    header += struct.pack(">I4s", 1000, b"IDAT")
    # no pixels follow: decoding this would say that it is truncated
    assert "20000x20000" in check_refusal(service.post(header, "image/png"), 413)


@pytest.mark.parametrize("chunked", [False, True])
def test_twenty_megabytes_get_their_refusal_and_no_reset(service: Any, chunked: bool) -> None:
    body = bytes(20_000_000)
    pieces = (body[at : at + 65536] for at in range(0, len(body), 65536))
    headers = {"Content-Type": "image/jpeg"}
    answer = requests.post(
        f"{service.url}/predict/", pieces if chunked else body, headers=headers, timeout=30
    )
    check_refusal(answer, 413)


def test_a_sender_that_waits_to_be_asked_is_refused_before_it_sends(service: Any) -> None:
    head = "POST /predict/ HTTP/1.1\r\nHost: x\r\nContent-Type: image/jpeg\r\nContent-Length: 20000000\r\n"
    with socket.create_connection(("127.0.0.1", service.port), timeout=10) as client:
        client.sendall((head + "Expect: 100-continue\r\n\r\n").encode())
        answer = b""
        while piece := client.recv(4096):  # until the server closes: what follows would be taken for the body
            answer += piece
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"\r\nconnection: close\r\n" in answer


def test_unknown_routes_and_wrong_methods_are_refused_in_json(service: Any) -> None:
    assert "/predict/" in check_refusal(service.get("/nowhere"), 404)
    refused = service.get("/predict/")
    assert "POST" in check_refusal(refused, 405)
    assert refused.headers["allow"] == "POST"
    check_refusal(requests.post(f"{service.url}/ping", b"x", timeout=30), 405)


def test_what_is_not_http_is_refused_in_json(service: Any) -> None:
    with socket.create_connection(("127.0.0.1", service.port), timeout=10) as client:
        client.sendall(b"\x00\x01\x02 nonsense\r\n\r\n")
        head, _, body = client.recv(4096).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert json.loads(body).keys() == {"error"}


def test_a_deadline_that_passes_is_answered_with_504(service: Any, image_set: dict[str, Any]) -> None:
    content = max((image["content"] for image in image_set["images"]), key=len)
    check_refusal(service.post(content, X_Request_Timeout_Ms="1"), 504)
    check_refusal(service.post(content, X_Request_Timeout_Ms="soon"), 400)
    check_refusal(service.post(content, X_Request_Timeout_Ms="9" * 5000), 400)


def test_health_routes_say_that_it_is_well(service: Any) -> None:
    root = service.get("/")
    assert (root.status_code, root.json()["status"]) == (200, "healthy")
    assert root.json()["message"]
    for path in ("/ping", "/v2/health/live", "/v2/health/ready"):
        assert service.get(path).status_code == 200


def test_a_request_id_is_given_back_and_made_where_there_is_none(service: Any, jpeg: bytes) -> None:
    assert service.post(jpeg, X_Request_Id="mine").headers["x-request-id"] == "mine"
    made = {service.post(jpeg).headers["x-request-id"], service.get("/ping").headers["x-request-id"]}
    assert len(made) == 2


def test_the_metrics_count_what_happened(service: Any, jpeg: bytes) -> None:
    def counted(text: str) -> float:
        line = 'request_duration_seconds_count{route="/predict/",status="200"} '
        return next((float(row[len(line) :]) for row in text.splitlines() if row.startswith(line)), 0)

    before = counted(service.get("/metrics").text)
    for _ in range(3):
        service.post(jpeg)
    text = service.get("/metrics").text
    assert counted(text) == before + 3
    for stage in ("parse", "decode", "transform", "queue", "infer", "encode"):
        assert f'stage_duration_seconds_count{{stage="{stage}"}}' in text
    for phase in ("imports", "pull", "load", "warm_up"):
        assert f'startup_phase_seconds{{phase="{phase}"}}' in text
    for name in ("batch_size_sum", "queue_depth", "queue_bytes", "in_flight", "requests_total", "model_info"):
        assert f"\n{name}" in text


def test_the_description_names_the_routes_and_their_refusals(service: Any) -> None:
    paths = service.get("/api-description").json()["paths"]
    assert {"/", "/ping", "/predict", "/predict/", "/v2/health/ready", "/metrics"} <= paths.keys()
    assert {"200", "400", "408", "413", "415", "422", "429", "503", "504"} <= paths["/predict/"]["post"][
        "responses"
    ].keys()


def test_it_lives_on_after_hostile_bodies(service: Any, jpeg: bytes) -> None:
    chance = random.Random(7)  # noqa: S311 - a repeatable test, not a secret
    kinds = ["application/json", "image/jpeg", "image/png", "application/octet-stream", "x/y"]
    for _ in range(60):
        body = bytearray(jpeg if chance.random() < 0.6 else chance.randbytes(chance.randrange(3000)))
        for _ in range(chance.randrange(1, 20)):
            if body:
                body[chance.randrange(len(body))] = chance.randrange(256)
        answer = service.post(bytes(body), chance.choice(kinds))
        if answer.status_code != 200:
            assert answer.status_code in (400, 413, 415, 422)
            check_refusal(answer, answer.status_code)
    assert service.post(jpeg).status_code == 200
    assert service.get("/v2/health/live").status_code == 200


def test_abandoned_requests_are_not_computed(service: Any, jpeg: bytes) -> None:
    def dropped() -> float:
        line = 'dropped_total{reason="disconnected"} '
        rows = service.get("/metrics").text.splitlines()
        return next((float(row[len(line) :]) for row in rows if row.startswith(line)), 0)

    before = dropped()
    head = "POST /predict/ HTTP/1.1\r\nHost: x\r\nContent-Type: image/jpeg\r\n"
    head += f"Content-Length: {len(jpeg)}\r\n\r\n"
    clients = [socket.create_connection(("127.0.0.1", service.port), timeout=10) for _ in range(60)]
    for client in clients:
        client.sendall(head.encode() + jpeg)
    for client in clients:
        client.close()
    assert service.post(jpeg).status_code == 200
    assert dropped() - before >= 30
