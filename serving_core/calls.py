"""A parsed request: its items, and how their outcomes are written as its answer."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

from serving_core.errors import RequestError
from serving_core.tensors import TensorSpec

# One item's inputs and outputs, by the names of the model's tensors.
Item = Mapping[str, Any]
Outputs = Mapping[str, Any]
Outcome = Outputs | RequestError

Headers = dict[bytes, bytes]
JSON_TYPE = "application/json"

# Items with more pixels than this, on average, count as more items in the queue.
PLACE_PIXELS = 4_000_000


@dataclass(frozen=True, slots=True)
class Answer:
    """The content of a response with status 200."""

    body: bytes
    content_type: bytes = b"application/json"
    headers: tuple[tuple[bytes, bytes], ...] = ()


@dataclass(frozen=True, slots=True)
class Call:
    """One request's items; if an item of several could not be read, its error stands in its place.

    `pixels` is the number of pixels that several items have together, 0 until it is counted.
    `encode` writes the outcomes of the items, in their order. It raises RequestError if an outcome means
    that the whole request must be refused.
    """

    items: Sequence[Item | RequestError]
    encode: Callable[[Sequence[Outcome]], Answer]
    pixels: int = 0

    @property
    def places(self) -> int:
        """How many items of the queue the call counts as."""
        return max(len(self.items), ceil(self.pixels / PLACE_PIXELS))


# Parses a whole body, on a thread other than the event loop's; raises RequestError.
Parse = Callable[[bytes], Call]


@dataclass(frozen=True, slots=True)
class Signature:
    """What a codec must know about a model.

    `answer` writes one item's outputs as the object that /predict/ sends. Its second argument is `top_k`,
    None if the request does not set it; it raises RequestError 400 if the model cannot rank.
    """

    name: str
    version: str | None
    platform: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    answer: Callable[[Outputs, int | None], Mapping[str, Any]]
    max_items: int
