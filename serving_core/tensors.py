"""Named tensors: a model's inputs and outputs, in the terms of the Open Inference Protocol."""

from dataclasses import dataclass

import numpy as np

BYTES = "BYTES"
# datatype -> the NumPy type of its elements, little-endian as in the binary extension
NUMERIC: dict[str, np.dtype[np.generic]] = {
    "BOOL": np.dtype(np.bool_),
    "UINT8": np.dtype("<u1"),
    "UINT16": np.dtype("<u2"),
    "UINT32": np.dtype("<u4"),
    "UINT64": np.dtype("<u8"),
    "INT8": np.dtype("<i1"),
    "INT16": np.dtype("<i2"),
    "INT32": np.dtype("<i4"),
    "INT64": np.dtype("<i8"),
    "FP16": np.dtype("<f2"),
    "FP32": np.dtype("<f4"),
    "FP64": np.dtype("<f8"),
}


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """One input or output of a model.

    `shape` is the shape of one item, without the batch's dimension in front; -1 is a size that varies. The
    value of a BYTES tensor of shape () is `bytes` as an input and `str` or `bytes` as an output; the value of
    any other tensor is a NumPy array. `text` marks BYTES that hold UTF-8 text, which JSON carries as text
    and not in base64.
    """

    name: str
    datatype: str
    shape: tuple[int, ...] = ()
    text: bool = False

    def __post_init__(self) -> None:
        """Raise ValueError if the protocol lacks the datatype, or if BYTES are not a scalar."""
        if self.datatype != BYTES and self.datatype not in NUMERIC:
            raise ValueError(f"{self.name} has datatype {self.datatype!r}: use BYTES or one of {[*NUMERIC]}")
        if self.datatype == BYTES and self.shape:
            raise ValueError(f"{self.name} has BYTES of shape {self.shape}: an item's BYTES are one element")
