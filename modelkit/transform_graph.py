"""The reference transform as ONNX nodes: two banded matrix products over the crop's source region.

An antialiased resize is a product with a sparse matrix along each axis. The non-zero weights of the
matrix lie in a band, so the outputs are computed in blocks: each block reads only the source pixels under
its filters, and its product is small and dense, the case in which a matrix product is fastest."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from modelkit.manifest import Transform

OPSET = 20
OLDEST_OPSET = 15
"""Older ones cannot tell the length of one axis."""
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

    def model(
        self, source: str, size: int, output: str, opset: int = OPSET, ir_version: int = IR_VERSION
    ) -> onnx.ModelProto:
        """Return a model from uint8 `source` [batch, height, width, 3] to float32 [batch, 3, size, size]."""
        self.nodes.append(helper.make_node("Identity", [output], ["pixels"], "transform/pixels"))
        image = helper.make_tensor_value_info(source, TensorProto.UINT8, ["batch", "height", "width", 3])
        pixels = helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["batch", 3, size, size])
        graph = helper.make_graph(self.nodes, "transform", [image], [pixels], self.constants)
        opsets = [helper.make_opsetid("", opset)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=ir_version)


DEFAULT_BLOCK = 16
# the filters' half widths in source pixels if nothing is made smaller
_REACH = {"bilinear": 1.0, "bicubic": 2.0}
_SHARPNESS = -0.5
"""Pillow's parameter of the bicubic filter; others use -0.75."""


@dataclass(frozen=True, slots=True)
class Axis:
    """The names of one axis's tensors in the graph; lengths and positions are in source pixels.

    The axis's outputs are divided into blocks. If the crop is no multiple of a block, the last block repeats
    the crop's last output, and what is more than the crop is cut off in the end.
    """

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
    block: int
    blocks: int

    @property
    def outputs(self) -> int:
        """The number of outputs before what is more than the crop is cut off."""
        return self.block * self.blocks


def transform_model(
    transform: Transform, block: int = DEFAULT_BLOCK, opset: int = OPSET, ir_version: int = IR_VERSION
) -> onnx.ModelProto:
    """Return the model from uint8 `image` [n, h, w, 3] to normalised float32 `pixels` [n, 3, crop, crop]."""
    g = GraphBuilder()
    height, width = g.dimension("image", 1), g.dimension("image", 2)
    shortest = g.op("Min", height, width)
    rows = axis_nodes(g, height, shortest, transform, block)
    columns = axis_nodes(g, width, shortest, transform, block)
    region = g.slice(g.slice("image", rows.first, rows.end, 1), columns.first, columns.end, 2)
    if transform.interpolation == "bilinear":
        resized = _horizontal_planes(g, _vertical(g, region, rows, transform.crop), columns, transform)
    else:
        resized = _in_levels(g, region, rows, columns, transform)
    return g.model("image", transform.crop, resized, opset, ir_version)


