"""Which form a request of the Open Inference Protocol has, what it is answered, what describes a model."""

from typing import Any

import numpy as np
import pytest

from serving_core.calls import Headers, Signature
from serving_core.codecs.oip import HEADER, choose, model_metadata, server_metadata
from serving_core.errors import RequestError
from serving_core.tensors import BYTES, TensorSpec
from tests.serving_core.oip_models import (
    IMAGE,
    PAIR,
    echo,
    header_length,
    items,
    json_body,
    lengthened,
    numeric,
    parsed,
    read,
    read_binary,
    scores,
    tensor,
)

JPEG = b"\xff\xd8 an image \x00\xff"
BASE64 = "/9ggYW4gaW1hZ2UgAP8="
ONE = json_body(tensor("image", BYTES, [1], [BASE64], content_type="base64"))


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {b"content-type": b"application/json"},
        {b"content-type": b"Application/JSON; charset=utf-8"},
        {b"content-encoding": b"identity"},
        {HEADER: b"%d" % len(ONE)},
        {HEADER: b"%d" % len(ONE), b"content-type": b"application/json"},
        {HEADER: b"%d" % len(ONE), b"content-type": b"application/octet-stream"},
    ],
)
def test_json_is_read_under_every_header_that_may_announce_it(headers: Headers) -> None:
    assert choose(headers, IMAGE)(ONE).items == [{"image": JPEG}]


@pytest.mark.parametrize("headers", [{}, {b"content-type": b"application/octet-stream"}])
def test_a_raw_body_is_the_input_of_one_item_whatever_its_bytes(headers: Headers) -> None:
    body = lengthened(b"not read as lengths")
    call = choose({**headers, HEADER: b"0"}, IMAGE)(body)
    assert call.items == [{"image": body}]


@pytest.mark.parametrize(
    ("headers", "status", "remedy"),
    [
        ({b"content-type": b"image/jpeg"}, 415, "send application/json"),
        ({b"content-type": b"text/plain", HEADER: b"9"}, 415, "application/octet-stream or application/json"),
        ({b"content-type": b"application/json", HEADER: b"0"}, 415, "send application/octet-stream"),
        ({b"content-type": b"application/octet-stream"}, 400, "Inference-Header-Content-Length is missing"),
        ({b"content-encoding": b"gzip"}, 415, "send no Content-Encoding"),
        ({HEADER: b"-1"}, 400, "send the length of the JSON"),
        ({HEADER: b""}, 400, "send the length of the JSON"),
        ({HEADER: b"1e2"}, 400, "send the length of the JSON"),
        ({HEADER: b"9" * 5000}, 400, "send the length of the JSON"),
    ],
)
def test_wrong_headers_are_refused_before_the_body(headers: Headers, status: int, remedy: str) -> None:
    with pytest.raises(RequestError, match=remedy) as refused:
        choose(headers, IMAGE)
    assert refused.value.status == status


@pytest.mark.parametrize(
    ("signature", "why"),
    [(PAIR, "has 2 inputs"), (numeric("FP32", (-1, -1)), "more than one size that varies")],
)
def test_a_model_whose_input_a_size_does_not_tell_has_no_raw_request(signature: Signature, why: str) -> None:
    with pytest.raises(RequestError, match=why) as refused:
        choose({HEADER: b"0"}, signature)
    assert refused.value.status == 400


@pytest.mark.parametrize(
    ("shape", "count", "found"), [((), 1, ()), ((2, 3), 6, (2, 3)), ((2, -1), 8, (2, 4)), ((-1,), 0, (0,))]
)
def test_a_raw_body_of_numbers_is_one_item(
    shape: tuple[int, ...], count: int, found: tuple[int, ...]
) -> None:
    values = np.arange(count, dtype="<f4")
    (item,) = items(read(numeric("FP32", shape), values.tobytes(), 0))
    assert item["x"].shape == found
    assert item["x"].tobytes() == values.tobytes()


@pytest.mark.parametrize(
    ("shape", "size_bytes", "needs"),
    [((2, 3), 48, "has 24"), ((2, 3), 23, "has 24"), ((2, -1), 12, "a multiple of 8"), ((0, -1), 4, "of 0")],
)
def test_a_raw_body_of_another_size_is_refused(shape: tuple[int, ...], size_bytes: int, needs: str) -> None:
    with pytest.raises(RequestError, match=needs) as refused:
        read(numeric("FP32", shape), bytes(size_bytes), 0)
    assert refused.value.status == 400


