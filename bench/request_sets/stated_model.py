"""A model's inputs as a running service states them: the answer to GET /v2/models/{model}."""

import math
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct

from bench.errors import UsageError
from bench.model.from_outside import is_line
from bench.request_sets.request_set import BYTES, DTYPES

# of each element: what the inputs of one request may hold, many times what a service takes
MOST_ELEMENTS = 1 << 26
VARIES = -1


class StatedTensor(Struct, frozen=True):
    """An input or output: its shape with the batch's dimension first; -1 is a size that varies."""

    name: str
    datatype: str
    shape: tuple[int, ...]

    @property
    def varying(self) -> tuple[int, ...]:
        """The places in the shape that vary beside the batch's."""
        return tuple(place for place, size in enumerate(self.shape) if size == VARIES and place > 0)

    @property
    def dtype(self) -> "np.dtype[Any]":
        """The type of its elements in NumPy; it has none if it is BYTES."""
        return DTYPES[self.datatype]

    @property
    def is_integer(self) -> bool:
        """Whether its elements are whole numbers."""
        return self.datatype.startswith(("INT", "UINT"))

    def of(self, sizes: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of one item; its varying axes have these sizes, a single size goes for all of them."""
        shape = [1 if place == 0 and size == VARIES else size for place, size in enumerate(self.shape)]
        each = sizes * len(self.varying) if len(sizes) == 1 else sizes
        for place, size in zip(self.varying, each, strict=True):
            shape[place] = size
        if math.prod(shape) > MOST_ELEMENTS:
            raise UsageError(
                f"input {self.name} would have {math.prod(shape)} elements: name smaller ones with --sizes"
            )
        return tuple(shape)


class StatedModel(Struct, frozen=True):
    """A model's name, and its inputs and outputs in order."""

    name: str
    inputs: tuple[StatedTensor, ...]
    outputs: tuple[StatedTensor, ...] = ()


def stated_model(body: bytes) -> StatedModel:
    """The model of an answer's body; raises UsageError if no requests can be drawn from what it says."""
    try:
        model = msgspec.json.decode(body, type=StatedModel)
    except (msgspec.DecodeError, RecursionError) as error:
        raise UsageError(
            f"the service's statement of its model is none ({str(error)[:120]}): name a service of the Open "
            "Inference Protocol, or make the set with `python -m bench requests from-files`"
        ) from None
    if not model.inputs:
        raise UsageError(f"the model {_shown(model.name)} states no inputs: there is nothing to draw")
    for tensor in model.inputs:
        _check(tensor)
    names = [tensor.name for tensor in model.inputs]
    if len(set(names)) < len(names):
        raise UsageError(f"the model {_shown(model.name)} states an input twice: see what its service serves")
    return model


def _check(tensor: StatedTensor) -> None:
    if not is_line(tensor.name):
        raise UsageError(f"the model states an input named {_shown(tensor.name)}: use a line of print")
    if tensor.datatype not in DTYPES and tensor.datatype != BYTES:
        raise UsageError(
            f"input {tensor.name} is {_shown(tensor.datatype)}, of which nothing can be drawn: make the set "
            "with `python -m bench requests from-files`"
        )
    if tensor.datatype == BYTES and len(tensor.shape) != 1:
        raise UsageError(
            f"input {tensor.name} is BYTES of shape {[*tensor.shape]}, and not one element an item: write "
            "the set by hand, with bodies that are sent as they are"
        )
    if any(size < VARIES for size in tensor.shape):
        raise UsageError(f"input {tensor.name} has shape {[*tensor.shape]}: a size is -1 or from 0 on")


def _shown(value: Any) -> str:
    return repr(value)[:60]
