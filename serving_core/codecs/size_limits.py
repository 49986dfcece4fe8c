"""Limits on how much a body grows when it is parsed, checked before parsing; they follow from the model.

An empty list is three bytes of JSON and 64 bytes of memory. A string of base64 or text is one object,
whatever its length.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from math import prod
from operator import mul

from serving_core.calls import Signature
from serving_core.errors import RequestError
from serving_core.tensors import TensorSpec

# Shorter JSON grows to some 20 MiB at most, and its parsing takes less time than that of an image.
LONG_BYTES = 512 * 1024
# More parts than any request has beside the values of its items.
SPARE = 65_536
# A list that is too long for the model gets an error of its own up to this length; if it is even longer, the
# whole body is refused.
SPARE_LENGTH = 256
SPARE_FIELDS = 16

# A string, up to its end or the end of the text; possessive, so that any text takes only one pass.
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)


@dataclass(frozen=True, slots=True)
class SizeLimits:
    """The most containers (lists and objects), strings and elements, and the longest list and object.

    If a size of the model varies, `elements` and `longest_list` are None: only the length of the body is
    limited.
    """

    containers: int
    strings: int
    elements: int | None
    longest_list: int | None
    longest_map: int


def limits_of(signature: Signature) -> SizeLimits:
    """Return the limits of the bodies of a model's requests."""
    return _limits(signature.inputs, signature.max_items)


@lru_cache
def _limits(inputs: tuple[TensorSpec, ...], max_items: int) -> SizeLimits:
    sizes = [max(size, 1) for spec in inputs for size in spec.shape]
    varies = any(-1 in spec.shape for spec in inputs)
    containers = SPARE + max_items * (1 + sum(map(_nested_lists, inputs)))
    numbers = max_items * sum(max(prod(spec.shape), 1) for spec in inputs)
    return SizeLimits(
        containers,
        strings=SPARE + max_items * 2 * len(inputs),
        elements=None if varies else containers + numbers,
        longest_list=None if varies else max(SPARE_LENGTH, max_items, *sizes),
        longest_map=SPARE_FIELDS + len(inputs),
    )


def _nested_lists(spec: TensorSpec) -> int:
    """Return how many lists hold one item's value; a size that varies counts as 1."""
    sizes = (max(size, 1) for size in spec.shape[:-1])
    return sum(accumulate(sizes, mul, initial=1)) if spec.shape else 0


def check_json(signature: Signature, body: bytes, end: int) -> None:
    """Raise RequestError 400 if the JSON in body[:end] has more parts than any request to this model."""
    if end <= LONG_BYTES:
        return
    limits = limits_of(signature)
    structure = _outside_strings(body, end, limits.strings)
    if structure is None:
        wrong = f"{limits.strings} strings"
    elif structure.count(b"[") + structure.count(b"{") > limits.containers:
        wrong = f"{limits.containers} lists and objects"
    elif limits.elements is not None and structure.count(b",") > limits.elements:
        wrong = f"{limits.elements} elements"
    else:
        return
    raise RequestError(
        400, f"the JSON has more than {wrong}: send 1 to {signature.max_items} items and nothing else"
    )


def _outside_strings(body: bytes, end: int, most: int) -> bytes | None:
    """Return the bytes of body[:end] outside its strings; None if it has more than `most` strings."""
    if body.find(b"\\", 0, end) >= 0:
        structure, count = _STRING.subn(b"", body[:end], most + 1)
        return structure if count <= most else None
    pieces = []
    begin = 0
    for _ in range(most + 1):
        opening = body.find(b'"', begin, end)
        if opening < 0:
            pieces.append(body[begin:end])
            break
        pieces.append(body[begin:opening])
        begin = body.find(b'"', opening + 1, end) + 1
        if not begin:  # not JSON: its last string has no end
            break
    else:
        return None
    return b"".join(pieces)
