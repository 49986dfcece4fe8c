"""An exported graph in ONNX Runtime."""

from collections.abc import Sequence
from pathlib import Path

from serving_core.engine import Batching, Compute, refuse_gpu
from serving_core.network import Arrays, Network
from serving_core.onnx_graph import TAKES, OnnxGraph


class OnnxEngine:
    """One session; each calling thread computes on one core."""

    name = "onnx"
    takes = TAKES
    batching = Batching()

    def load(self, path: Path, network: Network, compute: Compute) -> None:
        """Open the graph without optimising it; raises StartError if it is not a graph of this model."""
        refuse_gpu(compute, "onnx_serving")
        self._graph = OnnxGraph(path, network)

    def warm(self, examples: Sequence[Arrays]) -> None:
        """Compute each example."""
        for inputs in examples:
            self.predict(inputs)

    def predict(self, inputs: Arrays) -> Arrays:
        """Return the graph's outputs in the manifest's order."""
        return self._graph.predict(inputs)
