"""What a request of the Open Inference Protocol may say, and every way in which it may be wrong."""

from typing import Any

import numpy as np
import pytest

from serving_core.calls import Signature
from serving_core.errors import RequestError
from serving_core.tensors import BYTES, TensorSpec
from tests.serving_core.oip_models import (
    DATATYPES,
    IMAGE,
    MAX_ITEMS,
    PAIR,
    echo,
    items,
    json_body,
    numeric,
    read,
    tensor,
)

TEXT = echo(TensorSpec("x", BYTES, text=True))
FLOATS = numeric("FP32", (2,))


def column(signature: Signature, body: bytes) -> list[Any]:
    """Return the values of input "x" or "image", one an item."""
    return [next(iter(item.values())) for item in items(read(signature, body))]


@pytest.mark.parametrize(
    "data", [[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12], [[[1, 2, 3], [4, 5, 6]], [[7, 8, 9], [10, 11, 12]]]]
)
def test_data_may_be_nested_or_flat_and_are_row_major(data: list[Any]) -> None:
    first, second = column(numeric("INT32", (2, 3)), json_body(tensor("x", "INT32", [2, 2, 3], data)))
    np.testing.assert_array_equal(first, [[1, 2, 3], [4, 5, 6]])
    np.testing.assert_array_equal(second, [[7, 8, 9], [10, 11, 12]])
    assert first.dtype == np.int32


@pytest.mark.parametrize("datatype", DATATYPES)
def test_an_item_s_scalar_is_an_array_of_its_own_datatype(datatype: str) -> None:
    zero = [False] if datatype == "BOOL" else [0]
    (value,) = column(numeric(datatype), json_body(tensor("x", datatype, [1], zero)))
    assert isinstance(value, np.ndarray)
    assert (value.shape, value.item()) == ((), 0)


def test_a_size_that_varies_is_the_request_s() -> None:
    ragged = numeric("FP32", (-1, 2))
    assert column(ragged, json_body(tensor("x", "FP32", [1, 3, 2], [0] * 6)))[0].shape == (3, 2)
    assert column(ragged, json_body(tensor("x", "FP32", [1, 0, 2], [])))[0].shape == (0, 2)
    assert column(ragged, json_body(tensor("x", "FP32", [1, 0, 2], [[]])))[0].shape == (0, 2)


@pytest.mark.parametrize(
    ("shape", "data"),
    [([2], ["YQ==", "/w=="]), ([2, 1], ["YQ==", "/w=="]), ([2, 1], [["YQ=="], ["/w=="]])],
)
def test_bytes_are_base64_as_mlserver_s_codec_sends_them(shape: list[int], data: list[Any]) -> None:
    body = json_body(tensor("image", BYTES, shape, data, content_type="base64"))
    assert column(IMAGE, body) == [b"a", b"\xff"]


def test_the_request_s_content_type_holds_where_an_input_has_none() -> None:
    request = {"content_type": "base64"}
    inherited = json_body(tensor("image", BYTES, [1], ["YQ=="]), parameters=request)
    assert column(IMAGE, inherited) == [b"a"]
    own = json_body(tensor("image", BYTES, [1], ["YQ=="], content_type="str"), parameters=request)
    assert column(IMAGE, own) == [b"YQ=="]


@pytest.mark.parametrize("content_type", [None, "str", "np"])
def test_other_bytes_are_utf_8(content_type: str | None) -> None:
    body = json_body(tensor("x", BYTES, [2], ["\u00e9", ""], content_type=content_type))
    assert column(TEXT, body) == ["\u00e9".encode(), b""]


def test_what_the_protocol_leaves_to_the_server_is_tolerated() -> None:
    sent = tensor("x", "FP32", [1, 2], [1, 2.5], content_type="np", anything=1)
    body = json_body(
        sent, id=None, outputs=None, model_name="x", parameters={"timeout": 5, "priority": 1, "headers": {}}
    )
    np.testing.assert_array_equal(column(FLOATS, body)[0], [1, 2.5])


WHOLE = tensor("x", "FP32", [1, 2], [1, 2])
IMAGE_INPUT = tensor("image", BYTES, [1], ["a"])


def without(sent: dict[str, Any], field: str) -> dict[str, Any]:
    """Return an input that lacks a field."""
    return {name: value for name, value in sent.items() if name != field}


