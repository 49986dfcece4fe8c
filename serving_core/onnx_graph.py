"""A graph in ONNX Runtime; imported only by engines that compute with it."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import onnxruntime as ort
from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidArgument, RuntimeException

from serving_core.engine import Takes, uncomputable
from serving_core.errors import StartError
from serving_core.network import IMAGE, NORMALISED, Arrays, Network
from serving_core.tensors import BYTES, TensorSpec

# what a graph of an image classifier may take; with PIXELS=graph it is the first
TAKES: Sequence[Takes] = ("image", "normalised")

# what fails is raised: a client's request must not fill the log
FATAL_ONLY = 4
# ONNX Runtime's names of the types that the protocol has too
DATATYPES = {
    "tensor(string)": BYTES,
    "tensor(bool)": "BOOL",
    "tensor(uint8)": "UINT8",
    "tensor(uint16)": "UINT16",
    "tensor(uint32)": "UINT32",
    "tensor(uint64)": "UINT64",
    "tensor(int8)": "INT8",
    "tensor(int16)": "INT16",
    "tensor(int32)": "INT32",
    "tensor(int64)": "INT64",
    "tensor(float16)": "FP16",
    "tensor(float)": "FP32",
    "tensor(double)": "FP64",
}

# what an image classifier's graph should take -> what is said of a file that takes the other
OTHERS = {
    IMAGE: "has no transform of images, and PIXELS=graph leaves that to the graph: give ONNX_MODEL_URI the "
    "address of model.onnx, or set PIXELS to pillow, simd or native",
    NORMALISED: "has the transform of images inside, and PIXELS says who prepares them outside of the graph: "
    "give ONNX_MODEL_URI the address of network.onnx, or set PIXELS=graph",
}


class OnnxGraph:
    """One session; each calling thread computes on one core."""

    def __init__(self, path: Path, network: Network) -> None:
        """Open the graph without optimising it; raises StartError if it is not a graph of this model."""
        self._session = _session(path)
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        if _is_the_other_graph(network, inputs):
            raise StartError(f"{path.name} {OTHERS[network.inputs[0].name]}")
        wrong = _differences(network, inputs, outputs)
        if wrong:
            raise StartError(
                f"{path.name} differs from its manifest ({wrong}): publish the graph and its manifest again"
            )
        self._inputs = [spec.name for spec in network.inputs]
        self._outputs = [spec.name for spec in network.outputs]
        self._deep_inputs, self._deep_outputs = (
            _deep(network, network.inputs, inputs),
            _deep(network, network.outputs, outputs),
        )

    def predict(self, inputs: Arrays) -> Arrays:
        """Return the graph's outputs in the manifest's order; raises Uncomputable."""
        feed = dict(zip(self._inputs, inputs, strict=True))
        for number in self._deep_inputs:
            feed[self._inputs[number]] = inputs[number][..., None]
        try:
            made: list[Any] = self._session.run(self._outputs, feed)
        except (Fail, InvalidArgument, RuntimeException) as error:
            raise uncomputable(error) from None
        for number in self._deep_outputs:
            made[number] = made[number][..., 0]
        return made


def _session(path: Path) -> ort.InferenceSession:
    # As many requests as cores are computed at once: more threads for each would only compete for them.
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    options.log_severity_level = FATAL_ONLY
    try:
        return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # noqa: BLE001 - ONNX Runtime's exceptions share no other base class
        cause = str(error).splitlines()[0]
        raise StartError(
            f"{path.name} is not a graph that ONNX Runtime can open ({cause}): "
            "publish the model again, or give ONNX_MODEL_URI the address of a graph"
        ) from None


def _is_the_other_graph(network: Network, inputs: Iterable[Any]) -> bool:
    """Tell whether an image classifier's graph has the transform inside and should not, or the reverse."""
    taken, (wanted, *_) = {tensor.name for tensor in inputs}, network.inputs
    return network.pixels is not None and taken == OTHERS.keys() - {wanted.name}


def _deep(network: Network, specs: Sequence[TensorSpec], tensors: Iterable[Any]) -> list[int]:
    """Return the places of strings to which the graph gives an axis of their own, [n, 1] and not [n]."""
    ranks = {tensor.name: len(tensor.shape) for tensor in tensors}
    return [
        place
        for place, spec in enumerate(specs)
        if spec.datatype == BYTES and ranks[spec.name] > len(_shape(network, spec))
    ]


def _differences(network: Network, inputs: Iterable[Any], outputs: Iterable[Any]) -> str:
    """Return in words how the graph's inputs and outputs differ from the manifest's; "" if they do not."""
    taken = {tensor.name: tensor for tensor in inputs}
    made = {tensor.name: tensor for tensor in outputs}
    wrong = []
    if taken.keys() != {spec.name for spec in network.inputs}:
        wrong.append(f"its inputs are {[*taken]}, the manifest's {[spec.name for spec in network.inputs]}")
    if strangers := [spec.name for spec in network.outputs if spec.name not in made]:
        wrong.append(f"its outputs are {[*made]}, without the manifest's {strangers}")
    for specs, tensors in ((network.inputs, taken), (network.outputs, made)):
        wrong += [
            f"{spec.name} is {_written(tensors[spec.name])}, the manifest's is {_wanted(network, spec)}"
            for spec in specs
            if spec.name in tensors and not _fits(network, spec, tensors[spec.name])
        ]
    return "; ".join(wrong)


def _written(tensor: Any) -> str:
    sizes = [size if isinstance(size, int) else -1 for size in tensor.shape]
    return f"{DATATYPES.get(tensor.type, tensor.type)} {sizes}"


def _wanted(network: Network, spec: TensorSpec) -> str:
    return f"{spec.datatype} {[*_shape(network, spec)]}"


def _shape(network: Network, spec: TensorSpec) -> tuple[int, ...]:
    front = {"any": (-1,), "one": (1,), "none": ()}[network.batch]
    return (*front, *spec.shape)


def _fits(network: Network, spec: TensorSpec, tensor: Any) -> bool:
    """Tell whether the graph's tensor can be the spec's; a size that one of them does not fix may be any."""
    if DATATYPES.get(tensor.type) != spec.datatype:
        return False
    wanted = _shape(network, spec)
    sizes = [size if isinstance(size, int) else -1 for size in tensor.shape]
    if spec.datatype == BYTES and len(sizes) == len(wanted) + 1 and sizes[-1] in (-1, 1):
        sizes = sizes[:-1]
    if not sizes and spec in network.outputs:  # of no known shape: the first answer shows it
        return True
    if network.batch == "any" and sizes[:1] != [-1]:
        return False
    return len(sizes) == len(wanted) and all(
        -1 in (known, size) or known == size for known, size in zip(wanted, sizes, strict=True)
    )
