"""Which axis of a model is its batch: what its shapes say, confirmed by running it."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelkit.examples import split_items, together
from modelkit.forms import Answered, ComputationError, Form, Tolerance, largest_differences
from modelkit.graph import ParityError
from modelkit.signature import Batch, Port, Tensors

# how many items are computed together on trial
_TRIED = (3, 9)
# what floats of the items are multiplied by, in turn: if items know of each other, it shows where they differ
_FACTORS = (1, -1, 4, -4, 0.25, -0.25)


def batch_names(inputs: Sequence[Port]) -> set[str] | None:
    """Return the names of the inputs' first sizes if all of them vary, else None."""
    firsts = [port.dims[0] for port in inputs if port.dims]
    if len(firsts) < len(inputs):
        return None
    names = {size for size in firsts if isinstance(size, str)}
    return names if len(firsts) == sum(isinstance(size, str) for size in firsts) else None


def find_batch(
    form: Form,
    inputs: Sequence[Port],
    outputs: Sequence[Port],
    draw: Callable[[int], list[NDArray[Any]]],
    tolerance: Tolerance,
) -> tuple[Batch, str]:
    """Return what the model's first axis is, and the reason for people if that is no batch of any size.

    `draw` gives a batch of so many items, or of fewer if the model takes fewer. "any": several items together
    give what they give alone.
    """
    firsts = [port.dims[0] if port.dims else None for port in inputs]
    if batch_names(inputs) is not None:
        return _tried(form, outputs, draw, tolerance)
    if firsts and all(size == 1 for size in firsts):
        answers = form.run(draw(1))
        if all(answer.ndim and answer.shape[0] == 1 for answer in answers):
            return "one", "its first axis is fixed at 1"
        return "none", "an output has no first axis of 1, as the inputs have"
    stated = ", ".join(f"{port.name} {list(port.dims or ())}" for port in inputs)
    return "none", f"the inputs' first axes do not vary together: {stated}"


def _tried(
    form: Form, outputs: Sequence[Port], draw: Callable[[int], list[NDArray[Any]]], tolerance: Tolerance
) -> tuple[Batch, str]:
    few, many = (draw(count) for count in _TRIED)
    if len({len(value) for value in many}) == 1 < len(many[0]) and all(
        _are_alike(_spread(value)) for value in many
    ):
        return "one", "all items of the example are alike, which does not show whether they are kept apart"
    if reason := _together_as_alone(form, outputs, few, tolerance):
        return "none", reason
    try:
        form.run(many)
    except ComputationError as error:
        return "one", f"{len(few[0])} items together are computed, but {len(many[0])} fail ({error})"
    try:
        reason = _together_as_alone(form, outputs, [_spread(value) for value in many], tolerance)
    except ComputationError:  # an item alone: numbers of this size are out of its range
        reason = _together_as_alone(form, outputs, many, tolerance)
    return ("none", reason) if reason else ("any", "")


def _spread(value: NDArray[Any]) -> NDArray[Any]:
    """Return a batch whose items differ: floats multiplied by numbers of several sizes and both signs.

    Items of other datatypes that are all alike are rolled, each by its place: a model knows their values.
    """
    if value.dtype.kind == "f":
        factors = np.resize(_FACTORS, len(value)).reshape(-1, *[1] * (value.ndim - 1))
        return np.asarray(value * factors, value.dtype)
    if not _are_alike(value):
        return value
    return np.stack([np.roll(item.ravel(), place).reshape(item.shape) for place, item in enumerate(value)])


def _are_alike(value: NDArray[Any]) -> bool:
    return bool((value == value[:1]).all())


def _together_as_alone(form: Form, outputs: Sequence[Port], batch: Tensors, tolerance: Tolerance) -> str:
    """Return why the items of a batch cannot be computed together, or nothing if they can.

    Raises ModelkitError if an answer's shape is not what the model's file states, ComputationError if an item
    alone fails.
    """
    counts = [len(value) for value in batch]
    if len(set(counts)) > 1:
        return f"the inputs' first axes have sizes of their own, {', '.join(map(str, counts))} in the example"
    if counts[0] < 2:
        return f"no more than {counts[0]} can be tried together"
    alone = [form.run(item) for item in split_items(batch)]
    try:
        answers = form.run(batch)
    except ComputationError as error:
        return f"{counts[0]} items together fail ({error})"
    for items, made in ((counts[0], answers), *((1, answer) for answer in alone)):
        for port, answer in zip(outputs, made, strict=True):
            if not answer.ndim or answer.shape[0] != items:
                return f"{port.name} has shape {list(answer.shape)} for {items} item{'s' * (items > 1)}"
    try:
        joined = Answered("items alone", [batch], [together(alone)])
        largest_differences(outputs, joined, Form("items together", lambda _: answers), tolerance)
    except (ParityError, ValueError) as error:
        return f"items together give other answers than alone ({str(error).partition(': ')[0]})"
    return ""
