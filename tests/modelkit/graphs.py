"""Small real ONNX graphs for the tests of `add`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

Shape = Sequence[int | str | None] | None


def tensor(name: str, kind: int, shape: Shape) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


def node(kind: str, inputs: Sequence[str], outputs: Sequence[str], **attributes: Any) -> NodeProto:
    return helper.make_node(kind, inputs, outputs, **attributes)


def save(
    file: Path,
    nodes: Sequence[NodeProto],
    inputs: Sequence[ValueInfoProto],
    outputs: Sequence[ValueInfoProto],
    opset: int = 20,
    ir_version: int = 10,
    domains: Sequence[str] = (),
    **constants: np.ndarray,
) -> Path:
    """Write a graph whose constants have the arguments' names."""
    initialisers = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "graph", inputs, outputs, initialisers)
    opsets = [helper.make_opsetid("", opset), *(helper.make_opsetid(domain, 1) for domain in domains)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=ir_version), file)
    return file


def random(*shape: int) -> np.ndarray:
    return np.random.default_rng(5).standard_normal(shape).astype(np.float32)


def encoder(file: Path) -> Path:
    """Token ids below 50, int64 [batch, length], to their mean's projection, float32 [batch, 3]."""
    return save(
        file,
        [
            node("Gather", ["table", "tokens"], ["embedded"]),
            node("ReduceMean", ["embedded", "axes"], ["mean"], keepdims=0),
            node("MatMul", ["mean", "weights"], ["scores"]),
        ],
        [tensor("tokens", TensorProto.INT64, ["batch", "length"])],
        [tensor("scores", TensorProto.FLOAT, ["batch", 3])],
        table=random(50, 8),
        axes=np.asarray([1]),
        weights=random(8, 3),
    )


def linear(file: Path, shape: Shape = ("n", 4), given: Shape = ("n", 2), **options: Any) -> Path:
    """`x`, float32 of this shape, times a matrix [4, 2] is `y`."""
    return save(
        file,
        [node("MatMul", ["x", "weights"], ["y"])],
        [tensor("x", TensorProto.FLOAT, shape)],
        [tensor("y", TensorProto.FLOAT, given)],
        weights=random(4, 2),
        **options,
    )
