"""Tensor data of the Open Inference Protocol as bytes: little-endian, unpadded, BYTES after their lengths."""

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving_core.errors import RequestError
from serving_core.tensors import BYTES, NUMERIC, TensorSpec

LENGTH_BYTES = 4


def read(spec: TensorSpec, shape: Sequence[int], body: bytes, start: int, end: int) -> Sequence[Any]:
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
    # A copy, so that it is aligned and a handler may write to it.
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
    """Return the shape [1, ...] of the one numeric item that a body is; raises RequestError 400."""
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


def write_numbers(array: NDArray[Any]) -> bytes:
    """Return a tensor's bytes in row-major order."""
    return array.tobytes()


def write_bytes(values: Sequence[bytes]) -> bytes:
    """Return each of `values` after its length."""
    return b"".join(part for value in values for part in (len(value).to_bytes(LENGTH_BYTES, "little"), value))
