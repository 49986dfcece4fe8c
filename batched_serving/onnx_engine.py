"""An exported graph that computes a batch at a time; nothing here needs PyTorch."""

from collections.abc import Sequence
from pathlib import Path

from batched_serving.best_batching import best_batching
from serving_core.engine import Batching, Compute
from serving_core.errors import StartError
from serving_core.network import Arrays, Network
from serving_core.onnx_graph import TAKES, OnnxGraph

# In a batch of 4 an image costs 0.8 of what it costs alone, in one of 8 as much, in one of 32 already 0.9.
LEAST = 4


class BatchedOnnxEngine:
    """One opened graph, of which each of several threads computes a batch on one core."""

    name = "batched"
    takes = TAKES
    batching = Batching()

    def load(self, path: Path, network: Network, compute: Compute) -> None:
        """Open the graph; raises StartError if it is not a graph of this model, or the runtime is missing."""
        if compute.device == "cuda":
            raise StartError(
                "DEVICE=cuda: batched_serving computes an ONNX graph on the processor; give TORCH_MODEL_URI "
                "a network for PyTorch, or set DEVICE=cpu"
            )
        self._graph = OnnxGraph(path, network, compute)
        self._threads = compute.threads
        # images of several sizes, which a graph with the transform inside takes, have no batch
        self._most = compute.max_batch if network.batch == "any" else 1

    def warm(self, examples: Sequence[Arrays]) -> None:
        """Compute each example, and batches of several sizes; from then on `batching` is known."""
        for inputs in examples:
            self.predict(inputs)
        self.batching = best_batching(self.predict, examples[0], self._most, LEAST, self._threads)

    def predict(self, inputs: Arrays) -> Arrays:
        """Return the graph's outputs in the manifest's order."""
        return self._graph.predict(inputs)
