"""ENGINE=onnxruntime: a graph that was optimised offline."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import onnxruntime as ort
from numpy.typing import NDArray
from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidArgument, RuntimeException

from serving_core.engine import Compute, uncomputable
from serving_core.errors import StartError
from serving_core.runtimes.graph import DATATYPES, GraphPort

# what fails is raised: a client's request must not fill the log
FATAL_ONLY = 4


class OrtGraph:
    """One session, whose calls compute in their own thread."""

    def __init__(self, path: Path, compute: Compute) -> None:
        if compute.precision != "fp32":
            raise StartError(
                f"PRECISION={compute.precision}: ONNX Runtime computes in the numbers of the graph: "
                "set PRECISION=fp32, or ENGINE=openvino"
            )
        self._session = _session(path)
        self.inputs: Sequence[GraphPort] = [_port(tensor) for tensor in self._session.get_inputs()]
        self.outputs: Sequence[GraphPort] = [_port(tensor) for tensor in self._session.get_outputs()]

    def run(self, outputs: Sequence[str], feed: Mapping[str, NDArray[Any]]) -> list[Any]:
        """Return the named outputs in order; raises Uncomputable, or ONNX Runtime's own if memory ran out."""
        try:
            made: list[Any] = self._session.run(outputs, feed)
        except (Fail, InvalidArgument, RuntimeException) as error:
            raise uncomputable(error) from None
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


def _port(tensor: Any) -> GraphPort:
    kind = str(tensor.type)
    sizes = tuple(size if isinstance(size, int) else -1 for size in tensor.shape)
    return GraphPort(tensor.name, DATATYPES.get(kind.removeprefix("tensor(").removesuffix(")"), kind), sizes)
