"""ENGINE=openvino: a graph that is compiled for this processor as the service starts."""

import logging
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from queue import LifoQueue
from typing import Any

# OpenVINO's import reports to its maker if this package is there, so here it never is
sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]  # what Python takes for a missing module

import numpy as np  # noqa: E402 - the line above comes first
import openvino as ov  # noqa: E402
from numpy.typing import NDArray  # noqa: E402

from serving_core.engine import Compute, uncomputable  # noqa: E402
from serving_core.errors import StartError  # noqa: E402
from serving_core.runtimes.graph import DATATYPES, GraphPort  # noqa: E402
from serving_core.runtimes.instructions import has_bf16  # noqa: E402

# OpenVINO's names of types that ONNX calls otherwise
NAMES = {"boolean": "bool", "f16": "float16", "f32": "float", "f64": "double"}
HINTS = {"fp32": "f32", "bf16": "bf16"}
LONGEST_CAUSE = 200

log = logging.getLogger("serving_core.runtimes.vino")


class VinoGraph:
    """The model, compiled once for each thread that may compute at once.

    A compiled model with one stream computes in its caller's thread, but for one caller at a time; with
    several streams it has threads of its own, to which each call is passed.
    """

    def __init__(self, path: Path, compute: Compute) -> None:
        precision = compute.precision
        if precision == "bf16" and not has_bf16():
            log.warning("this processor has no instructions for bf16: OpenVINO computes in fp32")
            precision = "fp32"
        settings = {
            "INFERENCE_PRECISION_HINT": HINTS[precision],
            "NUM_STREAMS": 1,
            "INFERENCE_NUM_THREADS": 1,
            "ENABLE_CPU_PINNING": False,
        }
        try:
            core = ov.Core()
            model = core.read_model(str(path))
            compiled = [core.compile_model(model, "CPU", settings) for _ in range(compute.threads)]
        except Exception as error:  # noqa: BLE001 - OpenVINO's exceptions share no other base class
            raise StartError(
                f"{path.name} is not a graph that OpenVINO can open ({_in_one_line(error)}): "
                "give ONNX_MODEL_URI the address of a graph that is not optimised for ONNX Runtime, such as "
                "network_plain.onnx, or set ENGINE=onnxruntime"
            ) from None
        self.inputs: Sequence[GraphPort] = [_port(port) for port in model.inputs]
        self.outputs: Sequence[GraphPort] = [_port(port) for port in model.outputs]
        self._places = {name: place for place, port in enumerate(model.outputs) for name in port.names}
        # the request that was used last comes first: its memory is still in the processor's caches
        self._idle: LifoQueue[ov.InferRequest] = LifoQueue()
        for one in compiled:
            self._idle.put(one.create_infer_request())

    def run(self, outputs: Sequence[str], feed: Mapping[str, NDArray[Any]]) -> list[Any]:
        """Return the named outputs in order; raises Uncomputable, or OpenVINO's own if memory ran out."""
        request = self._idle.get()
        try:
            for name, array in feed.items():
                contiguous = np.ascontiguousarray(array)
                request.set_tensor(name, ov.Tensor(contiguous, shared_memory=True))
            request.infer()
            # the request's next call writes to the same memory
            return [np.array(request.get_output_tensor(self._places[name]).data) for name in outputs]
        except (RuntimeError, TypeError, ValueError) as error:
            raise uncomputable(RuntimeError(_in_one_line(error))) from None
        finally:
            self._idle.put(request)


def _in_one_line(error: Exception) -> str:
    """Return what OpenVINO says without the places in its source, which stand in lines before it."""
    lines = [line.strip() for line in str(error).splitlines()]
    said = [line for line in lines if line and not line.startswith(("Exception from ", "Check '"))]
    return " ".join(" ".join(said or lines).split())[:LONGEST_CAUSE]


def _port(port: Any) -> GraphPort:
    kind = port.get_element_type().to_string()
    name = min(port.names) if port.names else port.get_node().get_friendly_name()
    shape = port.get_partial_shape()
    dynamic = shape.rank.is_dynamic
    sizes = () if dynamic else tuple(-1 if size.is_dynamic else size.get_length() for size in shape)
    return GraphPort(name, DATATYPES.get(NAMES.get(kind, kind), kind), sizes)
