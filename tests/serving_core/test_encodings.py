"""The encodings of /predict/: what is taken apart, what is refused, and how outcomes are written."""

import json
from base64 import b64encode
from typing import Any

import msgpack
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving_core.calls import Call, Headers, Outputs, Signature
from serving_core.codecs.encodings import choose
from serving_core.errors import RequestError
from serving_core.tensors import BYTES, TensorSpec

PICTURE = b"\x00\x01 some bytes \xff"
FORM = "multipart/form-data; boundary=b"


def best(_: Outputs, top_k: int | None) -> dict[str, Any]:
    return {"prediction": "snow", "k": top_k}


def as_it_is(outputs: Outputs, top_k: int | None) -> Outputs:
    if top_k is not None:
        raise RequestError(400, "this model ranks nothing: send no top_k")
    return outputs


IMAGE = Signature("weather", "1", "test", (TensorSpec("image", BYTES),), (), best, 4)
TEXT = Signature("poet", None, "test", (TensorSpec("line", BYTES, text=True),), (), best, 4)
PAIR = Signature(
    "pair",
    None,
    "test",
    (TensorSpec("who", BYTES, text=True), TensorSpec("grid", "INT8", (2, -1))),
    (TensorSpec("said", BYTES, text=True), TensorSpec("raw", BYTES), TensorSpec("score", "FP32", (2,))),
    as_it_is,
    4,
)
FLAG = Signature("flag", None, "test", (TensorSpec("on", "BOOL"),), (), best, 4)


def parse(body: bytes, kind: str, signature: Signature = IMAGE, query: bytes = b"") -> Call:
    return choose({b"content-type": kind.encode()}, query, signature)(body)


def refused(body: bytes, kind: str, signature: Signature = IMAGE, query: bytes = b"") -> RequestError:
    with pytest.raises(RequestError) as caught:
        parse(body, kind, signature, query)
    assert ": " in caught.value.message, "what is wrong: what would be right"
    return caught.value


def dumped(value: Any) -> bytes:
    return json.dumps(value).encode()


def base64(content: bytes = PICTURE) -> str:
    return b64encode(content).decode()


def form(
    *files: bytes, head: bytes = b'form-data; name="f"; filename="f"', end: bytes = b"--b--\r\n"
) -> bytes:
    parts = (b"--b\r\nContent-Disposition: " + head + b"\r\n\r\n" + file + b"\r\n" for file in files)
    return b"".join(parts) + end


ONE = {
    "json": (dumped({"image": base64()}), "Application/JSON ; charset=utf-8"),
    "msgpack": (msgpack.packb({"image": PICTURE}), "application/msgpack"),
    "raw": (PICTURE, "image/webp"),
    "form": (form(PICTURE), FORM),
    "form without a file's name": (
        form(PICTURE, head=b'form-data; name="f"\r\nContent-Type: image/png'),
        'multipart/form-data; boundary="b"',
    ),
}
TWO = {
    "json": (dumped({"images": [base64(b"1"), base64(b"2")]}), "application/json"),
    "msgpack": (msgpack.packb({"images": [b"1", b"2"]}), "application/msgpack"),
    "form": (form(b"1", b"2"), FORM),
}


@pytest.mark.parametrize("name", ONE)
def test_one_image_is_answered_with_an_object(name: str) -> None:
    call = parse(*ONE[name], query=b"top_k=2")
    assert [*call.items] == [{"image": PICTURE}]
    answer = call.encode([{}])
    read = msgpack.unpackb if name == "msgpack" else json.loads
    assert read(answer.body) == {"prediction": "snow", "k": 2}
    assert (answer.content_type == b"application/msgpack") == (name == "msgpack")


@pytest.mark.parametrize("name", ONE)
def test_the_error_of_an_only_image_refuses_the_request(name: str) -> None:
    with pytest.raises(RequestError, match="not an image"):
        parse(*ONE[name]).encode([RequestError(422, "this is not an image: send one")])


@pytest.mark.parametrize("name", TWO)
def test_several_are_answered_in_order_with_errors_in_their_own_places(name: str) -> None:
    call = parse(*TWO[name])
    assert [*call.items] == [{"image": b"1"}, {"image": b"2"}]
    answer = call.encode([RequestError(422, "this is not an image: send one"), {}])
    read = msgpack.unpackb if name == "msgpack" else json.loads
    expected = [{"error": "this is not an image: send one"}, {"prediction": "snow", "k": None}]
    assert read(answer.body) == expected


def test_a_list_of_one_is_answered_with_a_list() -> None:
    answer = parse(dumped({"images": [base64()]}), "application/json").encode([{}])
    assert json.loads(answer.body) == [{"prediction": "snow", "k": None}]


