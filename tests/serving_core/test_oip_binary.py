"""Binary data after the JSON of a request of the Open Inference Protocol."""

import numpy as np
import pytest

from serving_core.errors import RequestError
from serving_core.tensors import BYTES
from tests.serving_core.oip_models import (
    IMAGE,
    PAIR,
    items,
    json_body,
    lengthened,
    numeric,
    read,
    read_binary,
    tensor,
)

FLOATS = numeric("FP32", (2,))
IMAGE_INPUT = tensor("image", BYTES, [1], ["a"])


def test_binary_data_follow_the_json_in_the_order_of_the_request() -> None:
    pixels = np.arange(12, dtype="<f4")
    captions = lengthened(b"one", b"\xff")
    inputs = [
        tensor("caption", BYTES, [2], binary_data_size=len(captions)),
        tensor("pixels", "FP32", [2, 2, 3], binary_data_size=pixels.nbytes),
    ]
    first, second = items(read_binary(PAIR, json_body(inputs), captions + pixels.tobytes()))
    assert (first["caption"], second["caption"]) == (b"one", b"\xff")
    np.testing.assert_array_equal(second["pixels"], pixels[6:].reshape(2, 3))


def test_json_and_binary_inputs_may_stand_in_one_request() -> None:
    inputs = [
        tensor("pixels", "FP32", [1, 2, 3], binary_data_size=24),
        tensor("caption", BYTES, [1, 1], ["one"]),
    ]
    (item,) = items(read_binary(PAIR, json_body(inputs), np.ones(6, "<f4").tobytes()))
    assert item["caption"] == b"one"
    assert item["pixels"].flags.writeable
    assert item["pixels"].flags.aligned


@pytest.mark.parametrize(
    ("size", "data", "remedy"),
    [
        (9, lengthened(b"abcde")[:-1], "the body ends 1 bytes too early"),
        (9, lengthened(b"abcde") + b"!", "the body has 1 bytes after the last input"),
        (10, lengthened(b"abcde") + b"!", "has 1 bytes after its 1 elements"),
        (3, b"abc", "little-endian u32"),
        (0, b"", "little-endian u32"),
        (8, b"\xff\xff\xff\xffabcd", "little-endian u32"),
        (8, b"\x00\x00\x00\x05abcd", "little-endian u32"),
        (-1, b"", "the binary_data_size of input 'image' is wrong"),
        (True, b"a", "the binary_data_size of input 'image' is wrong"),
        ("9", b"a", "the binary_data_size of input 'image' is wrong"),
        (2**63, b"a", "bytes too early"),
    ],
)
def test_binary_data_of_the_wrong_length_are_refused(size: object, data: bytes, remedy: str) -> None:
    text = json_body(tensor("image", BYTES, [1], binary_data_size=size))
    with pytest.raises(RequestError, match=remedy) as refused:
        read_binary(IMAGE, text, data)
    assert refused.value.status == 400


@pytest.mark.parametrize("size", [0, 7, 12, 16])
def test_binary_numbers_of_the_wrong_length_are_refused(size: int) -> None:
    text = json_body(tensor("x", "FP32", [1, 2], binary_data_size=size))
    with pytest.raises(RequestError, match=rf"has {size} bytes: FP32 of shape \[1, 2\] needs 8"):
        read_binary(FLOATS, text, bytes(size))


def test_a_binary_bool_is_0_or_1() -> None:
    text = json_body(tensor("x", "BOOL", [3], binary_data_size=3))
    call = read_binary(numeric("BOOL"), text, b"\x00\x01\x01")
    assert [item["x"].item() for item in items(call)] == [False, True, True]
    with pytest.raises(RequestError, match="neither 0 nor 1"):
        read_binary(numeric("BOOL"), text, b"\x00\x02\x01")


def test_data_beside_binary_data_are_refused() -> None:
    text = json_body(tensor("image", BYTES, [1], ["a"], binary_data_size=5))
    with pytest.raises(RequestError, match="send one of them"):
        read_binary(IMAGE, text, lengthened(b"a"))


def test_a_header_longer_than_the_body_is_refused() -> None:
    with pytest.raises(RequestError, match="is 900 and the body has 2 bytes"):
        read(IMAGE, b"{}", 900)


def test_bytes_after_json_without_binary_inputs_are_refused() -> None:
    with pytest.raises(RequestError, match="has 3 bytes after the last input"):
        read_binary(IMAGE, json_body(IMAGE_INPUT), b"abc")
