"""Tensor data of the Open Inference Protocol: lists in JSON, nested or flat, or little-endian binary."""

from collections.abc import Sequence
from itertools import chain
from math import prod
from typing import Any

import numpy as np
import pybase64
from numpy.typing import NDArray

from serving_core.errors import RequestError
from serving_core.tensors import BYTES, NUMERIC, TensorSpec

BASE64 = "base64"
# the size of the length that precedes each binary BYTES element
LENGTH_BYTES = 4
# The content types, from MLServer's codecs, that mark BYTES in JSON as text.
TEXT_TYPES = frozenset({None, "str", "np", "pd"})


def read_json(
    spec: TensorSpec, shape: Sequence[int], data: Any, content_type: str | None, *, or_binary: bool = True
) -> Sequence[Any]:
    """Return one value for each item of a tensor [n, ...] sent as `data`; raises RequestError 400.

    `or_binary` says whether the sender may send binary data instead.
    """
    elements = _flat(spec.name, shape, data)
    if spec.datatype != BYTES:
        array = _numbers(spec, elements, or_binary).reshape(shape if spec.shape else shape[:1])
        return [array[index, ...] for index in range(shape[0])]
    if not all(type(element) is str for element in elements):
        raise RequestError(400, f"the data of input {spec.name!r} are not all strings: send BYTES as strings")
    if content_type == BASE64:
        return [_from_base64(spec.name, element) for element in elements]
    if content_type not in TEXT_TYPES:
        raise RequestError(
            400,
            f"input {spec.name!r} has a content_type that is not served: "
            f'send "{BASE64}" for base64, or "str" for text',
        )
    return [element.encode() for element in elements]


def _flat(name: str, shape: Sequence[int], data: Any) -> list[Any]:
    """Return a tensor's elements in row-major order."""
    count = prod(shape)
    if type(data) is not list:
        wrong = "has no data" if data is None else "has data that is not a list"
        raise RequestError(400, f"input {name!r} {wrong}: send a list of {count} elements, nested or flat")
    if not data or type(data[0]) is not list:
        if len(data) != count:
            raise RequestError(
                400, f"input {name!r} has {len(data)} elements: its shape {[*shape]} needs {count}"
            )
        return data
    level = [data]
    for size in shape:
        if not all(type(part) is list and len(part) == size for part in level):
            raise RequestError(
                400, f"the data of input {name!r} are not nested as its shape {[*shape]} is: send them flat"
            )
        level = [*chain.from_iterable(level)]
    return level


def _numbers(spec: TensorSpec, elements: list[Any], or_binary: bool) -> NDArray[Any]:
    kinds = set(map(type, elements))
    wanted, allowed = _kinds(spec.datatype)
    if not kinds <= allowed:
        hint = " (NaN and infinity need binary data)" if or_binary and float in allowed else ""
        raise RequestError(
            400, f"the data of input {spec.name!r} are not all {wanted}{hint}: it is {spec.datatype}"
        )
    try:
        with np.errstate(over="ignore"):
            array = np.array(elements, NUMERIC[spec.datatype])
    except OverflowError:
        raise _out_of_range(spec) from None
    if float in allowed and not np.isfinite(array).all():
        raise _out_of_range(spec)
    return array


def _kinds(datatype: str) -> tuple[str, set[type]]:
    if datatype == "BOOL":
        return "true or false", {bool}
    if datatype.startswith("FP"):
        return "numbers", {int, float}
    return "whole numbers", {int}


def _out_of_range(spec: TensorSpec) -> RequestError:
    finite = ", NaN and infinity excepted" if spec.datatype.startswith("FP") else ""
    return RequestError(
        400, f"input {spec.name!r} has a number out of range: send what {spec.datatype} holds{finite}"
    )


def _from_base64(name: str, text: str) -> bytes:
    try:
        return pybase64.b64decode(text, validate=True)
    except ValueError as error:
        raise RequestError(
            400, f"input {name!r} is not base64 ({error}): encode its bytes with padding"
        ) from None


def numbers_to_json(spec: TensorSpec, array: NDArray[Any]) -> NDArray[Any]:
    """Return a tensor's elements as a flat array for orjson; raises RequestError 400 for NaN and infinity."""
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise RequestError(
            400,
            f"output {spec.name!r} holds NaN or infinity, which JSON cannot carry: "
            "request it with its parameter binary_data true",
        )
    return array.reshape(-1)


def bytes_to_json(spec: TensorSpec, values: Sequence[bytes]) -> list[str]:
    """Return the strings for `values`: the text itself if the spec says text, else base64."""
    if spec.text:
        return [value.decode() for value in values]
    return [pybase64.b64encode_as_string(value) for value in values]


def read_binary(spec: TensorSpec, shape: Sequence[int], body: bytes, start: int, end: int) -> Sequence[Any]:
    """Return one value for each item of a tensor [n, ...] at body[start:end]; raises RequestError 400."""
    if spec.datatype == BYTES:
        return _elements(spec.name, shape[0], body, start, end)
    dtype = NUMERIC[spec.datatype]
    size_bytes = prod(shape) * dtype.itemsize
    if size_bytes != end - start:
        raise RequestError(
            400,
            f"input {spec.name!r} has {end - start} bytes: "
            f"{spec.datatype} of shape {[*shape]} needs {size_bytes}",
        )
    part = memoryview(body)[start:end]
    if spec.datatype == "BOOL" and size_bytes and np.frombuffer(part, np.uint8).max() > 1:
        raise RequestError(400, f"input {spec.name!r} has a BOOL that is neither 0 nor 1: send one of them")
    # A copy is aligned, and a handler may write to it.
    array = np.frombuffer(part, dtype).reshape(shape if spec.shape else shape[:1]).copy()
    return [array[index, ...] for index in range(shape[0])]


def _elements(name: str, count: int, body: bytes, start: int, end: int) -> list[bytes]:
    elements = []
    for _ in range(count):
        begin = start + LENGTH_BYTES
        start = begin + int.from_bytes(body[start:begin], "little")
        if start > end:
            raise RequestError(
                400,
                f"the bytes of input {name!r} end within its {count} elements: "
                "send for each its length as a little-endian u32, then its bytes",
            )
        elements.append(body[begin:start])
    if start != end:
        raise RequestError(
            400,
            f"input {name!r} has {end - start} bytes after its {count} elements: "
            "send as many as its shape says",
        )
    return elements


def raw_shape(spec: TensorSpec, size_bytes: int) -> Sequence[int]:
    """Return the shape [1, ...] of a body that is one numeric item; raises RequestError 400."""
    known = prod(size for size in spec.shape if size >= 0) * NUMERIC[spec.datatype].itemsize
    if -1 not in spec.shape:
        if size_bytes != known:
            raise RequestError(400, f"the body has {size_bytes} bytes: one item of {spec.name!r} has {known}")
        return [1, *spec.shape]
    if not known or size_bytes % known:
        raise RequestError(
            400, f"the body has {size_bytes} bytes: one item of {spec.name!r} has a multiple of {known}"
        )
    return [1, *(size_bytes // known if size == -1 else size for size in spec.shape)]


def numbers_to_binary(array: NDArray[Any]) -> bytes:
    """Return a tensor's bytes in row-major order."""
    return array.tobytes()


def bytes_to_binary(values: Sequence[bytes]) -> bytes:
    """Return the values one after another, each preceded by its length."""
    return b"".join(part for value in values for part in (len(value).to_bytes(LENGTH_BYTES, "little"), value))
