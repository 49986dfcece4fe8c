"""What a body may grow into: hostile ones are refused before they do, honest ones are taken however large."""

import json
import struct
import tracemalloc
from base64 import b64encode
from typing import Any

import msgpack
import numpy as np
import pytest

from serving_core.calls import Call, Signature
from serving_core.codecs import encodings, oip
from serving_core.codecs.size_limits import LONG_BYTES
from serving_core.errors import RequestError
from serving_core.tensors import BYTES, TensorSpec

pytestmark = pytest.mark.slow

MIB = 1024 * 1024


def model(*inputs: TensorSpec) -> Signature:
    return Signature("m", None, "test", inputs, (), lambda outputs, _: outputs, 4)


IMAGE = model(TensorSpec("image", BYTES))
TEXT = model(TensorSpec("line", BYTES, text=True))
GRID = model(TensorSpec("grid", "INT32", (100, 300, 3)))
POINTS = model(TensorSpec("x", "FP32", (-1,)))
MODELS = {"image": IMAGE, "text": TEXT, "grid": GRID, "points": POINTS}


def predict(signature: Signature, body: bytes, kind: bytes = b"application/json") -> Call:
    return encodings.choose({b"content-type": kind}, b"", signature)(body)


def packed(signature: Signature, body: bytes) -> Call:
    return predict(signature, body, b"application/msgpack")


def infer(signature: Signature, body: bytes) -> Call:
    return oip.choose({}, signature)(body)


def infer_with_header(signature: Signature, body: bytes) -> Call:
    return oip.choose({oip.HEADER: b"%d" % len(body)}, signature)(body + b"binary")


