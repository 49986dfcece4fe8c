"""How much a body may grow when it is parsed: judged before that, by what its model can take.

An empty list is three bytes of JSON and 64 of memory. Base64 and text, however long, are one object each.
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

# What shorter JSON grows into is some 20 MiB at most, and takes less time than an image.
LONG_BYTES = 512 * 1024
# More than any request has beside its items' values.
SPARE = 65_536
# A longer list than the model takes is refused as such up to here, beyond it with the whole body.
SPARE_LENGTH = 256
SPARE_FIELDS = 16

# A string, to its end or to the text's; possessive, so that no text takes more than one pass.
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)


@dataclass(frozen=True, slots=True)
class SizeLimits:
    """The most containers (lists and objects), strings and elements of a body, and the most of one container.

    A size that varies has no limit but the body's own: `elements` and `longest_list` are None there.
    """

    containers: int
    strings: int
    elements: int | None
    longest_list: int | None
    longest_map: int


def limits_of(signature: Signature) -> SizeLimits:
    """Return what the bodies of a model's requests may hold."""
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
    """Return how many lists hold one item's value, a size that varies taken as one."""
    sizes = (max(size, 1) for size in spec.shape[:-1])
    return sum(accumulate(sizes, mul, initial=1)) if spec.shape else 0


def check_json(signature: Signature, body: bytes, end: int) -> None:
    """Raise RequestError 400 where body[:end] is JSON of more parts than any request to this model has."""
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
    """Return what stands between the strings of body[:end], None where they are more than `most`."""
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
