"""The table of errors, on every route and encoding that can produce them."""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import requests

from tests.contract.encodings import INFER, MODEL, VERSION_INFER, Encoding, Request
from tests.contract.refusals import check_refusal, png_header

POSTS = ("/predict/", "/predict", f"/{MODEL}/predict", INFER, VERSION_INFER)
GETS = (
    *("/", "/ping", "/metrics", "/api-description"),
    *("/v2", "/v2/health/live", "/v2/health/ready"),
    *(f"/v2/models/{MODEL}", f"/v2/models/{MODEL}/ready"),
    *(f"/v2/models/{MODEL}/versions/1", f"/v2/models/{MODEL}/versions/1/ready"),
)
MSGPACK = "application/msgpack"
FORM = "multipart/form-data; boundary=b"


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"", "image/jpeg", 400),
        (b"", "application/json", 400),
        (b"{", "application/json", 400),
        (b"null", "application/json", 400),
        (b"[]", "application/json", 400),
        (b"\xff\xfe", "application/json", 400),
        (b'{"image": "not base64"}', "application/json", 400),
        (b'{"image": ""}', "application/json", 400),
        (b'{"image": 7}', "application/json", 400),
        (b'{"picture": "YQ=="}', "application/json", 400),
        (b'{"image": "YQ==", "also": 1}', "application/json", 400),
        (b'{"images": []}', "application/json", 400),
        (b'{"images": "YQ=="}', "application/json", 400),
        (b'{"images": {}, "image": "YQ=="}', "application/json", 400),
        (b"", MSGPACK, 400),
        (b"\x81\xa5image", MSGPACK, 400),
        (b"\x81\xa5image\xc4\x01a tail", MSGPACK, 400),
        (b"\x81\xa5image\xdd\xff\xff\xff\xff", MSGPACK, 400),
        (b"\x90", MSGPACK, 400),
        (b"\x81\xa6images\x90", MSGPACK, 400),
        (b"", FORM, 400),
        (b"x", FORM, 400),
        (b"x", "multipart/form-data", 400),
        (b"--b--\r\n", FORM, 400),
        (b'--b\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\nhalf', FORM, 400),
        (b'{"image": "YQ=="}', "application/json", 422),
        (b"no image at all", "image/jpeg", 422),
        (b"x", "text/plain", 415),
        (b"x", "image/gif", 415),
        (b"x", None, 415),
        (b"x", "nonsense", 415),
    ],
)
def test_a_wrong_body_gets_its_status_and_a_message(
    service: Any, body: bytes, kind: str | None, status: int
) -> None:
    for path in ("/predict/", f"/{MODEL}/predict"):
        check_refusal(service.post(body, kind, path), status)


@pytest.mark.parametrize(
    "query", ["top_k=0", "top_k=-1", "top_k=two", "top_k=", "top_k=1&top_k=2", "top_k=1.5", "topk=5"]
)
def test_a_wrong_query_is_refused(service: Any, jpeg: bytes, query: str) -> None:
    assert "top_k" in check_refusal(service.post(jpeg, path=f"/predict/?{query}"), 400)


def refused_as_a_whole(service: Any, encoding: Encoding, image: bytes, status: int, **headers: str) -> str:
    """Send one bad image; return the message of the refusal, or of the error in its own place."""
    return refusal_of_the_whole(encoding, service.send(encoding.request([image]), **headers), status)


def refusal_of_the_whole(encoding: Encoding, answer: Any, status: int) -> str:
    if encoding.places is not None and answer.status_code == 200:
        (place,) = encoding.places(answer)
        assert place.keys() == {"error"}
        message: str = place["error"]
        return message
    return check_refusal(answer, status)


def test_what_is_no_image_is_refused_in_every_encoding(service: Any, encoding: Encoding) -> None:
    assert "image" in refused_as_a_whole(service, encoding, b"no image at all", 422)


