"""The item in a manifest that the model computed when it was taken in: services warm up with it."""

import base64
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelkit.signature import BYTES, DATATYPES, Port, Tensors

# of larger tensors, the range of the values is written
_MOST_EXACT_BYTES = 2**14
# services draw no larger tensor than this
_MOST_DRAWN_BYTES = 2**26


def example_fields(inputs: Sequence[Port], item: Tensors) -> dict[str, Any]:
    """Return the manifest's field `example`, {} if the item is so large that services draw their own."""
    if sum(value.nbytes for value in item) > _MOST_DRAWN_BYTES:
        return {}
    return {"example": {port.name: _entry(port, value) for port, value in zip(inputs, item, strict=True)}}


def _entry(port: Port, value: NDArray[Any]) -> dict[str, Any]:
    """Return a tensor's text; or its shape with its elements in little-endian base64, or their range."""
    if port.datatype == BYTES:
        return {"text": str(value.ravel()[0])}
    shape = list(value.shape)
    numbers = value if value.dtype.kind != "f" else value[np.isfinite(value)]
    if value.nbytes <= _MOST_EXACT_BYTES and numbers.size == value.size:
        plain = np.ascontiguousarray(value, DATATYPES[port.datatype].newbyteorder("<"))
        return {"shape": shape, "data": base64.b64encode(plain.tobytes()).decode()}
    if not numbers.size:
        return {"shape": shape, "least": 0.0, "most": 1.0}
    if value.dtype.kind == "b":
        numbers = numbers.astype(np.uint8)
    return {"shape": shape, "least": numbers.min().item(), "most": numbers.max().item()}