def axis_nodes(g: GraphBuilder, length: str, shortest: str, transform: Transform, block: int) -> Axis:
    """Return the nodes that compute one axis's region, bands and weights, in double precision."""
    crop = transform.crop
    blocks = -(-crop // block)
    resized = g.op("Div", g.op("Mul", length, g.constant([transform.resize])), shortest)
    spare = g.cast(g.op("Sub", resized, g.constant([crop])), TensorProto.DOUBLE)
    offset = g.op("Round", g.op("Mul", spare, g.constant([0.5], "float64")))
    source, target = g.cast(length, TensorProto.DOUBLE), g.cast(resized, TensorProto.DOUBLE)
    scale = g.op("Div", source, target)
    stretch = g.op("Max", scale, g.constant([1.0], "float64"))
    places = g.constant(np.minimum(np.arange(blocks * block), crop - 1) + 0.5, "float64")
    centres = g.op("Mul", g.op("Add", places, offset), scale)
    reach = _REACH[transform.interpolation]
    support = stretch if reach == 1 else g.op("Mul", stretch, g.constant([reach], "float64"))

    def whole(kind: str, values: str) -> str:
        inside = g.op("Min", g.op("Max", g.op(kind, values), g.constant([0.0], "float64")), source)
        return g.cast(inside, TensorProto.INT64)

    low = whole("Floor", g.op("Sub", centres, support))
    high = whole("Ceil", g.op("Add", centres, support))
    first = g.slice(low, g.constant([0]), g.constant([1]), 0)
    end = g.slice(high, g.constant([crop - 1]), g.constant([crop]), 0)
    every, until = g.constant([block]), g.constant([blocks * block])
    block_low = g.op("Slice", low, g.constant([0]), until, g.constant([0]), every)
    block_high = g.op("Slice", high, g.constant([block - 1]), until, g.constant([0]), every)
    band = g.op("ReduceMax", g.op("Sub", block_high, block_low), keepdims=1)
    starts = g.op("Min", block_low, g.op("Sub", end, band))
    weights = _weights(g, centres, stretch, starts, band, block, transform)
    return Axis(first, end, band, g.op("Sub", starts, first), weights, block, blocks)


def _weights(
    g: GraphBuilder, centres: str, stretch: str, starts: str, band: str, block: int, transform: Transform
) -> str:
    """Return normalised filters over each block's band, float32 [blocks, block, band]."""
    zero, one = g.constant(0), g.constant(1)
    steps = g.op("Range", zero, g.op("Squeeze", band), one)
    places = g.op("Add", g.op("Unsqueeze", starts, g.constant([1])), steps)
    middles = g.op("Add", g.cast(places, TensorProto.DOUBLE), g.constant([0.5], "float64"))
    blocks = g.reshape(centres, -1, block, 1)
    away = g.op("Sub", g.op("Unsqueeze", middles, g.constant([1])), blocks)
    near = g.cast(g.op("Div", away, stretch), TensorProto.FLOAT)
    heights = _triangle(g, near) if transform.interpolation == "bilinear" else _cubic(g, near)
    return g.op("Div", heights, g.op("ReduceSum", heights, g.constant([2]), keepdims=1))


def _triangle(g: GraphBuilder, near: str) -> str:
    return g.op("Relu", g.op("Sub", g.constant([1.0], "float32"), g.op("Abs", near)))


def _cubic(g: GraphBuilder, near: str) -> str:
    """Return Pillow's bicubic filter at signed distances; it is zero from a distance of 2 on."""
    distance = g.op("Abs", near)

    def polynomial(*factors: float) -> str:
        value = g.constant(factors[0], "float32")
        for factor in factors[1:]:
            value = g.op("Add", g.op("Mul", value, distance), g.constant(factor, "float32"))
        return value

    a = _SHARPNESS
    inner = polynomial(a + 2, -(a + 3), 0, 1)
    outer = polynomial(a, -5 * a, 8 * a, -4 * a)
    beyond = g.op("Where", g.op("Less", distance, g.constant(2, "float32")), outer, g.constant(0, "float32"))
    return g.op("Where", g.op("Less", distance, g.constant(1, "float32")), inner, beyond)


def _vertical(g: GraphBuilder, region: str, rows: Axis, crop: int) -> str:
    """Resize along the height: any type [n, h, w, 3] -> float32 [n, crop, w * 3]."""
    batch, height = g.dimension(region, 0), g.dimension(region, 1)
    lines = g.reshape(region, batch, height, -1)
    steps = g.op("Range", g.constant(0), g.op("Squeeze", rows.band), g.constant(1))
    indices = g.op("Add", g.op("Unsqueeze", rows.starts, g.constant([1])), steps)
    bands = g.cast(g.op("Gather", lines, indices, axis=1), TensorProto.FLOAT)
    resized = g.reshape(g.op("MatMul", rows.weights, bands), batch, rows.outputs, -1)
    return _cut(g, resized, rows.outputs, crop, 1)


def _cut(g: GraphBuilder, tensor: str, outputs: int, crop: int, axis: int) -> str:
    """Return the tensor without what is more than the crop along one axis."""
    return tensor if outputs == crop else g.slice(tensor, g.constant([0]), g.constant([crop]), axis)


def _horizontal_products(g: GraphBuilder, lines: str, columns: Axis, scales: NDArray[np.float64]) -> str:
    """Resize along the width and scale each channel: float32 [n, h, w * 3] -> [n, h, blocks, 3 * block].

    The channels of a block lie one after the other.
    """
    spread = g.constant(np.diag(scales).reshape(1, 1, 3, 3, 1), "float32")
    turned = g.op("Transpose", columns.weights, perm=[0, 2, 1])
    filters = g.op("Mul", g.op("Unsqueeze", turned, g.constant([2, 3])), spread)
    flat = g.reshape(filters, columns.blocks, -1, 3 * columns.block)
    three = g.constant([3])
    width = g.op("Mul", columns.band, three)
    products = []
    for index in range(columns.blocks):
        here, after = g.constant([index]), g.constant([index + 1])
        start = g.op("Mul", g.slice(columns.starts, here, after, 0), three)
        band = g.slice(lines, start, g.op("Add", start, width), 2)
        filters_here = g.op("Gather", flat, g.constant(index), axis=0)
        product = g.op("MatMul", band, filters_here)
        products.append(g.op("Unsqueeze", product, g.constant([2])))
    return g.op("Concat", *products, axis=2)


def _horizontal_planes(g: GraphBuilder, lines: str, columns: Axis, transform: Transform) -> str:
    """Resize along the width: float32 [n, crop, w * 3] -> normalised float32 [n, 3, crop, crop]."""
    mean, std = np.asarray(transform.mean), np.asarray(transform.std)
    crop, batch = transform.crop, g.dimension(lines, 0)
    products = _horizontal_products(g, lines, columns, 1 / (255 * std))
    joined = g.reshape(products, batch, crop, -1, 3, columns.block)
    turned = g.op("Transpose", joined, perm=[0, 3, 1, 2, 4])
    planar = _cut(g, g.reshape(turned, batch, 3, crop, columns.outputs), columns.outputs, crop, 3)
    return g.op("Sub", planar, g.constant((mean / std).reshape(1, 3, 1, 1), "float32"))


def _in_levels(g: GraphBuilder, region: str, rows: Axis, columns: Axis, transform: Transform) -> str:
    """Resize uint8 [n, h, w, 3] along the width, then along the height, with whole levels in between.

    A bicubic filter overshoots. What is beyond 0 to 255 is lost after each pass, as in Pillow, so the passes
    must have Pillow's order, and its rounding costs little more. The result is normalised, float32
    [n, 3, crop, crop].
    """
    mean, std = np.asarray(transform.mean), np.asarray(transform.std)
    crop, batch, height = transform.crop, g.dimension(region, 0), g.dimension(region, 1)
    lines = g.cast(g.reshape(region, batch, height, -1), TensorProto.FLOAT)
    products = _horizontal_products(g, lines, columns, np.ones(3))
    joined = g.reshape(products, batch, height, -1, 3, columns.block)
    turned = g.op("Transpose", joined, perm=[0, 1, 2, 4, 3])
    narrow = g.reshape(turned, batch, height, columns.outputs, 3)
    levels = _whole_levels(g, _cut(g, narrow, columns.outputs, crop, 2))
    resized = _whole_levels(g, _vertical(g, levels, rows, crop))
    planar = g.op("Transpose", g.reshape(resized, batch, crop, crop, 3), perm=[0, 3, 1, 2])
    scaled = g.op("Mul", planar, g.constant((1 / (255 * std)).reshape(1, 3, 1, 1), "float32"))
    return g.op("Sub", scaled, g.constant((mean / std).reshape(1, 3, 1, 1), "float32"))


def _whole_levels(g: GraphBuilder, levels: str) -> str:
    """Return levels rounded, halves up, and within 0 to 255."""
    rounded = g.op("Floor", g.op("Add", levels, g.constant(0.5, "float32")))
    return g.op("Clip", rounded, g.constant(0, "float32"), g.constant(255, "float32"))
