"""How a service's answer is read, in each form (FORMS), into one value.

A reader takes the body and returns what it holds, unchecked. It raises one of UNREADABLE if the body is not
of its form.
"""

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgpack
import numpy as np
import orjson

from bench.request_sets.request_set import AS_IS, BYTES, DTYPES

UNREADABLE = (
    *(ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, RecursionError),
    msgpack.UnpackException,
)
LENGTH_BYTES = 4
WHITESPACE = " \t\r\n"
DECODER = json.JSONDecoder()

Values = Sequence[Any] | np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class OutputTensor:
    """An output of the Open Inference Protocol as it was sent: its elements flat, BYTES as bytes."""

    name: str
    datatype: str
    shape: Sequence[int]
    values: Values


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer that could be read: `value` is the JSON or msgpack, `outputs` the tensors of the protocol.

    Tensors in binary have no value, and an answer of another kind has no outputs.
    """

    value: Any = None
    outputs: tuple[OutputTensor, ...] | None = None


def _json(body: bytes) -> Reply:
    return Reply(orjson.loads(body))


def _msgpack(body: bytes) -> Reply:
    return Reply(msgpack.unpackb(body))


def _oip_json(body: bytes) -> Reply:
    return _of_protocol(orjson.loads(body))


def _oip_binary(body: bytes) -> Reply:
    outputs, data = split(body)
    tensors, start = [], 0
    for output in outputs:
        end = start + _size_bytes(output)
        part = data[start:end]
        values = _elements(part) if output["datatype"] == BYTES else _numbers(part, output["datatype"])
        tensors.append(_tensor(output, values))
        start = end
    return Reply(None, tuple(tensors))


def _any(body: bytes) -> Reply:
    """Read what answers a body that was sent as it is: nothing but the answer itself tells its form."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        try:
            return _oip_binary(body)
        except UNREADABLE:
            return _msgpack(body)
    outputs = value.get("outputs") if isinstance(value, dict) else None
    if isinstance(outputs, list) and all(isinstance(one, dict) and "datatype" in one for one in outputs):
        return _of_protocol(value)
    return Reply(value)


FORMS: dict[str, Callable[[bytes], Reply]] = {
    "json": _json,
    "msgpack": _msgpack,
    "oip-json": _oip_json,
    "oip-binary": _oip_binary,
    AS_IS: _any,
}


def split(body: bytes) -> tuple[Sequence[Mapping[str, Any]], bytes]:
    """Split an answer of the binary tensor extension into its outputs' JSON and the tensors' bytes.

    The header with the JSON's length is not needed: the JSON's syntax shows where the JSON ends, and the
    tensors' sizes show where the tensors begin. Raises one of UNREADABLE, also if the two places differ.
    """
    # latin-1 has one character for each byte, so an index into the text is an index into the body
    text = body.decode("latin-1")
    _, end = DECODER.raw_decode(text, len(text) - len(text.lstrip(WHITESPACE)))
    outputs = orjson.loads(body[:end])["outputs"]
    begin = len(body) - sum(_size_bytes(output) for output in outputs)
    if begin < end or text[end:begin].strip(WHITESPACE):
        raise ValueError("the tensors are not as long as the JSON says")
    return outputs, body[begin:]


def _of_protocol(value: Any) -> Reply:
    return Reply(value, tuple(_tensor(output, _data(output)) for output in value["outputs"]))


def _tensor(output: Mapping[str, Any], values: Values) -> OutputTensor:
    return OutputTensor(output["name"], output["datatype"], output["shape"], values)


def _data(output: Mapping[str, Any]) -> Sequence[Any]:
    """Return a tensor's elements as a flat list: JSON may nest them by the shape."""
    data, shape = output["data"], output["shape"]
    if not isinstance(data, list):
        raise ValueError("the data are not a list")
    if data and isinstance(data[0], list):
        data = flat(data, shape)
    if output["datatype"] != BYTES:
        return data
    in_base64 = output.get("parameters", {}).get("content_type") == "base64"
    return [base64.b64decode(one, validate=True) if in_base64 else one.encode() for one in data]


def flat(value: Any, shape: Sequence[int]) -> list[Any]:
    """The elements of nested lists of this shape, row-major; raises ValueError for another shape."""
    level = [value]
    for size in shape:
        if any(type(one) is not list or len(one) != size for one in level):
            raise ValueError("the lists are not nested as the shape says")
        level = [inner for one in level for inner in one]
    return level


def _size_bytes(output: Mapping[str, Any]) -> int:
    size = output["parameters"]["binary_data_size"]
    if type(size) is not int or size < 0:
        raise ValueError("binary_data_size is not a size")
    return size


def _numbers(part: bytes, datatype: str) -> Values:
    """Read the elements of a tensor of numbers, which are little-endian."""
    return np.frombuffer(part, DTYPES[datatype])


def _elements(part: bytes) -> Sequence[bytes]:
    """Read the elements of a BYTES tensor: a u32 length stands before each element."""
    elements, start = [], 0
    while start < len(part):
        begin = start + LENGTH_BYTES
        start = begin + int.from_bytes(part[start:begin], "little")
        if start > len(part):
            raise ValueError("the bytes end within an element")
        elements.append(part[begin:start])
    return elements
