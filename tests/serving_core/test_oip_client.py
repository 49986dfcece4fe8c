"""Round trips with Triton's own client classes."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy
from numpy.typing import NDArray
from tritonclient.http import InferenceServerClient, InferInput, InferRequestedOutput, InferResult

from serving_core.calls import Answer, Call, Outputs, Signature
from serving_core.errors import RequestError
from serving_core.tensors import BYTES, NUMERIC, TensorSpec
from tests.serving_core.oip_models import (
    DATATYPES,
    IMAGE,
    MAX_ITEMS,
    echo,
    header_length,
    items,
    numeric,
    read,
    scores,
)

quick = settings(max_examples=150, deadline=None)
PLAIN = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


def sent_by_client(arrays: dict[str, tuple[str, NDArray[Any]]], *, binary: bool, **options: Any) -> Call:
    """Take apart what Triton's client sends for these tensors, with the headers that it sends."""
    inputs = []
    for name, (datatype, array) in arrays.items():
        inputs.append(InferInput(name, [*array.shape], datatype))
        inputs[-1].set_data_from_numpy(array, binary_data=binary)
    signature: Signature = options.pop("signature")
    body, header_bytes = InferenceServerClient.generate_request_body(inputs, **options)
    return read(signature, body, header_bytes)


def read_by_client(answer: Answer) -> InferResult:
    """Return what Triton's client makes of an answer."""
    return InferResult.from_response_body(answer.body, header_length=header_length(answer))


def echoed(call: Call) -> list[Outputs]:
    """Return the outputs of a model that gives "y" for "x"."""
    return [{"y": item["x"]} for item in items(call)]


@st.composite
def numbers(draw: st.DrawFn, *, finite: bool) -> tuple[str, NDArray[Any]]:
    """Return a datatype and a tensor of it, of one to three items."""
    datatype = draw(st.sampled_from(DATATYPES))
    dtype = NUMERIC[datatype]
    shape = (draw(st.integers(1, 3)), *draw(st_numpy.array_shapes(min_dims=0, max_dims=3, max_side=3)))
    bounded = st_numpy.from_dtype(dtype, allow_nan=not finite, allow_infinity=not finite)
    return datatype, draw(st_numpy.arrays(dtype, shape, elements=bounded))


@quick
@given(numbers(finite=True), st.booleans(), st.booleans())
def test_numbers_come_back_from_triton_s_client_in_json_and_in_binary(
    drawn: tuple[str, NDArray[Any]], binary_in: bool, binary_out: bool
) -> None:
    datatype, array = drawn
    outputs = [InferRequestedOutput("y", binary_data=binary_out)]
    signature = numeric(datatype, array.shape[1:])
    call = sent_by_client({"x": drawn}, binary=binary_in, outputs=outputs, signature=signature)
    answer = call.encode(echoed(call))
    assert (header_length(answer) is not None) == binary_out
    np.testing.assert_array_equal(read_by_client(answer).as_numpy("y"), array)


@quick
@given(numbers(finite=False))
def test_every_bit_of_a_number_survives_in_binary(drawn: tuple[str, NDArray[Any]]) -> None:
    datatype, array = drawn
    call = sent_by_client({"x": drawn}, binary=True, signature=numeric(datatype, array.shape[1:]))
    answered = read_by_client(call.encode(echoed(call))).as_numpy("y")
    assert answered.dtype == array.dtype
    assert answered.tobytes() == array.tobytes()


@quick
@given(st.lists(st.binary(max_size=30), min_size=1, max_size=MAX_ITEMS))
def test_bytes_come_back_from_triton_s_client_in_binary(elements: list[bytes]) -> None:
    array = np.array([*elements, None], object)[:-1]
    call = sent_by_client({"x": (BYTES, array)}, binary=True, signature=echo(TensorSpec("x", BYTES)))
    assert [item["x"] for item in items(call)] == elements
    assert [*read_by_client(call.encode(echoed(call))).as_numpy("y")] == elements


@quick
@given(st.lists(PLAIN, min_size=1, max_size=MAX_ITEMS))
def test_text_comes_back_from_triton_s_client_in_json(elements: list[str]) -> None:
    array = np.array([*elements, None], object)[:-1]
    signature = echo(TensorSpec("x", BYTES, text=True))
    outputs = [InferRequestedOutput("y", binary_data=False)]
    call = sent_by_client({"x": (BYTES, array)}, binary=False, outputs=outputs, signature=signature)
    assert [item["x"].decode() for item in items(call)] == elements
    assert [*read_by_client(call.encode(echoed(call))).as_numpy("y")] == elements


def test_triton_s_client_reads_every_output_of_an_image_and_its_id() -> None:
    image = np.array([b"\xff\xd8\x00", b""], object)
    call = sent_by_client({"image": (BYTES, image)}, binary=True, signature=IMAGE, request_id="42")
    result = read_by_client(call.encode([scores("rime"), scores("dew", 1.0, 2.0, 3.0)]))
    assert result.get_response()["id"] == "42"
    assert [*result.as_numpy("label")] == [b"rime", b"dew"]
    np.testing.assert_array_equal(result.as_numpy("logits")[1], [1.0, 2.0, 3.0])
    np.testing.assert_array_equal(result.as_numpy("probabilities")[0], np.array([0.7, 0.2, 0.1], np.float32))


@pytest.mark.parametrize("option", [{"class_count": 3}, {"region": "r"}])
def test_triton_s_client_is_refused_what_is_not_served(option: dict[str, Any]) -> None:
    asked = InferRequestedOutput("label", class_count=option.get("class_count", 0))
    if "region" in option:
        asked.set_shared_memory(option["region"], 100)
    image = {"image": (BYTES, np.array([b"a"], object))}
    with pytest.raises(RequestError, match="which is not served") as refused:
        sent_by_client(image, binary=True, outputs=[asked], signature=IMAGE)
    assert refused.value.status == 400
