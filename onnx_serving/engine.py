"""An exported graph in the runtime that ENGINE names."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from serving_core.engine import Batching, Compute, refuse_gpu
from serving_core.engine_choices import Runtime
from serving_core.network import Arrays, Network
from serving_core.onnx_graph import TAKES, OnnxGraph

# what the metrics and the protocol call an engine
NAMES: Mapping[Runtime, str] = {"onnxruntime": "onnx", "openvino": "openvino"}


class OnnxEngine:
    """One opened graph; each calling thread computes on one core."""

    name = "onnx"
    takes = TAKES
    batching = Batching()

    def load(self, path: Path, network: Network, compute: Compute) -> None:
        """Open the graph; raises StartError if it is not a graph of this model, or the runtime is missing."""
        refuse_gpu(compute, "onnx_serving")
        self.name = NAMES[compute.runtime]
        self._graph = OnnxGraph(path, network, compute)

    def warm(self, examples: Sequence[Arrays]) -> None:
        """Compute each example."""
        for inputs in examples:
            self.predict(inputs)

    def predict(self, inputs: Arrays) -> Arrays:
        """Return the graph's outputs in the manifest's order."""
        return self._graph.predict(inputs)
