"""Items and requests for trying a model, derived from the example of its handler."""

import base64
import struct
from collections.abc import Sequence
from io import BytesIO
from typing import Any

import msgpack
import numpy as np
import orjson
from numpy.typing import NDArray
from PIL import Image

from serving_core.calls import JSON_TYPE, Headers, Item
from serving_core.errors import RequestError
from serving_core.images import decode
from serving_core.tensors import BYTES, NUMERIC, TensorSpec

VARIANTS = 4
# the difference between two variants of a number, relative to the number
STEP = 0.01


def variants(example: Item, inputs: Sequence[TensorSpec], max_pixels: int) -> list[Item]:
    """Return the example and items like it: numbers a little different, text longer, pictures turned.

    Bytes that are neither text nor a picture stay the same.
    """
    return [
        {spec.name: _varied(example[spec.name], spec, number, max_pixels) for spec in inputs}
        for number in range(VARIANTS)
    ]


def _varied(value: Any, spec: TensorSpec, number: int, max_pixels: int) -> Any:
    if number == 0:
        return value
    if spec.datatype != BYTES:
        return _other_numbers(np.asarray(value), number)
    if spec.text:
        return value + b" %d" % number
    try:
        image = decode(value, max_pixels)
    except RequestError:
        return value
    return _png(image.rotate(90 * number, expand=True))


def _other_numbers(value: NDArray[Any], number: int) -> NDArray[Any]:
    if value.dtype.kind == "b":
        return _another_flag(value, number)
    if value.dtype.kind == "f":
        return np.asarray(value * (1 + STEP * number) + (value == 0) * STEP * number, value.dtype)
    kind = np.iinfo(value.dtype)
    least, most = (int(value.min()), int(value.max())) if value.size else (0, 0)
    if least == most:
        near = number if least <= kind.max - number else -number
        return np.full_like(value, least + near)
    # a number beyond the example's range may be none that the model knows
    count = most - least + 1
    steps = [least + (int(one) - least + number) % count for one in value.ravel().tolist()]
    other = np.array(steps, value.dtype).reshape(value.shape)
    return np.roll(other.ravel(), 1).reshape(value.shape) if (other == value).all() else other


def _another_flag(value: NDArray[Any], number: int) -> NDArray[Any]:
    """Return flags of which one is inverted: a mask in which all are would leave a model nothing."""
    flags = value.copy().reshape(-1)
    if flags.size > 1 or (flags.size == 1 and number % 2 == 1):
        flags[number % flags.size] ^= True
    return flags.reshape(value.shape)


def _png(image: Image.Image) -> bytes:
    buffer = BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def json_request(item: Item, inputs: Sequence[TensorSpec]) -> tuple[Headers, bytes]:
    """Return the headers and the body that ask /predict/ about the item in JSON."""
    fields = {spec.name: _json_value(item[spec.name], spec) for spec in inputs}
    return {b"content-type": JSON_TYPE.encode()}, orjson.dumps(fields)


def msgpack_request(item: Item, inputs: Sequence[TensorSpec]) -> tuple[Headers, bytes]:
    """Return the headers and the body that ask /predict/ about the item in msgpack."""
    fields = {
        spec.name: item[spec.name]
        if spec.datatype == BYTES and not spec.text
        else _json_value(item[spec.name], spec)
        for spec in inputs
    }
    body: bytes = msgpack.packb(fields)
    return {b"content-type": b"application/msgpack"}, body


def inference_request(item: Item, inputs: Sequence[TensorSpec]) -> tuple[Headers, bytes]:
    """Return the headers and the body of an inference request in JSON."""
    return {b"content-type": JSON_TYPE.encode()}, orjson.dumps(
        {"inputs": [_tensor(item[spec.name], spec) for spec in inputs]}
    )


def binary_request(item: Item, inputs: Sequence[TensorSpec]) -> tuple[Headers, bytes]:
    """Return the headers and the body of an inference request whose tensors, and its answer's, are binary."""
    data = [_binary(item[spec.name], spec) for spec in inputs]
    header = orjson.dumps(
        {
            "parameters": {"binary_data_output": True},
            "inputs": [
                {**_head(item[spec.name], spec), "parameters": {"binary_data_size": len(part)}}
                for spec, part in zip(inputs, data, strict=True)
            ],
        }
    )
    return {b"inference-header-content-length": b"%d" % len(header)}, b"".join([header, *data])


def _json_value(value: Any, spec: TensorSpec) -> Any:
    if spec.datatype != BYTES:
        return value.tolist()
    return value.decode() if spec.text else base64.b64encode(value).decode()


def _head(value: Any, spec: TensorSpec) -> dict[str, Any]:
    shape = [1] if spec.datatype == BYTES else [1, *value.shape]
    return {"name": spec.name, "datatype": spec.datatype, "shape": shape}


def _tensor(value: Any, spec: TensorSpec) -> dict[str, Any]:
    written = _json_value(value, spec)
    encoded = spec.datatype == BYTES and not spec.text
    return {
        **_head(value, spec),
        "data": [written] if spec.datatype == BYTES else value.ravel().tolist(),
        **({"parameters": {"content_type": "base64"}} if encoded else {}),
    }


def _binary(value: Any, spec: TensorSpec) -> bytes:
    if spec.datatype == BYTES:
        element: bytes = struct.pack("<I", len(value)) + value
        return element
    data: bytes = np.ascontiguousarray(value, NUMERIC[spec.datatype]).tobytes()
    return data
