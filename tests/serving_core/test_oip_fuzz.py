"""Requests of the Open Inference Protocol that are broken at random."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving_core.calls import Call, Item, Outputs, Signature
from serving_core.errors import RequestError
from serving_core.tensors import BYTES, NUMERIC, TensorSpec
from tests.serving_core.oip_models import (
    DATATYPES,
    MAX_ITEMS,
    PAIR,
    echo,
    items,
    json_body,
    lengthened,
    parsed,
    read,
    tensor,
)


def plausible(signature: Signature, call: Call) -> list[Outputs]:
    """Return outputs that the model could give to a call's items."""
    made: list[Outputs] = []
    for _ in call.items:
        outputs = {
            spec.name: "a" if spec.datatype == BYTES else np.ones(spec.shape, NUMERIC[spec.datatype])
            for spec in signature.outputs
        }
        made.append(outputs)
    return made


def check_item(signature: Signature, item: Item) -> None:
    """Fail unless an item's values are what the model is promised."""
    assert item.keys() == {spec.name for spec in signature.inputs}
    for spec in signature.inputs:
        value = item[spec.name]
        if spec.datatype == BYTES:
            assert type(value) is bytes
        else:
            assert (value.dtype, value.shape) == (NUMERIC[spec.datatype], spec.shape)


def answered_or_refused(signature: Signature, body: bytes, header_bytes: int | None) -> None:
    """Fail unless a body is a call that can be answered or a request that is refused with 400."""
    try:
        call = read(signature, body, header_bytes)
    except RequestError as error:
        refusal = error
    else:
        check_call(signature, call)
        return
    assert refusal.status == 400
    assert ": " in refusal.message


def check_call(signature: Signature, call: Call) -> None:
    """Fail unless a call has items that the model can take, and can be answered."""
    assert 1 <= len(call.items) <= MAX_ITEMS
    for item in items(call):
        check_item(signature, item)
    assert parsed(call.encode(plausible(signature, call)))["model_name"] == signature.name


IN_JSON = json_body(
    [
        tensor("pixels", "FP32", [2, 2, 3], [[[1, 2, 3], [4, 5, 6]]] * 2, content_type="np"),
        tensor("caption", BYTES, [2, 1], ["YQ==", "Yg=="], content_type="base64"),
    ],
    id="7",
    outputs=[{"name": "score", "parameters": {"binary_data": True}}, {"name": "thumbnail"}],
)
BINARY_HEADER = json_body(
    [
        tensor("caption", BYTES, [2], binary_data_size=10),
        tensor("pixels", "FP32", [2, 2, 3], binary_data_size=48),
    ],
    parameters={"binary_data_output": True},
)
IN_BINARY = BINARY_HEADER + lengthened(b"a", b"b") + np.arange(12, dtype="<f4").tobytes()
WORDS = [b"[", b"]", b"null", b"-1", b"1e30", b'"', b",", b"true", b"9" * 25, b"\x00", b"\xff", b"{}"]


@st.composite
def broken(draw: st.DrawFn) -> tuple[bytes, int | None]:
    """Return a request with a few pieces of it cut out, put in or replaced, and its header's length."""
    whole, header_bytes = draw(st.sampled_from([(IN_JSON, None), (IN_BINARY, len(BINARY_HEADER))]))
    body = bytearray(whole)
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(body)) | st.integers(min(header_bytes or 0, len(body)), len(body)))
        end = start + draw(st.integers(0, 6))
        body[start:end] = draw(st.sampled_from(WORDS) | st.binary(max_size=4))
    if header_bytes is not None:
        header_bytes += draw(st.sampled_from([0, 0, 0, len(body) - len(whole), -1, 1, 30]))
    return bytes(body), header_bytes


@pytest.mark.slow
@settings(max_examples=500, deadline=None)
@given(broken())
def test_a_broken_request_is_answered_or_refused(drawn: tuple[bytes, int | None]) -> None:
    answered_or_refused(PAIR, *drawn)


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.integers(-1, 4)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["x", "FP32", "BYTES", "base64", "y", "image", "YQ=="]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=8,
)
PARAMETERS = ["content_type", "binary_data_size", "binary_data", "binary_data_output", "classification"]


def places(tree: Any) -> Iterator[tuple[Any, Any]]:
    """Give every place within a JSON value, as its container and the key or index there."""
    keys = tree.keys() if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else ()
    for key in keys:
        yield tree, key
        yield from places(tree[key])


@st.composite
def edited(draw: st.DrawFn) -> tuple[Signature, bytes, int | None]:
    """Return a model of one input, a request with a few fields replaced, and its header's length."""
    datatype = draw(st.sampled_from([*DATATYPES, BYTES]))
    is_bytes, in_json = datatype == BYTES, draw(st.booleans())
    elements = {BYTES: ["YQ=="] * 2, "BOOL": [True, False, False, True]}.get(datatype, [0, 1, 2, 255])
    data = lengthened(b"a", b"bcd") if is_bytes else bytes(4 * NUMERIC[datatype].itemsize)
    shape = [2] if is_bytes else [2, 2]
    sent = tensor("x", datatype, shape, elements) if in_json else tensor("x", datatype, shape)
    sent["parameters"] = {"content_type": "base64"} if in_json else {"binary_data_size": len(data)}
    request = {"inputs": [sent], "outputs": [{"name": "y", "parameters": {}}], "parameters": {}, "id": "7"}
    for _ in range(draw(st.integers(0, 2))):
        found = [*places(request)]
        container, key = found[draw(st.integers(0, len(found) - 1))]
        if draw(st.booleans()):
            container[key] = draw(VALUES)
        elif draw(st.booleans()) and isinstance(container[key], dict):
            container[key][draw(st.sampled_from(PARAMETERS))] = draw(VALUES)
        else:
            del container[key]
    text = orjson.dumps(request)
    signature = echo(TensorSpec("x", datatype, () if is_bytes else (2,)))
    return (signature, text, None) if in_json else (signature, text + data, len(text))


@pytest.mark.slow
@settings(max_examples=500, deadline=None)
@given(edited())
def test_a_request_of_any_fields_is_answered_or_refused(drawn: tuple[Signature, bytes, int | None]) -> None:
    answered_or_refused(*drawn)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from([*DATATYPES, BYTES]), st.binary(max_size=40))
def test_a_raw_body_of_any_bytes_is_answered_or_refused(datatype: str, body: bytes) -> None:
    answered_or_refused(echo(TensorSpec("x", datatype, () if datatype == BYTES else (2,))), body, 0)
