"""How large an input's whole numbers may be, found by asking: a service refuses an index beyond its table."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from bench.request_sets.draft import DraftSet, of_tensors, read_draft
from bench.request_sets.drawing import USUAL_BOUND, Wishes, draw_one, steps
from bench.request_sets.manifest import USUAL_CLASS
from bench.request_sets.request_set import SetRequest
from bench.request_sets.stated_model import StatedModel

Computes = Callable[[SetRequest], bool]
"""Whether the service answers a request."""


def found_bounds(model: StatedModel, seed: int, wishes: Wishes, computes: Computes) -> dict[str, int]:
    """The first number too large for each input of whole numbers whose range is not given.

    It is at most USUAL_BOUND, and found in some ten requests an input. The other inputs are 0 meanwhile. An
    input of which even 0 is refused is left out: something else is wrong then.
    """
    sizes = {name: each[0] for name, each in steps(model, wishes).items()}
    free = [tensor for tensor in model.inputs if tensor.is_integer and tensor.name not in wishes.ranges]
    found = {}
    for tensor in free:
        cap = min(USUAL_BOUND, int(np.iinfo(tensor.dtype).max) + 1)

        def takes(value: int, name: str = tensor.name) -> bool:
            ranges = {one.name: ((0, 1),) for one in free} | {name: ((value, value + 1),)}
            asked = replace(wishes, ranges={**wishes.ranges, **ranges})
            parts = draw_one(model, 0, seed, asked, sizes)
            files = {file: content for part in parts for file, content in part.files.items()}
            (request,) = read_draft(DraftSet((of_tensors("bound", USUAL_CLASS, parts),), files)).requests
            return computes(request)

        bound = first_refused(takes, cap)
        if bound:
            found[tensor.name] = bound
    return found


def first_refused(takes: Callable[[int], bool], cap: int) -> int:
    """The least number from 0 on that is refused, or `cap` if none below it is.

    What is above a number that is refused is taken to be refused too.
    """
    if takes(cap - 1):
        return cap
    taken, refused = -1, cap - 1
    while refused - taken > 1:
        middle = (taken + refused) // 2
        taken, refused = (middle, refused) if takes(middle) else (taken, middle)
    return refused
