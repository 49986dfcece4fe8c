"""A request taken apart: the items it asks about, and how their outcomes are written as its answer."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from serving_core.errors import RequestError
from serving_core.tensors import TensorSpec

# One item's inputs and outputs, by the names of the model's tensors.
Item = Mapping[str, Any]
Outputs = Mapping[str, Any]
Outcome = Outputs | RequestError

Headers = dict[bytes, bytes]
JSON_TYPE = "application/json"


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back with status 200."""

    body: bytes
    content_type: bytes = b"application/json"
    headers: tuple[tuple[bytes, bytes], ...] = ()


@dataclass(frozen=True, slots=True)
class Call:
    """One request's items, an error standing where one of several could not be read.

    `encode` writes the outcomes, one an item and in order; it raises RequestError where the whole request
    is to be refused because of them.
    """

    items: Sequence[Item | RequestError]
    encode: Callable[[Sequence[Outcome]], Answer]


# Takes a whole body apart, away from the event loop; raises RequestError.
Parse = Callable[[bytes], Call]


@dataclass(frozen=True, slots=True)
class Signature:
    """What a codec must know of a model.

    `answer` writes one item's outputs as the object that /predict/ sends; its second argument is `top_k`,
    None where the request has none, and it raises RequestError 400 where the model cannot rank.
    """

    name: str
    version: str | None
    platform: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    answer: Callable[[Outputs, int | None], Mapping[str, Any]]
    max_items: int
