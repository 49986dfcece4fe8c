"""How a service's answer is read, in each form (READERS), and how it is checked.

A reader takes the body and the classes' names in the model's order, and returns the label and each class's
probability as they were sent, unchecked. It raises one of UNREADABLE if the body is not of its form.
"""

import json
import math
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgpack
import orjson

from bench.load.drive_plan import Expected

CACHED_ANSWERS = 4096
UNREADABLE = (ValueError, TypeError, KeyError, IndexError, RecursionError, msgpack.UnpackException)

Answer = tuple[Any, Mapping[Any, Any]]

LENGTH_BYTES = 4
WHITESPACE = " \t\r\n"
DECODER = json.JSONDecoder()


def _json(body: bytes, _classes: Sequence[str]) -> Answer:
    return _prediction(orjson.loads(body))


def _msgpack(body: bytes, _classes: Sequence[str]) -> Answer:
    return _prediction(msgpack.unpackb(body))


def _oip_json(body: bytes, classes: Sequence[str]) -> Answer:
    outputs = orjson.loads(body)["outputs"]
    return _of_tensors([(output, _row(output["data"])) for output in outputs], classes)


def _oip_binary(body: bytes, classes: Sequence[str]) -> Answer:
    outputs, data = split(body)
    tensors, start = [], 0
    for output in outputs:
        end = start + _size_bytes(output)
        part = data[start:end]
        tensors.append((output, _elements(part) if output["datatype"] == "BYTES" else _floats(part)))
        start = end
    return _of_tensors(tensors, classes)


READERS: dict[str, Callable[[bytes, Sequence[str]], Answer]] = {
    "json": _json,
    "msgpack": _msgpack,
    "oip-json": _oip_json,
    "oip-binary": _oip_binary,
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


def _prediction(answer: Any) -> Answer:
    """Read the answer of /predict/."""
    probabilities = answer["probabilities"]
    if not isinstance(probabilities, dict):
        raise ValueError("the probabilities are not a mapping")
    return answer["prediction"], probabilities


def _of_tensors(tensors: Sequence[tuple[Mapping[str, Any], Sequence[Any]]], classes: Sequence[str]) -> Answer:
    """Read label and probabilities from one image's tensors; logits may come with them."""
    row = ("FP32", [1, len(classes)], len(classes))
    declared = {"label": ("BYTES", [1], 1), "probabilities": row, "logits": row}
    by_name: dict[str, Sequence[Any]] = {}
    for output, values in tensors:
        name = output["name"]
        if name in by_name or declared[name] != (output["datatype"], output["shape"], len(values)):
            raise ValueError("an output comes twice, or has another datatype or shape than the contract says")
        by_name[name] = values
    if not all(math.isfinite(value) for value in by_name.get("logits", ())):
        raise ValueError("a logit is not a finite number")
    return by_name["label"][0], dict(zip(classes, by_name["probabilities"], strict=True))


def _row(data: Any) -> Sequence[Any]:
    """Return the data of a tensor with one item as a flat list: JSON may nest it."""
    if not isinstance(data, list):
        raise ValueError("the data are not a list")
    return data[0] if len(data) == 1 and isinstance(data[0], list) else data


def _size_bytes(output: Mapping[str, Any]) -> int:
    size = output["parameters"]["binary_data_size"]
    if type(size) is not int or size < 0:
        raise ValueError("binary_data_size is not a size")
    return size


def _floats(part: bytes) -> Sequence[float]:
    """Read the elements of an FP32 tensor, which are little-endian."""
    if len(part) % 4:
        raise ValueError("the bytes end within a number")
    return struct.unpack(f"<{len(part) // 4}f", part)


def _elements(part: bytes) -> Sequence[str]:
    """Read the elements of a BYTES tensor as text: a u32 length stands before each element."""
    elements, start = [], 0
    while start < len(part):
        begin = start + LENGTH_BYTES
        start = begin + int.from_bytes(part[start:begin], "little")
        if start > len(part):
            raise ValueError("the bytes end within an element")
        elements.append(part[begin:start].decode())
    return elements


@dataclass(frozen=True, slots=True)
class Distance:
    """How far an answer that could be read is from the reference: by its label and its probabilities.

    `most` is the largest absolute difference of a probability; NaN if one is not a finite number.
    """

    same_label: bool
    most: float

    def within(self, tolerance: float) -> bool:
        """Whether the answer is right."""
        return self.same_label and self.most <= tolerance


def distance(
    body: bytes, label: str, probabilities: Mapping[str, float], reply: str = "json"
) -> Distance | None:
    """Return how far the body's answer is from the reference; None if it has no label and probabilities.

    `reply` is the form of the body, a key of READERS. Tensors of the open inference protocol hold the
    probabilities in the order of the mapping.
    """
    read = READERS[reply]
    try:
        answered_label, answered = read(body, tuple(probabilities))
    except UNREADABLE:
        return None
    # Python takes true and false for numbers; an answer must hold numbers
    if answered.keys() != probabilities.keys() or any(
        type(value) not in (int, float) for value in answered.values()
    ):
        return None
    away = [abs(answered[name] - expected) for name, expected in probabilities.items()]
    # max() passes over NaN or not by its place
    most = max(away, default=0.0) if all(map(math.isfinite, away)) else math.nan
    return Distance(answered_label == label, most)


def answer_is_right(
    body: bytes, label: str, probabilities: Mapping[str, float], tolerance: float, reply: str = "json"
) -> bool:
    """Return whether the body holds the label and, within an absolute tolerance, the probabilities."""
    found = distance(body, label, probabilities, reply)
    return found is not None and found.within(tolerance)


class AnswerChecker:
    """Checks answers by payload; remembers the bytes of right answers and does not parse them again."""

    def __init__(self, payloads: Sequence[Expected], tolerance: float) -> None:
        self._payloads = payloads
        self._tolerance = tolerance
        self._right: tuple[set[bytes], ...] = tuple(set() for _ in payloads)

    def check(self, payload: int, body: bytes) -> bool:
        """Return whether the body is a right answer to the payload of this index."""
        known = self._right[payload]
        if body in known:
            return True
        expected = self._payloads[payload]
        right = answer_is_right(body, expected.label, expected.probabilities, self._tolerance, expected.reply)
        if right and len(known) < CACHED_ANSWERS:
            known.add(body)
        return right