def test_half_an_image_is_refused_in_every_encoding(service: Any, encoding: Encoding, jpeg: bytes) -> None:
    assert "truncated" in refused_as_a_whole(service, encoding, jpeg[: len(jpeg) // 2], 422)


def test_an_image_over_the_pixel_limit_is_refused_before_it_is_decoded(
    service: Any, encoding: Encoding
) -> None:
    header = png_header(20_000, 20_000)
    assert "20000x20000" in refused_as_a_whole(service, encoding, header, 413)


def test_a_deadline_that_passes_is_answered_with_504_in_every_encoding(
    service: Any, encoding: Encoding, image_set: dict[str, Any]
) -> None:
    large = max((image["content"] for image in image_set["images"]), key=len)
    # while the image of the test before is still computed a batcher knows at once that it cannot be in time
    give_up = time.monotonic() + 100
    answer = service.send(encoding.request([large]), X_Request_Timeout_Ms="1")
    while answer.status_code == 429 and time.monotonic() < give_up:
        assert "deadline" in check_refusal(answer, 429)
        time.sleep(0.05)
        answer = service.send(encoding.request([large]), X_Request_Timeout_Ms="1")
    assert "deadline" in refusal_of_the_whole(encoding, answer, 504)


@pytest.mark.parametrize("sent", ["soon", "0", "-1", "1.5", "9" * 5000, ""])
def test_a_deadline_that_is_none_is_refused(service: Any, encodings: Any, jpeg: bytes, sent: str) -> None:
    for name in ("raw", "by name json", "oip json"):
        request = encodings[name].request([jpeg])
        check_refusal(service.send(request, X_Request_Timeout_Ms=sent), 400)


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize(("path", "kind"), [("/predict/", "image/jpeg"), (INFER, "application/json")])
def test_twenty_megabytes_get_their_refusal_and_no_reset(
    service: Any, path: str, kind: str, chunked: bool
) -> None:
    body = bytes(20_000_000)
    pieces = (body[at : at + 65536] for at in range(0, len(body), 65536))
    answer = requests.post(
        service.url + path, pieces if chunked else body, headers={"Content-Type": kind}, timeout=30
    )
    check_refusal(answer, 413)


@pytest.mark.parametrize("path", POSTS)
def test_a_compressed_body_is_refused(service: Any, path: str) -> None:
    kind = "image/jpeg" if "v2" not in path else "application/json"
    check_refusal(service.post(b"\x1f\x8b", kind, path, Content_Encoding="gzip"), 415)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        *(
            ("GET", path)
            for path in ("/nowhere", "/v2/nowhere", "/v2/models/nobody", "/v2/models/nobody/ready")
        ),
        ("GET", f"/v2/models/{MODEL}/versions/99"),
        ("GET", f"/v2/models/{MODEL}/versions/99/ready"),
        ("POST", "/nowhere"),
        ("POST", "/nobody/predict"),
        ("POST", "/v2/models/nobody/infer"),
        ("POST", f"/v2/models/{MODEL}/versions/99/infer"),
        ("POST", "/v2/models/nobody/versions/1/infer"),
        ("POST", "/%00/predict"),
        ("POST", "/../predict/"),
    ],
)
def test_what_is_not_there_is_answered_with_404(service: Any, method: str, path: str, jpeg: bytes) -> None:
    session = requests.Session()
    prepared = requests.Request(method, service.url, data=jpeg, headers={"Content-Type": "image/jpeg"})
    sent = session.prepare_request(prepared)
    sent.url = service.url + path  # as it stands
    message = check_refusal(session.send(sent, timeout=120), 404)
    if path == "/nowhere":
        assert "/predict/" in message, "the route that there is"
    if "nobody" in path:
        assert MODEL in message, "the models that there are"


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("path", POSTS)
def test_a_route_that_predicts_takes_only_post(service: Any, method: str, path: str) -> None:
    answer = requests.request(method, service.url + path, timeout=120)
    assert "POST" in check_refusal(answer, 405)
    assert answer.headers["allow"] == "POST"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("path", GETS)
def test_a_route_that_tells_takes_no_body(service: Any, method: str, path: str) -> None:
    answer = requests.request(method, service.url + path, data=b"x", timeout=120)
    check_refusal(answer, 405)
    assert "GET" in answer.headers["allow"]


@pytest.mark.parametrize("path", [*POSTS, *GETS, "/nowhere"])
def test_head_is_answered_as_get_without_a_body_and_the_connection_lives_on(service: Any, path: str) -> None:
    with requests.Session() as session:
        answer = session.head(service.url + path, timeout=120)
        assert answer.status_code == session.get(service.url + path, timeout=120).status_code
        assert (answer.status_code == 200) == (path in GETS)
        assert answer.content == b""
        assert session.get(f"{service.url}/ping", timeout=120).status_code == 200


SENDERS: dict[str, Callable[[Encoding, bytes], Request]] = {
    "without a type": lambda encoding, image: replace(encoding.request([image]), headers={}),
    "with a type that is not served": lambda encoding, image: replace(
        encoding.request([image]), headers={"Content-Type": "text/html"}
    ),
}


@pytest.mark.parametrize("sender", list(SENDERS))
def test_a_type_that_is_missing_or_not_served_is_refused_in_every_encoding(
    service: Any, encoding: Encoding, jpeg: bytes, sender: str
) -> None:
    request = SENDERS[sender](encoding, jpeg)
    answer = service.send(request)
    if request.path.startswith("/v2/") and not request.headers:  # this protocol's body is JSON unless told
        assert answer.status_code == (200 if request.body.endswith(b"}") else 400), answer.text
    else:
        check_refusal(answer, 415)