def test_what_cannot_be_read_is_an_error_in_its_own_place() -> None:
    sent = ["no base64!", 7, None, base64()]
    *wrong, right = parse(dumped({"images": sent}), "application/json").items
    assert all(isinstance(item, RequestError) and item.status == 400 for item in wrong)
    assert right == {"image": PICTURE}
    *wrong, right = parse(msgpack.packb({"images": ["text", 7, b"", b"1"]}), "application/msgpack").items
    assert all(isinstance(item, RequestError) and item.status == 400 for item in wrong)
    assert right == {"image": b"1"}
    empty, right = parse(form(b"", b"1"), FORM).items
    assert isinstance(empty, RequestError)
    assert right == {"image": b"1"}


@pytest.mark.parametrize(
    ("body", "kind", "says"),
    [
        (b"{", "application/json", "not JSON"),
        (b'"\xff"', "application/json", "not JSON"),
        (b"[]", "application/json", 'wrong fields: send {"image": "<base64>"}'),
        (b'{"image": "YQ==", "more": 1}', "application/json", "wrong fields"),
        (b'{"images": []}', "application/json", "1 to 4"),
        (dumped({"images": [base64()] * 5}), "application/json", "5 items: send 1 to 4"),
        (b'{"images": {}}', "application/json", "not a list"),
        (b'{"image": "YQ"}', "application/json", "not base64"),
        (b'{"image": ""}', "application/json", "empty"),
        (b"\xc1", "application/msgpack", "not msgpack"),
        (b"\x81\xa5image", "application/msgpack", "too early"),
        (b"\x81\xa5image\xc4\x01a\xc0", "application/msgpack", "follows its end"),
        (b"\x81\xa5image\xdd\xff\xff\xff\xff", "application/msgpack", "not msgpack"),
        (msgpack.packb({"images": [b"1"] * 5}), "application/msgpack", "5 items: send 1 to 4"),
        (form(), FORM, "no file"),
        (form(b"1", end=b""), FORM, "truncated"),
        (form(b"1", b"2", b"3", b"4", b"5"), FORM, "at most 4"),
        (form(b"1", head=b'form-data; name="f"'), FORM, "'f' is not a file"),
        (b"nothing like it", FORM, "not a multipart form"),
        (form(b"1"), "multipart/form-data", "boundary"),
        (form(b"1"), "multipart/form-data; boundary=" + "b" * 71, "boundary"),
        (b"", "image/jpeg", "empty"),
    ],
)
def test_what_is_wrong_is_refused_with_what_would_be_right(body: bytes, kind: str, says: str) -> None:
    error = refused(body, kind)
    assert error.status == 400
    assert says in error.message


@pytest.mark.parametrize(
    "query", ["top_k=0", "top_k=-1", "top_k=1.5", "top_k=", "top_k=1&top_k=1", "topk=1", "top_k=\u0663", "k"]
)
def test_a_wrong_query_is_refused(query: str) -> None:
    assert "top_k" in refused(PICTURE, "image/png", query=query.encode()).message


@pytest.mark.parametrize("query", [b"top_k=3&", b"top_k=3&&", b"&top_k=3", b"top_k=%33"])
def test_a_field_left_empty_in_the_query_is_no_parameter(query: bytes) -> None:
    assert json.loads(parse(PICTURE, "image/png", query=query).encode([{}]).body)["k"] == 3
    assert json.loads(parse(PICTURE, "image/png", query=b"&").encode([{}]).body)["k"] is None


def test_a_top_k_of_any_length_is_taken() -> None:
    call = parse(PICTURE, "image/png", query=b"top_k=" + b"9" * 9000)
    assert json.loads(call.encode([{}]).body)["k"] >= 10**8


def test_a_type_that_is_not_served_is_refused_with_those_that_are() -> None:
    for kind in ("text/plain", "image/gif", ""):
        error = refused(PICTURE, kind)
        assert error.status == 415
        assert "application/json, application/msgpack" in error.message
        assert "image/webp" in error.message
    assert "image/png" not in refused(PICTURE, "image/png", PAIR).message.partition(": ")[2]
    with pytest.raises(RequestError, match="Content-Encoding"):
        choose({b"content-type": b"image/png", b"content-encoding": b"gzip"}, b"", IMAGE)