def test_an_empty_raw_body_is_refused() -> None:
    with pytest.raises(RequestError, match="the body is empty"):
        read(IMAGE, b"", 0)


def test_an_answer_in_json_is_the_protocol_s() -> None:
    answer = read(IMAGE, ONE).encode([scores()])
    assert answer.content_type == b"application/json"
    assert answer.headers == ()
    assert parsed(answer) == {
        "model_name": "weather",
        "outputs": [
            {"name": "logits", "datatype": "FP32", "shape": [1, 3], "data": [1.5, -2.0, 0.1]},
            {"name": "probabilities", "datatype": "FP32", "shape": [1, 3], "data": [0.7, 0.2, 0.1]},
            {"name": "label", "datatype": "BYTES", "shape": [1], "data": ["rime"]},
        ],
    }


def test_id_and_version_are_answered_where_there_are_any() -> None:
    inputs = [
        tensor("pixels", "FP32", [1, 2, 3], [1, 2, 3, 4, 5, 6]),
        tensor("caption", BYTES, [1], ["\u00e9t\u00e9"]),
    ]
    answer = parsed(
        read(PAIR, json_body(inputs, id="")).encode([{"thumbnail": JPEG, "score": np.float64(0.5)}])
    )
    assert answer["model_version"] == "7"
    assert answer["id"] == ""


def test_bytes_that_are_no_text_are_answered_as_base64_and_say_so() -> None:
    call = read(echo(TensorSpec("x", BYTES)), json_body(tensor("x", BYTES, [1], ["a"])))
    (output,) = parsed(call.encode([{"y": JPEG}]))["outputs"]
    assert output["data"] == [BASE64]
    assert output["parameters"] == {"content_type": "base64"}


def test_outputs_come_as_asked_for_in_the_order_of_the_request() -> None:
    outputs = [{"name": "label"}, {"name": "logits", "parameters": {"binary_data": True}}]
    images = tensor("image", BYTES, [2], [BASE64, BASE64], content_type="base64")
    answer = read(IMAGE, json_body(images, outputs=outputs)).encode([scores("rime"), scores("dew")])
    length = header_length(answer)
    assert answer.content_type == b"application/octet-stream"
    assert parsed(answer)["outputs"] == [
        {"name": "label", "datatype": "BYTES", "shape": [2], "data": ["rime", "dew"]},
        {"name": "logits", "datatype": "FP32", "shape": [2, 3], "parameters": {"binary_data_size": 24}},
    ]
    assert answer.body[length:] == np.array([1.5, -2.0, 0.1] * 2, "<f4").tobytes()


@pytest.mark.parametrize(
    ("parameters", "outputs", "binary"),
    [
        ({}, None, set()),
        ({}, [], set()),
        ({"binary_data_output": False}, None, set()),
        ({"binary_data_output": True}, None, {"logits", "probabilities", "label"}),
        (
            {"binary_data_output": True},
            [{"name": "label", "parameters": {"binary_data": False}}, {"name": "logits"}],
            {"logits"},
        ),
    ],
)
def test_binary_data_output_holds_where_an_output_does_not_say_otherwise(
    parameters: dict[str, bool], outputs: list[Any] | None, binary: set[str]
) -> None:
    image = tensor("image", BYTES, [1], [BASE64], content_type="base64")
    call = read(IMAGE, json_body(image, parameters=parameters, outputs=outputs))
    answered = parsed(call.encode([scores()]))["outputs"]
    assert {output["name"] for output in answered if "data" not in output} == binary
    assert len(answered) == len(outputs or IMAGE.outputs)


def test_a_raw_request_is_answered_in_binary_throughout() -> None:
    answer = read(IMAGE, JPEG, 0).encode([scores()])
    sizes = [output["parameters"]["binary_data_size"] for output in parsed(answer)["outputs"]]
    assert sizes == [12, 12, 8]
    assert answer.body.endswith(lengthened(b"rime"))
    assert len(answer.body) == (header_length(answer) or 0) + 32


def test_an_item_s_error_refuses_the_request_and_is_named_by_its_index() -> None:
    text = json_body(tensor("image", BYTES, [3], binary_data_size=3 * 4))
    call = read_binary(IMAGE, text, lengthened(b"", b"", b""))
    with pytest.raises(RequestError) as refused:
        call.encode([scores(), RequestError(429, "the queue is full: wait", 2.0), scores()])
    assert (refused.value.status, refused.value.retry_after_s) == (429, 2)
    assert refused.value.message == "item 1: the queue is full: wait"


