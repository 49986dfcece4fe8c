"""Writing ONNX nodes one after another, with the plumbing of names and constants out of the way."""

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 20
IR_VERSION = 10


class GraphBuilder:
    """Collects nodes; every call of `op` returns its output's name."""

    def __init__(self, prefix: str = "transform") -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[TensorProto] = []
        self._prefix = prefix
        self._count = 0

    def _fresh(self, kind: str) -> str:
        self._count += 1
        return f"{self._prefix}/{kind}_{self._count}"

    def constant(self, value: Any, dtype: str = "int64") -> str:
        """A constant tensor of any shape."""
        name = self._fresh("constant")
        self.constants.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """One node with one output."""
        name = self._fresh(kind)
        self.nodes.append(helper.make_node(kind, list(inputs), [name], name, **attributes))
        return name

    def cast(self, tensor: str, to: int) -> str:
        """The tensor in another type, one of TensorProto's."""
        return self.op("Cast", tensor, to=to)

    def dimension(self, tensor: str, axis: int) -> str:
        """The length of one axis, int64 [1]."""
        return self.op("Shape", tensor, start=axis, end=axis + 1)

    def slice(self, tensor: str, start: str, end: str, axis: int) -> str:
        """tensor[..., start:end, ...] along one axis; start and end are int64 [1]."""
        return self.op("Slice", tensor, start, end, self.constant([axis]))

    def reshape(self, tensor: str, *dims: str | int) -> str:
        """The tensor in a new shape: numbers, and names of int64 [1] dimensions."""
        parts = [dim if isinstance(dim, str) else self.constant([dim]) for dim in dims]
        return self.op("Reshape", tensor, self.op("Concat", *parts, axis=0))

    def model(self, source: str, size: int, output: str) -> onnx.ModelProto:
        """A model from uint8 `source` [batch, height, width, 3] to float32 [batch, 3, size, size]."""
        self.nodes.append(helper.make_node("Identity", [output], ["pixels"], "transform/pixels"))
        image = helper.make_tensor_value_info(source, TensorProto.UINT8, ["batch", "height", "width", 3])
        pixels = helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["batch", 3, size, size])
        graph = helper.make_graph(self.nodes, "transform", [image], [pixels], self.constants)
        opsets = [helper.make_opsetid("", OPSET)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)
