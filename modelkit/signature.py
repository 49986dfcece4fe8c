"""What a model takes and gives: names, datatypes and shapes, with the sizes that vary."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from modelkit import ModelkitError

Batch = Literal["any", "one", "none"]
Tensors = Sequence[NDArray[Any]]
BYTES = "BYTES"
# datatype, as the Open Inference Protocol names it -> the NumPy type of its elements
DATATYPES: Mapping[str, np.dtype[Any]] = {
    "BOOL": np.dtype(np.bool_),
    "UINT8": np.dtype(np.uint8),
    "UINT16": np.dtype(np.uint16),
    "UINT32": np.dtype(np.uint32),
    "UINT64": np.dtype(np.uint64),
    "INT8": np.dtype(np.int8),
    "INT16": np.dtype(np.int16),
    "INT32": np.dtype(np.int32),
    "INT64": np.dtype(np.int64),
    "FP16": np.dtype(np.float16),
    "FP32": np.dtype(np.float32),
    "FP64": np.dtype(np.float64),
    BYTES: np.dtype(object),
}


@dataclass(frozen=True, slots=True)
class Port:
    """An input or output as the model itself has it, the batch's axis included.

    A size is a number, or a name if it varies: sizes of one name are equal. `dims` is None if the model
    states no shape.
    """

    name: str
    datatype: str
    dims: tuple[int | str, ...] | None


@dataclass(frozen=True, slots=True)
class ModelSignature:
    """Inputs and outputs in the order in which the model takes and gives them, and what its batch is."""

    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    batch: Batch

    def fields(self) -> dict[str, Any]:
        """Return the manifest's fields; shapes are those of one item.

        Raises ModelkitError if a tensor of strings is not one element an item.
        """
        return {
            "inputs": [self._entry(port) for port in self.inputs],
            "outputs": [self._entry(port) for port in self.outputs],
            "batch": self.batch,
        }

    def _entry(self, port: Port) -> dict[str, Any]:
        dims = port.dims or ()
        item = dims if self.batch == "none" else dims[1:]
        shape = [size if isinstance(size, int) else -1 for size in item]
        if port.datatype == BYTES:
            if shape not in ([], [1]):
                problem = f"{port.name} holds strings of shape {list(dims)}, and an item has one string"
                raise ModelkitError(
                    f"{problem}: export it with shape [n] or [n, 1], an input for each string"
                )
            shape = []
        return {"name": port.name, "datatype": port.datatype, "shape": shape}

    def described(self) -> list[str]:
        """Return a line for each input and output, and one for the batch, for people."""
        lines = [
            f"{role} {port.name}: {port.datatype} {self._in_words(port)}"
            for role, ports in (("input", self.inputs), ("output", self.outputs))
            for port in ports
        ]
        return [*lines, f"batch: {_BATCHES[self.batch]}"]

    def _in_words(self, port: Port) -> str:
        sizes = [str(size) if isinstance(size, int) else "any" for size in port.dims or ()]
        if self.batch == "any":
            sizes[0] = "batch"
        return f"[{', '.join(sizes)}]"


_BATCHES: Mapping[Batch, str] = {
    "any": "along the first axis, any number of items together",
    "one": "the first axis is always 1, so items are computed one by one",
    "none": "no axis holds a batch, so items are computed one by one",
}


def with_shapes(ports: Sequence[Port], seen: Tensors) -> tuple[Port, ...]:
    """Return outputs with a shape each: where none is stated, as many varying axes as were seen."""
    return tuple(
        port
        if port.dims is not None
        else Port(port.name, port.datatype, tuple(f"{port.name}_{axis}" for axis in range(value.ndim)))
        for port, value in zip(ports, seen, strict=True)
    )


def check_shape(port: Port, seen: NDArray[Any]) -> None:
    """Raise ModelkitError if an answer has another shape than its port states."""
    if port.dims is None:
        return
    fits = len(port.dims) == seen.ndim and all(
        isinstance(stated, str) or stated == size for stated, size in zip(port.dims, seen.shape, strict=True)
    )
    if not fits:
        problem = f"{port.name} has shape {list(seen.shape)} where its file states {list(port.dims)}"
        raise ModelkitError(f"{problem}: export it again with a size that varies where it does")