@pytest.mark.parametrize(
    ("body", "remedy"),
    [
        (b"", "this is not JSON"),
        (b"{", "this is not JSON"),
        (b'"\xff"', "this is not JSON"),
        (b'{"inputs": NaN}', "this is not JSON"),
        (b"[" * 2000, "this is not JSON"),
        (b"[]", "the JSON is not an object"),
        (b"{}", "inputs is not a list of objects"),
        (b'{"inputs": [1]}', "inputs is not a list of objects"),
        (json_body([]), "input 'x' is missing"),
        (json_body(without(WHOLE, "name")), "an input has no name: give it one of .'x'."),
        (json_body({**WHOLE, "name": ["x"]}), "an input has no name"),
        (json_body({**WHOLE, "name": "y" * 5000}), "there is no input 'y{80}': name one of .'x'."),
        (json_body([WHOLE, WHOLE]), "input 'x' is there twice"),
        (json_body(without(WHOLE, "datatype")), "send FP32"),
        (json_body({**WHOLE, "datatype": "FP64"}), "send FP32"),
        (json_body({**WHOLE, "datatype": ["FP32"]}), "send FP32"),
        (json_body({**WHOLE, "parameters": [1]}), "parameters of input 'x' are not an object"),
        (json_body(WHOLE, parameters="a"), "parameters of the request are not an object"),
        (json_body(WHOLE, id=7), "id is not a string"),
        (rb'{"id": "\ud800", "inputs": []}', "this is not JSON"),
        (b'{"id": "\xed\xa0\x80", "inputs": []}', "this is not JSON"),
        (b'{"inputs": [], "parameters": {"x": 1e999}}', "this is not JSON"),
        (b'{"inputs": [{"name": "y"}], "inputs": [7]}', "inputs is not a list of objects"),
        (json_body(without(WHOLE, "shape")), r"no list of whole numbers: send \[n, 2\] for n items"),
        (json_body({**WHOLE, "shape": [1.0, 2]}), "no list of whole numbers"),
        (json_body({**WHOLE, "shape": [True, 2]}), "no list of whole numbers"),
        (json_body({**WHOLE, "shape": [-1, -2]}), "no list of whole numbers"),
        (json_body({**WHOLE, "shape": []}), "of 0 dimensions"),
        (json_body({**WHOLE, "shape": [2]}), "of 1 dimensions"),
        (json_body({**WHOLE, "shape": [1, 2, 1]}), "of 3 dimensions"),
        (json_body({**WHOLE, "shape": [2, 1]}), "not the model's"),
        (json_body({**WHOLE, "shape": [0, 2], "data": []}), f"has 0 items: send 1 to {MAX_ITEMS}"),
        (json_body({**WHOLE, "shape": [9, 2], "data": [0] * 18}), f"has 9 items: send 1 to {MAX_ITEMS}"),
        (json_body(without(WHOLE, "data")), "has no data: send a list of 2 elements"),
        (json_body({**WHOLE, "data": "ab"}), "data that is not a list"),
        (json_body({**WHOLE, "data": {"0": 1}}), "data that is not a list"),
        (json_body({**WHOLE, "data": [1]}), "has 1 elements: its shape .1, 2. needs 2"),
        (json_body({**WHOLE, "data": [1, 2, 3]}), "has 3 elements"),
        (json_body({**WHOLE, "data": [[1], [2]]}), "not nested as its shape"),
        (json_body({**WHOLE, "data": [[1, 2], 3]}), "not nested as its shape"),
        (json_body({**WHOLE, "data": [[[1, 2]]]}), "not nested as its shape|not all numbers"),
        (json_body({**WHOLE, "data": [1, [2]]}), "not all numbers"),
        (json_body({**WHOLE, "data": [1, "2"]}), "not all numbers"),
        (json_body({**WHOLE, "data": [1, None]}), "NaN and infinity need binary data"),
        (json_body({**WHOLE, "data": [1, True]}), "not all numbers"),
        (json_body({**WHOLE, "data": [1, 1e39]}), "out of range: send what FP32 holds"),
        (json_body(WHOLE, outputs={"name": "y"}), "outputs is not a list of objects"),
        (json_body(WHOLE, outputs=["y"]), "outputs is not a list of objects"),
        (json_body(WHOLE, outputs=[{}]), "an output has no name"),
        (json_body(WHOLE, outputs=[{"name": "x"}]), "there is no output 'x': name one of .'y'."),
        (json_body(WHOLE, outputs=[{"name": "y"}, {"name": "y"}]), "output 'y' is there twice"),
        (
            json_body(WHOLE, outputs=[{"name": "y", "parameters": 1}]),
            "parameters of output 'y' are not an object",
        ),
        (json_body(WHOLE, outputs=[{"name": "y", "parameters": {"binary_data": 1}}]), "true nor false"),
        (json_body(WHOLE, outputs=[{"name": "y", "parameters": {"classification": 3}}]), "classification"),
        (json_body(WHOLE, outputs=[{"name": "y", "parameters": {"classification": [3]}}]), "classification"),
        (
            json_body(WHOLE, outputs=[{"name": "y", "parameters": {"shared_memory_region": "r"}}]),
            "output 'y' asks for shared memory",
        ),
        (json_body(WHOLE, parameters={"binary_data_output": "yes"}), "binary_data_output of the request"),
        (
            json_body(tensor("x", "FP32", [1, 2], shared_memory_region="r", shared_memory_byte_size=8)),
            "input 'x' asks for shared memory",
        ),
        (json_body(tensor("x", "FP32", [1, 2], binary_data_size=8)), "header .* is missing"),
        (
            json_body({**WHOLE, "parameters": {"content_type": 3}}),
            "content_type of input 'x' is not a string",
        ),
    ],
)
def test_a_wrong_request_is_refused_with_its_remedy(body: bytes, remedy: str) -> None:
    with pytest.raises(RequestError, match=remedy) as refused:
        read(FLOATS, body)
    assert refused.value.status == 400
    assert len(refused.value.message) < 250


