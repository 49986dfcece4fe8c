"""The reference transform as ONNX nodes: two banded matrix products over the crop's source region.

An antialiased bilinear resize is a product with a sparse matrix along each axis. The non-zero weights of the
matrix lie in a band, so the outputs are computed in blocks: each block reads only the source pixels under
its filters, and its product is small and dense, the case in which a matrix product is fastest."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from modelkit.manifest import Transform

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
        """Return a constant tensor of any shape."""
        name = self._fresh("constant")
        self.constants.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Add one node with one output, and return the output's name."""
        name = self._fresh(kind)
        self.nodes.append(helper.make_node(kind, list(inputs), [name], name, **attributes))
        return name

    def cast(self, tensor: str, to: int) -> str:
        """Return the tensor in another type, one of TensorProto's."""
        return self.op("Cast", tensor, to=to)

    def dimension(self, tensor: str, axis: int) -> str:
        """Return the length of one axis, int64 [1]."""
        return self.op("Shape", tensor, start=axis, end=axis + 1)

    def slice(self, tensor: str, start: str, end: str, axis: int) -> str:
        """tensor[..., start:end, ...] along one axis; start and end are int64 [1]."""
        return self.op("Slice", tensor, start, end, self.constant([axis]))

    def reshape(self, tensor: str, *dims: str | int) -> str:
        """Return the tensor in a new shape: numbers, and names of int64 [1] dimensions."""
        parts = [dim if isinstance(dim, str) else self.constant([dim]) for dim in dims]
        return self.op("Reshape", tensor, self.op("Concat", *parts, axis=0))

    def model(self, source: str, size: int, output: str) -> onnx.ModelProto:
        """Return a model from uint8 `source` [batch, height, width, 3] to float32 [batch, 3, size, size]."""
        self.nodes.append(helper.make_node("Identity", [output], ["pixels"], "transform/pixels"))
        image = helper.make_tensor_value_info(source, TensorProto.UINT8, ["batch", "height", "width", 3])
        pixels = helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["batch", 3, size, size])
        graph = helper.make_graph(self.nodes, "transform", [image], [pixels], self.constants)
        opsets = [helper.make_opsetid("", OPSET)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)


DEFAULT_BLOCK = 16


@dataclass(frozen=True, slots=True)
class Axis:
    """The names of one axis's tensors in the graph; lengths and positions are in source pixels."""

    first: str
    """int64 [1]: the beginning of the source region."""
    end: str
    """int64 [1]: the end of the source region."""
    band: str
    """int64 [1]: the number of source pixels that a block reads."""
    starts: str
    """int64 [blocks]: the beginning of each block's band, counted from the region's beginning."""
    weights: str
    """float32 [blocks, block, band]: the filters; the weights of each sum to 1."""


def transform_model(transform: Transform, block: int = DEFAULT_BLOCK) -> onnx.ModelProto:
    """Return the model from uint8 `image` [n, h, w, 3] to normalised float32 `pixels` [n, 3, crop, crop]."""
    g = GraphBuilder()
    height, width = g.dimension("image", 1), g.dimension("image", 2)
    shortest = g.op("Min", height, width)
    rows = axis_nodes(g, height, shortest, transform, block)
    columns = axis_nodes(g, width, shortest, transform, block)
    region = g.slice(g.slice("image", rows.first, rows.end, 1), columns.first, columns.end, 2)
    squeezed = _vertical(g, region, rows, transform.crop)
    return g.model("image", transform.crop, _horizontal(g, squeezed, columns, transform, block))


