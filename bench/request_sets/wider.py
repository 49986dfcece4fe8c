"""Which tolerance would accept two answers that differ, if one would."""

import math
from typing import Any

import numpy as np

from bench.model.expectations import (
    Expectation,
    ExpectedTensor,
    JsonExpectation,
    LabelExpectation,
    TensorsExpectation,
)
from bench.request_sets.comparators import ROUNDING
from bench.request_sets.json_tolerances import compared, plain, pointer, rounded_up
from bench.request_sets.replies import Reply, flat
from bench.request_sets.request_set import BYTES, DTYPES

# a tolerance that lets labels change, and is larger, would let almost any
MOST_NEAR = 0.1
NO_WAY = "no tolerance accepts that: record a reference that answers alike, or leave it --compare unchecked"


def remedy(expect: Expectation, first: Reply | None, second: Reply | None) -> str:
    """What would accept the second answer where the first one is what must come back."""
    try:
        if first is None or second is None:
            return NO_WAY
        if isinstance(expect, LabelExpectation):
            return _of_label(first.value, second.value)
        if isinstance(expect, TensorsExpectation):
            return _of_tensors(expect, second)
        if isinstance(expect, JsonExpectation):
            return _of_json(expect, plain(second.value))
    except (KeyError, TypeError, ValueError, IndexError):
        return NO_WAY  # the second has another form
    return NO_WAY


def _of_label(first: Any, second: Any) -> str:
    ours, theirs, label = first["probabilities"], second["probabilities"], second["prediction"]
    if ours.keys() != theirs.keys():
        return NO_WAY
    off = max(abs(theirs[name] - one) for name, one in ours.items())
    # what is tolerated may make another label the likeliest, if it is the likeliest of its own answer
    near = off <= MOST_NEAR and theirs[label] >= max(theirs.values()) - ROUNDING
    if first["prediction"] != label and not near:
        return NO_WAY
    return f"accept it with --tolerance {rounded_up(off):g}" if off <= 1 else NO_WAY


def _of_tensors(expect: TensorsExpectation, second: Reply) -> str:
    needed = 0.0
    for one in expect.tensors:
        values = _values(one, second)
        if one.datatype == BYTES or DTYPES[one.datatype].kind != "f":
            if values != list(one.data):
                return NO_WAY
            continue
        ours, theirs = np.array(one.data, np.float64), np.array(values, np.float64)
        needed = max(needed, float(np.max(np.abs(theirs - ours) - expect.rtol * np.abs(ours), initial=0.0)))
    if not 0 < needed < math.inf:
        return NO_WAY
    return f"accept it with --rtol {expect.rtol:g} --atol {rounded_up(needed):g}"


def _values(expected: ExpectedTensor, reply: Reply) -> list[Any]:
    """The elements of an answer's output, BYTES as text; raises ValueError for another shape."""
    if reply.outputs is None:
        return flat([reply.value[expected.name]], expected.shape)
    (found,) = [one for one in reply.outputs if one.name == expected.name]
    if tuple(found.shape) != expected.shape or found.datatype != expected.datatype:
        raise ValueError("another shape or datatype")
    return [one.decode() if isinstance(one, bytes) else one for one in found.values]


def _of_json(expect: JsonExpectation, second: Any) -> str:
    apart = compared(expect.value, second, expect.ignore, expect.tolerances)
    for path, off in apart:
        if off is None and path:
            return f"leave it out with --ignore {pointer(path)}, or leave all --compare unchecked"
    if not apart or any(off is None or not math.isfinite(off) for _, off in apart):
        return NO_WAY
    return f"accept it with --tolerance {rounded_up(max(off or 0.0 for _, off in apart)):g}"
