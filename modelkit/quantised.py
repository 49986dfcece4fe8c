"""The network in int8, with scales from generated scenes that nothing else is made of."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from modelkit.images import reference_input
from modelkit.manifest import LABELS, Transform
from modelkit.scenes import scene

# far from the seeds of training, of the image set and of what is held out
_FIRST_SEED = 7_000_000_000
_SIZES = ((320, 240), (400, 300), (300, 400), (480, 360))
_OF_EACH = 4
# of the first convolutions, which see the most of an image and whose rounding all others inherit
_EARLY = 6
# what a squeeze-and-excitation begins and ends with
_POOLS, _GATE = ("GlobalAveragePool", "ReduceMean"), "Mul"


class Calibration(CalibrationDataReader):  # type: ignore[misc]  # the library has no types
    """Gives the network's inputs for generated scenes, the same each time: some of each class and size."""

    def __init__(self, source: str, transform: Transform) -> None:
        self._source, self._transform = source, transform
        self._images = self._drawn()

    def _drawn(self) -> Iterator[NDArray[np.float32]]:
        for number in range(_OF_EACH * len(LABELS)):
            label, size = LABELS[number % len(LABELS)], _SIZES[number // len(LABELS) % len(_SIZES)]
            yield reference_input(scene(label, _FIRST_SEED + number, *size), self._transform)

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        """Return the next input; None after the last."""
        image = next(self._images, None)
        return None if image is None else {self._source: image}


def quantise(network: ModelProto, transform: Transform) -> ModelProto:
    """Return the network in int8, with a scale for each channel of weights and for each activation.

    The first convolutions and the gates of squeeze-and-excitation stay in float32. In int8 the latter change
    labels, and the former make most of the differences of probabilities.
    """
    with tempfile.TemporaryDirectory() as folder:
        given, prepared, made = (Path(folder) / name for name in ("given.onnx", "prepared.onnx", "made.onnx"))
        onnx.save(network, given)
        quant_pre_process(str(given), str(prepared))
        graph = onnx.load(prepared).graph
        quantize_static(
            str(prepared),
            str(made),
            Calibration(network.graph.input[0].name, transform),
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
            calibrate_method=CalibrationMethod.MinMax,
            nodes_to_exclude=[*_early(graph), *_gates(graph)],
        )
        return onnx.load(made)


def _early(graph: Any) -> list[str]:
    """Return the names of the first convolutions, in the graph's order."""
    return [node.name for node in graph.node if node.op_type == "Conv"][:_EARLY]


def _gates(graph: Any) -> list[str]:
    """Return the names of the nodes from each pool over an image to what multiplies by its result."""
    readers: dict[str, list[NodeProto]] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    found = []
    for pool in (node for node in graph.node if node.op_type in _POOLS):
        chain = [pool]
        while chain[-1].op_type != _GATE and (after := readers.get(chain[-1].output[0])):
            chain.append(after[0])
        found += [node.name for node in chain if chain[-1].op_type == _GATE]
    return found