def axis_nodes(g: GraphBuilder, length: str, shortest: str, transform: Transform, block: int) -> Axis:
    """Return the nodes that compute one axis's region, bands and weights, in double precision."""
    resized = g.op("Div", g.op("Mul", length, g.constant([transform.resize])), shortest)
    spare = g.cast(g.op("Sub", resized, g.constant([transform.crop])), TensorProto.DOUBLE)
    offset = g.op("Round", g.op("Mul", spare, g.constant([0.5], "float64")))
    source, target = g.cast(length, TensorProto.DOUBLE), g.cast(resized, TensorProto.DOUBLE)
    scale = g.op("Div", source, target)
    support = g.op("Max", scale, g.constant([1.0], "float64"))
    places = g.constant(np.arange(transform.crop) + 0.5, "float64")
    centres = g.op("Mul", g.op("Add", places, offset), scale)

    def whole(kind: str, values: str) -> str:
        inside = g.op("Min", g.op("Max", g.op(kind, values), g.constant([0.0], "float64")), source)
        return g.cast(inside, TensorProto.INT64)

    low = whole("Floor", g.op("Sub", centres, support))
    high = whole("Ceil", g.op("Add", centres, support))
    first = g.slice(low, g.constant([0]), g.constant([1]), 0)
    end = g.slice(high, g.constant([transform.crop - 1]), g.constant([transform.crop]), 0)
    block_low = g.op(
        "Slice", low, g.constant([0]), g.constant([transform.crop]), g.constant([0]), g.constant([block])
    )
    last = (g.constant([block - 1]), g.constant([transform.crop]), g.constant([0]), g.constant([block]))
    block_high = g.op("Slice", high, *last)
    band = g.op("ReduceMax", g.op("Sub", block_high, block_low), keepdims=1)
    starts = g.op("Min", block_low, g.op("Sub", end, band))
    weights = _weights(g, centres, support, starts, band, block)
    return Axis(first, end, band, g.op("Sub", starts, first), weights)


def _weights(g: GraphBuilder, centres: str, support: str, starts: str, band: str, block: int) -> str:
    """Return normalised triangle filters over each block's band, float32 [blocks, block, band]."""
    zero, one = g.constant(0), g.constant(1)
    steps = g.op("Range", zero, g.op("Squeeze", band), one)
    places = g.op("Add", g.op("Unsqueeze", starts, g.constant([1])), steps)
    middles = g.op("Add", g.cast(places, TensorProto.DOUBLE), g.constant([0.5], "float64"))
    blocks = g.reshape(centres, -1, block, 1)
    away = g.op("Sub", g.op("Unsqueeze", middles, g.constant([1])), blocks)
    near = g.cast(g.op("Div", away, support), TensorProto.FLOAT)
    heights = g.op("Relu", g.op("Sub", g.constant([1.0], "float32"), g.op("Abs", near)))
    return g.op("Div", heights, g.op("ReduceSum", heights, g.constant([2]), keepdims=1))


def _vertical(g: GraphBuilder, region: str, rows: Axis, crop: int) -> str:
    """Resize along the height: uint8 [n, h, w, 3] -> float32 [n, crop, w * 3]."""
    batch, height = g.dimension(region, 0), g.dimension(region, 1)
    lines = g.reshape(region, batch, height, -1)
    steps = g.op("Range", g.constant(0), g.op("Squeeze", rows.band), g.constant(1))
    indices = g.op("Add", g.op("Unsqueeze", rows.starts, g.constant([1])), steps)
    bands = g.cast(g.op("Gather", lines, indices, axis=1), TensorProto.FLOAT)
    return g.reshape(g.op("MatMul", rows.weights, bands), batch, crop, -1)


def _horizontal(g: GraphBuilder, lines: str, columns: Axis, transform: Transform, block: int) -> str:
    """Resize along the width: float32 [n, crop, w * 3] -> normalised float32 [n, 3, crop, crop]."""
    mean, std = np.asarray(transform.mean), np.asarray(transform.std)
    batch = g.dimension(lines, 0)
    spread = g.constant(np.diag(1 / (255 * std)).reshape(1, 1, 3, 3, 1), "float32")
    turned = g.op("Transpose", columns.weights, perm=[0, 2, 1])
    filters = g.op("Mul", g.op("Unsqueeze", turned, g.constant([2, 3])), spread)
    flat = g.reshape(filters, transform.crop // block, -1, 3 * block)
    three = g.constant([3])
    width = g.op("Mul", columns.band, three)
    products = []
    for index in range(transform.crop // block):
        here, after = g.constant([index]), g.constant([index + 1])
        start = g.op("Mul", g.slice(columns.starts, here, after, 0), three)
        band = g.slice(lines, start, g.op("Add", start, width), 2)
        filters_here = g.op("Gather", flat, g.constant(index), axis=0)
        product = g.op("MatMul", band, filters_here)
        products.append(g.op("Unsqueeze", product, g.constant([2])))
    joined = g.reshape(g.op("Concat", *products, axis=2), batch, transform.crop, -1, 3, block)
    planar = g.reshape(
        g.op("Transpose", joined, perm=[0, 3, 1, 2, 4]), batch, 3, transform.crop, transform.crop
    )
    return g.op("Sub", planar, g.constant((mean / std).reshape(1, 3, 1, 1), "float32"))
