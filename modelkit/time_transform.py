"""Times candidates for the transform in the graph, and Pillow doing the same, on one core."""

import os
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto
from PIL import Image

from modelkit.images import crop_offset, reference_pixels, resized_size
from modelkit.manifest import Transform
from modelkit.scenes import scene
from modelkit.transform_graph import DEFAULT_BLOCK, GraphBuilder, transform_model

_SIZES = ((1200, 727), (320, 240))
_SCENE = ("rime", 1)
Run = Callable[[], NDArray[np.generic]]


def resize_model(transform: Transform, planar: bool, floating: bool, sliced: bool) -> onnx.ModelProto:
    """Return the transform with ONNX's own Resize: of the whole image, or of the crop's region alone.

    With `sliced` only the region is resized, so its scale is rounded and the result is inexact.
    """
    g = GraphBuilder()
    size, crop = transform.resize, transform.crop
    height, width = g.dimension("image", 1), g.dimension("image", 2)
    shortest = g.op("Min", height, width)
    lengths = [g.op("Div", g.op("Mul", side, g.constant([size])), shortest) for side in (height, width)]
    source, axes, target = "image", (1, 2), lengths
    if sliced:
        source, target = _region(g, transform, (height, width), lengths), [g.constant([crop])] * 2
    if planar:
        source, axes = g.op("Transpose", source, perm=[0, 3, 1, 2]), (2, 3)
    if floating:
        source = g.cast(source, TensorProto.FLOAT)
    whole = g.op("Concat", *(g.dimension(source, axis) for axis in range(4)), axis=0)
    sizes = g.op("ScatterElements", whole, g.constant(axes), g.op("Concat", *target, axis=0))
    resized = g.op("Resize", source, "", "", sizes, mode="linear", antialias=1)
    if not sliced:
        for axis, length in zip(axes, lengths, strict=True):
            start = _offset(g, length, crop)
            resized = g.slice(resized, start, g.op("Add", start, g.constant([crop])), axis)
    if not planar:
        resized = g.op("Transpose", resized, perm=[0, 3, 1, 2])
    mean, std = (np.asarray(values).reshape(1, 3, 1, 1) for values in (transform.mean, transform.std))
    scaled = g.op("Mul", g.cast(resized, TensorProto.FLOAT), g.constant(1 / (255 * std), "float32"))
    return g.model("image", crop, g.op("Sub", scaled, g.constant(mean / std, "float32")))


def _offset(g: GraphBuilder, length: str, crop: int) -> str:
    spare = g.cast(g.op("Sub", length, g.constant([crop])), TensorProto.FLOAT)
    return g.cast(g.op("Round", g.op("Mul", spare, g.constant([0.5], "float32"))), TensorProto.INT64)


def _region(g: GraphBuilder, transform: Transform, sides: tuple[str, str], lengths: list[str]) -> str:
    """Return the crop's source region, rounded to whole pixels."""
    region = "image"
    for axis, (side, length) in enumerate(zip(sides, lengths, strict=True), start=1):
        first = _offset(g, length, transform.crop)
        start, end = (
            g.op("Div", g.op("Mul", edge, side), length)
            for edge in (first, g.op("Add", first, g.constant([transform.crop])))
        )
        region = g.slice(region, start, end, axis)
    return region


def graph_candidates() -> dict[str, onnx.ModelProto]:
    """Return the graphs to time, by name."""
    transform = Transform()
    return {
        "Resize, uint8 NHWC, whole image": resize_model(
            transform, planar=False, floating=False, sliced=False
        ),
        "Resize, uint8 NCHW, whole image": resize_model(transform, planar=True, floating=False, sliced=False),
        "Resize, float NCHW, whole image": resize_model(transform, planar=True, floating=True, sliced=False),
        "Resize, uint8 NHWC, region (inexact)": resize_model(
            transform, planar=False, floating=False, sliced=True
        ),
        "Resize, uint8 NCHW, region (inexact)": resize_model(
            transform, planar=True, floating=False, sliced=True
        ),
        "products, dense": transform_model(transform, transform.crop),
        **{
            f"products, bands of {block}": transform_model(transform, block)
            for block in (8, DEFAULT_BLOCK, 32)
        },
    }


def boxed_pixels(image: Image.Image, transform: Transform) -> NDArray[np.uint8]:
    """Return Pillow's resize of the crop's source region alone; it is within one level of the reference."""
    width, height = resized_size(*image.size, transform.resize)
    left, top = crop_offset(width, transform.crop), crop_offset(height, transform.crop)
    across, down = image.width / width, image.height / height
    right, bottom = left + transform.crop, top + transform.crop
    box = (left * across, top * down, right * across, bottom * down)
    return np.asarray(image.resize((transform.crop, transform.crop), Image.Resampling.BILINEAR, box=box))


def _levels(result: NDArray[np.generic], transform: Transform) -> NDArray[np.float64]:
    """Return a result, pixels [crop, crop, 3] or normalised [1, 3, crop, crop], as levels of 0 to 255."""
    if result.dtype == np.uint8:
        return result.astype(np.float64)
    planes = result[0].astype(np.float64).transpose(1, 2, 0)
    levels: NDArray[np.float64] = (planes * np.asarray(transform.std) + np.asarray(transform.mean)) * 255
    return levels


def _runs(image: Image.Image) -> dict[str, Run]:
    transform = Transform()
    batch = np.asarray(image)[None]
    runs: dict[str, Run] = {
        "Pillow, whole image": lambda: reference_pixels(image, transform),
        "Pillow, region (box=)": lambda: boxed_pixels(image, transform),
    }
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    for name, model in graph_candidates().items():
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
        runs[name] = partial(_run_graph, session, batch)
    return runs


def _run_graph(session: onnxruntime.InferenceSession, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
    return np.asarray(session.run(None, {"image": batch})[0])


def time_transform(seconds: float) -> None:
    """Print the least and the median milliseconds of every candidate; they run in turn on one core."""
    if hasattr(os, "sched_setaffinity"):  # else the system runs it wherever it likes
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    for size in _SIZES:
        runs = _runs(scene(*_SCENE, *size))
        truth = _levels(runs["Pillow, whole image"](), Transform())
        times: dict[str, list[float]] = {name: [] for name in runs}
        deadline = time.perf_counter() + seconds * len(runs)
        while time.perf_counter() < deadline:
            for name, run in runs.items():
                started = time.perf_counter()
                run()
                times[name].append((time.perf_counter() - started) * 1000)
        print(f"{size[0]}x{size[1]}: least ms, median ms, largest difference from Pillow in levels of 255")
        for name, taken in times.items():
            apart = float(np.abs(_levels(runs[name](), Transform()) - truth).max())
            print(f"  {name:<38}{min(taken):>7.2f}{float(np.median(taken)):>7.2f}{apart:>7.2f}")
