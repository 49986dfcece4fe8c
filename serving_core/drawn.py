"""Inputs that warm a model up: the example in its manifest, and what is drawn from its signature."""

from collections.abc import Iterator
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving_core.calls import Item
from serving_core.models.manifest import MOST_EXAMPLE_BYTES, StatedExample
from serving_core.network import Arrays, Network
from serving_core.tensors import BYTES, NUMERIC, TensorSpec

# Sizes for the axes that vary, in the order in which they are tried. All such axes of an example have one
# size, since axes of two inputs often belong together, such as those of tokens and of their mask.
SIZES = (8, 32, 224)
TEXT = b"an example"
# of an example and its outputs, if their axes have its size too; also of a batch that only warms a model up
MOST_BYTES = MOST_EXAMPLE_BYTES


def example_items(network: Network) -> Iterator[Item]:
    """Give items, always the same for a manifest: its own example first, then one of each drawn size."""
    if network.example:
        generator = np.random.default_rng(0)
        yield {spec.name: _as_stated(spec, network.example[spec.name], generator) for spec in network.inputs}
    for size in sizes_of(network):
        yield example_item(network, size)


def sizes_of(network: Network) -> tuple[int, ...]:
    """Return the sizes to draw: those whose examples have at most MOST_BYTES, or else the smallest."""
    if not any(-1 in spec.shape for spec in network.inputs):
        return SIZES[:1]
    return tuple(size for size in SIZES if _bytes_of(network, size) <= MOST_BYTES) or (1,)


def most_at_once(most: int, example: Arrays, made: Arrays) -> int:
    """Return how many items like the example, which gives `made`, a batch that warms up may have."""
    each = sum(array.nbytes for array in (*example, *made))
    return max(1, min(most, MOST_BYTES // max(1, each)))


def _bytes_of(network: Network, size: int) -> int:
    return sum(
        prod(_sized(spec, size)) * NUMERIC[spec.datatype].itemsize
        for spec in (*network.inputs, *network.outputs)
        if spec.datatype != BYTES
    )


def _sized(spec: TensorSpec, size: int) -> tuple[int, ...]:
    return tuple(size if known == -1 else known for known in spec.shape)


def example_item(network: Network, size: int) -> Item:
    """Return one item, always the same for a signature; axes that vary have `size` places.

    Whole numbers are 0 or 1, which any table of embeddings has, but bytes are of any value; flags are set.
    """
    generator = np.random.default_rng(0)
    return {spec.name: _value(spec, size, generator) for spec in network.inputs}


def _value(spec: TensorSpec, size: int, generator: np.random.Generator) -> Any:
    if spec.datatype == BYTES:
        return TEXT
    return _numbers(NUMERIC[spec.datatype], _sized(spec, size), generator)


def _numbers(
    dtype: np.dtype[np.generic], shape: tuple[int, ...], generator: np.random.Generator
) -> NDArray[Any]:
    if dtype.kind == "b":
        return np.ones(shape, dtype)
    if dtype.kind == "f":
        return np.asarray(generator.random(shape), dtype)
    return np.asarray(generator.integers(0, 256 if dtype == np.uint8 else 2, shape), dtype)


def _as_stated(spec: TensorSpec, stated: StatedExample, generator: np.random.Generator) -> Any:
    if stated.text is not None:
        return stated.text.encode()
    dtype = NUMERIC[spec.datatype]
    if stated.data is not None:
        return np.frombuffer(stated.data, dtype).reshape(stated.shape).copy()
    if dtype.kind == "f":
        share = generator.random(stated.shape)
        between = stated.least * (1 - share) + stated.most * share  # their difference may be no float
        return np.asarray(between, dtype)
    kind = np.uint8 if dtype.kind == "b" else dtype
    return np.asarray(
        generator.integers(int(stated.least), int(stated.most), stated.shape, kind, endpoint=True), dtype
    )