def test_the_only_item_s_error_is_passed_on_as_it_is() -> None:
    with pytest.raises(RequestError) as refused:
        read(IMAGE, ONE).encode([RequestError(422, "this is not an image: send one")])
    assert (refused.value.status, refused.value.message) == (422, "this is not an image: send one")


def test_a_refused_item_that_was_taken_as_text_is_told_of_base64() -> None:
    call = read(IMAGE, json_body(tensor("image", BYTES, [1], [BASE64])))
    assert call.items == [{"image": BASE64.encode()}]
    with pytest.raises(RequestError, match=r'not an image: .* content_type to be "base64"') as refused:
        call.encode([RequestError(422, "this is not an image: send one")])
    assert refused.value.status == 422


@pytest.mark.parametrize(
    ("image", "error"),
    [
        (
            tensor("image", BYTES, [1], [BASE64], content_type="base64"),
            RequestError(422, "no image: send one"),
        ),
        (tensor("image", BYTES, [1], [BASE64], content_type="str"), RequestError(422, "no image: send one")),
        (tensor("image", BYTES, [1], [BASE64]), RequestError(413, "too large: send less")),
    ],
)
def test_a_refusal_that_has_nothing_to_do_with_base64_does_not_name_it(
    image: dict[str, Any], error: RequestError
) -> None:
    with pytest.raises(RequestError) as refused:
        read(IMAGE, json_body(image)).encode([error])
    assert refused.value.message == error.message


def test_a_refused_text_input_is_not_told_of_base64() -> None:
    call = read(echo(TensorSpec("x", BYTES, text=True)), json_body(tensor("x", BYTES, [1], ["a"])))
    with pytest.raises(RequestError) as refused:
        call.encode([RequestError(422, "too short: send more")])
    assert refused.value.message == "too short: send more"


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_json_cannot_carry_is_refused_there_and_sent_in_binary(value: float) -> None:
    with pytest.raises(RequestError, match="binary_data true") as refused:
        read(IMAGE, ONE).encode([scores("rime", 0.0, value, 1.0)])
    assert refused.value.status == 400
    answer = read(IMAGE, JPEG, 0).encode([scores("rime", 0.0, value, 1.0)])
    logits = np.frombuffer(answer.body[header_length(answer) :][:12], "<f4")
    np.testing.assert_array_equal(logits, np.array([0.0, value, 1.0], np.float32))


def test_a_number_beyond_its_output_s_datatype_is_infinite_in_binary_and_refused_in_json() -> None:
    large = {**scores(), "probabilities": np.array([1e300, 0.0, 0.0])}
    with pytest.raises(RequestError, match="'probabilities' holds NaN or infinity"):
        read(IMAGE, ONE).encode([large])
    answer = read(IMAGE, JPEG, 0).encode([large])
    assert np.frombuffer(answer.body[header_length(answer) :][12:24], "<f4")[0] == np.inf


def test_items_whose_outputs_differ_in_size_are_answered_one_by_one_only() -> None:
    signature = numeric("INT64", (-1,))
    call = read(signature, json_body(tensor("x", "INT64", [2, 1], [1, 2])))
    one, two = np.array([1]), np.array([1, 2])
    assert parsed(call.encode([{"y": two}, {"y": two}]))["outputs"][0]["shape"] == [2, 2]
    with pytest.raises(RequestError, match="one item in each request"):
        call.encode([{"y": one}, {"y": two}])


def test_an_output_that_is_not_its_spec_s_is_our_fault() -> None:
    with pytest.raises(ValueError, match=r"'logits' has shape \(2,\), its spec \(3,\)"):
        read(IMAGE, ONE).encode([scores("rime", 0.0, 1.0)])


def test_metadata_describe_the_server_and_the_model() -> None:
    assert server_metadata("torch serving", "0.1.0") == {
        "name": "torch serving",
        "version": "0.1.0",
        "extensions": ["binary_tensor_data"],
    }
    assert model_metadata(PAIR) == {
        "name": "weather",
        "versions": ["7"],
        "platform": "torch",
        "inputs": [
            {"name": "pixels", "datatype": "FP32", "shape": [-1, 2, 3]},
            {"name": "caption", "datatype": "BYTES", "shape": [-1]},
        ],
        "outputs": [
            {"name": "thumbnail", "datatype": "BYTES", "shape": [-1]},
            {"name": "score", "datatype": "FP64", "shape": [-1]},
        ],
    }
    assert model_metadata(IMAGE)["versions"] == []