def filled(head: bytes, unit: bytes, tail: bytes) -> bytes:
    """Return some two MiB of the same again and again, each %a in it another of two letters."""
    if b"%a" not in unit:
        return head + unit * (2 * MIB // len(unit)) + tail
    count = 2 * MIB // (len(unit) + 2)
    return head + b"".join(unit.replace(b"%a", b"%04x" % (at % 65_536)) for at in range(count)) + tail


def listed(unit: bytes) -> bytes:
    """Return a msgpack list of so many that two MiB are full."""
    count = 2 * MIB // len(unit)
    return b"\xdd" + struct.pack(">I", count) + unit * count


def keyed(signature: Signature, value: bytes) -> bytes:
    name = signature.inputs[0].name.encode()
    return b"\x81" + bytes([0xA0 + len(name)]) + name + value


def peak_bytes(take: Any, signature: Signature, body: bytes) -> tuple[int, RequestError]:
    """Return the most memory that a body's refusal takes at a time, and the refusal."""
    tracemalloc.start()
    try:
        with pytest.raises(RequestError) as caught:
            take(signature, body)
        return tracemalloc.get_traced_memory()[1], caught.value
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", ["image", "points"])
@pytest.mark.parametrize("take", [predict, infer, infer_with_header])
@pytest.mark.parametrize(
    "unit",
    [b"[],", b"{},", b'{"a":[]},', b'"ab",', rb'"\"\\",', b'{"%a":1},'],
    ids=lambda unit: unit.decode(),
)
def test_json_of_many_parts_is_refused_before_it_is_parsed(name: str, take: Any, unit: bytes) -> None:
    peak, refusal = peak_bytes(take, MODELS[name], filled(b'{"inputs":[', unit, b"1]}"))
    assert refusal.status == 400
    assert refusal.message.startswith("the JSON has more than ")
    assert "send 1 to 4 items" in refusal.message
    assert peak < 24 * MIB


@pytest.mark.parametrize("name", ["image", "text", "grid"])
@pytest.mark.parametrize("take", [predict, infer])
def test_more_numbers_than_the_shapes_allow_are_refused_before_they_are_parsed(name: str, take: Any) -> None:
    _, refusal = peak_bytes(take, MODELS[name], filled(b'{"inputs":[', b"1,", b"1]}"))
    assert "elements: send 1 to 4 items" in refusal.message


@pytest.mark.parametrize("take", [predict, infer])
def test_the_longest_body_that_is_not_judged_grows_into_little(take: Any) -> None:
    units = (b"[],", b'{"%a":1},')
    for unit in units:
        body = filled(b"[", unit, b"")[: LONG_BYTES - 8].rpartition(b",")[0] + b"]"
        assert len(body) <= LONG_BYTES
        assert peak_bytes(take, IMAGE, body)[0] < 32 * MIB


def test_what_stands_within_strings_is_not_counted() -> None:
    escaped, plain = '[{,"\\' * 300_000, "[,{" * 300_000
    expected = [{"line": escaped.encode()}, {"line": plain.encode()}]
    tensor = {"name": "line", "datatype": BYTES, "shape": [2], "data": [escaped, plain]}
    assert [*predict(TEXT, json.dumps({"lines": [escaped, plain]}).encode()).items] == expected
    assert [*infer(TEXT, json.dumps({"inputs": [tensor]}).encode()).items] == expected
    assert [*predict(TEXT, json.dumps({"line": plain}).encode()).items] == [{"line": plain.encode()}]


def test_honest_bodies_are_taken_however_large() -> None:
    image = bytes(2_000_000)
    encoded = b64encode(image).decode()
    for text in (json.dumps({"images": [encoded] * 4}), json.dumps({"images": [encoded] * 4}, indent=8)):
        assert [*predict(IMAGE, text.encode()).items] == [{"image": image}] * 4
    assert [*packed(IMAGE, msgpack.packb({"images": [image] * 4})).items] == [{"image": image}] * 4
    grid = np.arange(90_000, dtype=np.int32).reshape(100, 300, 3)
    several = {"grids": [grid.tolist()] * 4}  # of 120 404 lists
    tensor = {"name": "grid", "datatype": "INT32", "shape": [4, 100, 300, 3], "data": several["grids"]}
    calls = [
        predict(GRID, json.dumps(several).encode()),
        packed(GRID, msgpack.packb(several)),
        infer(GRID, json.dumps({"inputs": [tensor]}).encode()),
    ]
    for call in calls:
        for item in call.items:
            assert not isinstance(item, RequestError)
            np.testing.assert_array_equal(item["grid"], grid)
    numbers = [float(number) for number in range(200_000)]
    for call in (
        predict(POINTS, json.dumps({"x": numbers}).encode()),
        packed(POINTS, msgpack.packb({"x": numbers})),
    ):
        (item,) = call.items
        assert not isinstance(item, RequestError)
        assert item["x"].tolist() == numbers


def test_a_string_that_does_not_end_is_no_json() -> None:
    for quotes in (b'"', rb'"\"', b'"" "'):
        body = filled(b'{"image": ' + quotes, b"a", b"")
        with pytest.raises(RequestError, match="not JSON"):
            predict(IMAGE, body)


HOSTILE = {
    "lists": b"\x90",
    "maps": b"\x80",
    "extensions": b"\xd4\x01x",
    "timestamps": b"\xd6\xff\x00\x00\x00\x01",
    "short strings": b"\xa2xy",
    "lists of strings": b"\x9f" + b"\xa2xy" * 15,
}


@pytest.mark.parametrize("unit", HOSTILE)
@pytest.mark.parametrize("name", ["image", "text", "grid"])
@pytest.mark.parametrize("depth", [0, 1])
def test_msgpack_of_many_parts_is_refused_before_it_grows(unit: str, name: str, depth: int) -> None:
    signature = MODELS[name]
    body = listed(HOSTILE[unit])
    peak, refusal = peak_bytes(packed, signature, keyed(signature, body) if depth else body)
    assert refusal.status == 400
    assert "not msgpack" in refusal.message or "send 1 to 4" in refusal.message
    assert peak < 10 * MIB


@pytest.mark.parametrize("unit", ["lists", "maps", "extensions", "timestamps"])
def test_msgpack_of_a_size_that_varies_is_bounded_in_all_but_its_numbers(unit: str) -> None:
    peak, _ = peak_bytes(packed, POINTS, keyed(POINTS, listed(HOSTILE[unit])))
    assert peak < 40 * MIB


def test_msgpack_in_short_lists_within_lists_is_refused_before_it_grows() -> None:
    inner = b"\xdc\x00\xc8" + b"\xa2xy" * 200
    middle = b"\xdc\x00\xc8" + inner * 200
    body = keyed(IMAGE, b"\xdc\x00\xc8" + middle * 200)
    peak, refusal = peak_bytes(packed, IMAGE, body)
    assert "it has more than" in refusal.message
    assert peak < 24 * MIB + len(body)


def test_a_msgpack_map_of_many_keys_is_refused_before_it_grows() -> None:
    count = 200_000
    body = (
        b"\xdf"
        + struct.pack(">I", count)
        + b"".join(b"\xc4\x04%b\xc0" % struct.pack(">I", at) for at in range(count))
    )
    peak, refusal = peak_bytes(packed, IMAGE, body)
    assert "not msgpack" in refusal.message
    assert peak < 4 * len(body)


def test_msgpack_that_declares_more_than_it_has_gets_no_room() -> None:
    peak, refusal = peak_bytes(packed, POINTS, (b"\xdd" + struct.pack(">I", 1_000_000)) * 200_000)
    assert "not msgpack" in refusal.message
    assert peak < 10 * MIB


def test_a_list_of_far_too_many_is_told_how_many_are_right() -> None:
    for count in (5, 5000):
        with pytest.raises(RequestError, match=f"has (a list of )?{count} items: send 1 to 4"):
            packed(IMAGE, msgpack.packb({"images": [b"1"] * count}))


def test_what_msgpack_has_and_no_model_takes_is_named() -> None:
    for value in (msgpack.ExtType(5, b"x"), msgpack.ExtType(5, b""), msgpack.Timestamp(1)):
        with pytest.raises(RequestError, match="is not msgpack"):
            packed(IMAGE, msgpack.packb({"image": value}))