@pytest.mark.parametrize(
    ("sent", "remedy"),
    [
        ({**IMAGE_INPUT, "data": [1]}, "send BYTES as strings"),
        ({**IMAGE_INPUT, "data": [["a"]]}, "send BYTES as strings"),
        ({**IMAGE_INPUT, "data": [None]}, "send BYTES as strings"),
        ({**IMAGE_INPUT, "shape": [1, 2]}, r"of 2 dimensions: send \[n\]"),
        ({**IMAGE_INPUT, "shape": [1, 1, 1]}, "of 3 dimensions"),
        (tensor("image", BYTES, [1], ["a"], content_type="base64"), "not base64"),
        (tensor("image", BYTES, [1], ["YQ\n=="], content_type="base64"), "not base64"),
        (tensor("image", BYTES, [1], ["\u00e9"], content_type="base64"), "not base64"),
        (tensor("image", BYTES, [1], ["a"], content_type="jpeg"), 'send "base64" for base64'),
    ],
)
def test_wrong_bytes_are_refused_with_their_remedy(sent: dict[str, Any], remedy: str) -> None:
    with pytest.raises(RequestError, match=remedy) as refused:
        read(IMAGE, json_body(sent))
    assert refused.value.status == 400


INTEGERS = [datatype for datatype in DATATYPES if "INT" in datatype]


@pytest.mark.parametrize("datatype", INTEGERS)
def test_integers_are_taken_to_their_ends_and_not_beyond(datatype: str) -> None:
    info = np.iinfo(datatype.lower())
    ends = [int(info.min), int(info.max)]
    values = column(numeric(datatype), json_body(tensor("x", datatype, [2], ends)))
    assert [value.item() for value in values] == ends
    for beyond in (str(info.min - 1), str(info.max + 1), "1.0", "true", '"1"', "null", "1e400", "9" * 400):
        text = b'{"inputs":[{"name":"x","datatype":"%s","shape":[1],"data":[%s]}]}'
        with pytest.raises(RequestError, match=r"out of range|not all whole numbers|not JSON") as refused:
            read(numeric(datatype), text % (datatype.encode(), beyond.encode()))
        assert refused.value.status == 400


@pytest.mark.parametrize(("datatype", "beyond"), [("FP16", 65520), ("FP32", 3.5e38), ("FP16", 2**64 - 1)])
def test_floats_that_would_become_infinite_are_refused(datatype: str, beyond: float) -> None:
    with pytest.raises(RequestError, match=f"what {datatype} holds"):
        read(numeric(datatype), json_body(tensor("x", datatype, [1], [beyond])))


@pytest.mark.parametrize("wrong", [0, 1, "true", None, 0.0])
def test_only_true_and_false_are_bool(wrong: object) -> None:
    with pytest.raises(RequestError, match="not all true or false"):
        read(numeric("BOOL"), json_body(tensor("x", "BOOL", [2], [True, wrong])))


@pytest.mark.parametrize("size", [2**63, 10**30])
def test_a_shape_beyond_all_measure_is_refused_even_where_it_is_empty(size: int) -> None:
    text = b'{"inputs":[{"name":"x","datatype":"FP32","shape":[1,0,%d],"data":[]}]}' % size
    with pytest.raises(RequestError, match=r"too large|no list of whole numbers") as refused:
        read(numeric("FP32", (-1, -1)), text)
    assert refused.value.status == 400


def test_inputs_of_different_batches_are_refused() -> None:
    inputs = [tensor("pixels", "FP32", [1, 2, 3], [0] * 6), tensor("caption", BYTES, [2], ["a", "b"])]
    with pytest.raises(RequestError, match="differ in their first dimension"):
        read(PAIR, json_body(inputs))
