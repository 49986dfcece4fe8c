"""What an engine must know of an opened graph, whatever opened it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from numpy.typing import NDArray

from serving_core.tensors import BYTES

# ONNX's names of the types that the protocol has too
DATATYPES: Mapping[str, str] = {
    "string": BYTES,
    "bool": "BOOL",
    "uint8": "UINT8",
    "uint16": "UINT16",
    "uint32": "UINT32",
    "uint64": "UINT64",
    "int8": "INT8",
    "int16": "INT16",
    "int32": "INT32",
    "int64": "INT64",
    "float16": "FP16",
    "float": "FP32",
    "double": "FP64",
}


@dataclass(frozen=True, slots=True)
class GraphPort:
    """An input or output of a graph; a size that the graph does not fix is -1.

    `datatype` is the protocol's name, or the runtime's own for a type that the protocol has not. `sizes` is
    empty too if the graph gives no shape.
    """

    name: str
    datatype: str
    sizes: tuple[int, ...]


class OpenedGraph(Protocol):
    """An opened graph; several threads call it at once, and each computes on one core."""

    inputs: Sequence[GraphPort]
    outputs: Sequence[GraphPort]

    def run(self, outputs: Sequence[str], feed: Mapping[str, NDArray[Any]]) -> list[Any]:
        """Return the named outputs in order; raises what serving_core.engine.uncomputable returns."""