def test_text_is_sent_as_it_is() -> None:
    for body, kind in (
        (dumped({"line": "Grüße"}), "application/json"),
        (msgpack.packb({"line": "Grüße"}), "application/msgpack"),
        ("Grüße".encode(), "text/plain; charset=utf-8"),
        (form("Grüße".encode()), FORM),
    ):
        assert [*parse(body, kind, TEXT).items] == [{"line": "Grüße".encode()}]
    assert "UTF-8" in refused(b"\xff", "text/plain", TEXT).message
    assert refused(PICTURE, "image/png", TEXT).status == 415


def test_several_inputs_are_fields_and_several_items_a_list_of_objects() -> None:
    good = {"who": "me", "grid": [[1, 2], [-3, 4]]}
    for body, kind in ((dumped(good), "application/json"), (msgpack.packb(good), "application/msgpack")):
        (item,) = parse(body, kind, PAIR).items
        assert not isinstance(item, RequestError)
        assert item["who"] == b"me"
        assert item["grid"].dtype == np.int8
        assert item["grid"].tolist() == [[1, 2], [-3, 4]]
    places = parse(dumped({"items": [good, {"who": "me"}, 3]}), "application/json", PAIR).items
    assert [isinstance(place, RequestError) for place in places] == [False, True, True]


WRONG_GRIDS = [
    *([1, 2], [[1], [2], [3]], [[1], [2, 3]], [[[1]], [[2]]], [], "12", 1),
    *([[1.5], [2]], [[1], [200]], [[True], [1]], [["1"], [2]], [[None], [1]]),
]


@pytest.mark.parametrize("grid", WRONG_GRIDS)
def test_numbers_of_a_wrong_shape_type_or_size_are_refused(grid: Any) -> None:
    error = refused(dumped({"who": "me", "grid": grid}), "application/json", PAIR)
    assert error.status == 400
    assert "grid" in error.message


def test_a_missing_number_is_not_told_of_binary_data_which_predict_has_not() -> None:
    score = Signature("m", None, "test", (TensorSpec("x", "FP32", (2,)),), (), best, 4)
    for number in (b"1e999", b"-1e999", b"9" * 400, b"NaN", b"-Infinity"):
        assert "not JSON" in refused(b'{"x": [1, %s]}' % number, "application/json", score).message
    assert refused(b'{"x": [1, null]}', "application/json", score).message == (
        "the data of input 'x' are not all numbers: it is FP32"
    )
    for number in (float("nan"), float("inf")):
        packed = msgpack.packb({"x": [1.0, number]})
        assert "NaN and infinity excepted" in refused(packed, "application/msgpack", score).message


def test_of_a_field_that_is_there_twice_the_last_holds() -> None:
    body = dumped({"image": "?"})[:-1] + b", " + dumped({"image": base64()})[1:]
    assert [*parse(body, "application/json").items] == [{"image": PICTURE}]


def test_text_that_is_no_unicode_is_refused() -> None:
    assert "not JSON" in refused(rb'{"line": "\ud800"}', "application/json", TEXT).message
    packed = b"\x81\xa4line\xa3\xed\xa0\x80"
    assert "not msgpack" in refused(packed, "application/msgpack", TEXT).message


KINDS = ["application/json", "application/msgpack", "image/png", "text/plain", FORM, "multipart/form-data"]
SEEDS = [body for body, _ in (*ONE.values(), *TWO.values())]


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    body = bytearray(draw(st.sampled_from(SEEDS)))
    for place, byte in draw(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=6)):
        body[place % len(body)] = byte
    return bytes(body[: draw(st.integers(0, len(body)))]) if draw(st.booleans()) else bytes(body)


FIELDS = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text() | st.binary(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(st.sampled_from(["image", "images", "who", "grid", "items", "line", "on"]), inner)
    ),
    max_leaves=12,
)
BODIES = st.binary(max_size=300) | mutated() | FIELDS.map(msgpack.packb) | FIELDS.map(repr).map(str.encode)


@pytest.mark.slow
@settings(max_examples=400, deadline=None, derandomize=True)
@given(
    body=BODIES,
    kind=st.sampled_from(KINDS).map(str.encode) | st.binary(max_size=60),
    query=st.just(b"") | st.binary(max_size=20),
    signature=st.sampled_from([IMAGE, TEXT, PAIR, FLAG]),
)
def test_no_request_is_more_than_refused(
    body: bytes, kind: bytes, query: bytes, signature: Signature
) -> None:
    headers: Headers = {b"content-type": kind}
    statuses = []
    try:
        call = choose(headers, query, signature)(body)
        for item in call.items:
            if isinstance(item, RequestError):
                statuses.append(item.status)
            else:
                assert item.keys() == {spec.name for spec in signature.inputs}
        call.encode([RequestError(400, "bad") for _ in call.items])
    except RequestError as error:
        statuses.append(error.status)
    assert set(statuses) <= {400, 415}
