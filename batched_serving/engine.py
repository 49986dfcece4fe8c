"""The engine that computes a batch at a time: on the processor, or on a GPU if the machine has a GPU."""

from pathlib import Path
from typing import Literal, Protocol

import torch

from batched_serving.cpu import CpuBackend
from batched_serving.network import load_folded
from serving_core.engine import Batching, Compute, Device, Logits, Pixels
from serving_core.errors import StartError
from serving_core.models.manifest import Classifier


class Backend(Protocol):
    """The loaded network on one kind of device."""

    def warm(self) -> Batching:
        """Compute batches like those of requests, and return the best batching."""

    def predict(self, batch: Pixels) -> Logits:
        """Return float32 logits [n, classes] of uint8 crops; called from several threads at once."""


class BatchedEngine:
    """Computes with every core, or on the GPU."""

    name = "batched"
    takes: Literal["crop", "image"] = "crop"
    batching = Batching()

    def load(self, path: Path, classifier: Classifier, compute: Compute) -> None:
        """Load the weights strictly; raises StartError if they do not fit, or if the GPU is missing."""
        wants_gpu = _on_gpu(compute.device)
        network = load_folded(path, classifier)
        self._backend: Backend
        if wants_gpu:
            # Imported here, because without a GPU it is not needed and cannot run.
            from batched_serving.cuda import CudaBackend

            self._backend = CudaBackend(network, classifier, compute)
        else:
            self._backend = CpuBackend(network, classifier, compute)

    def warm(self) -> None:
        """Compute batches of several sizes; from then on `batching` is known."""
        self.batching = self._backend.warm()

    def predict(self, batch: Pixels) -> Logits:
        """Return float32 logits [n, classes] of uint8 crops [n, crop, crop, 3]."""
        return self._backend.predict(batch)


def _on_gpu(device: Device) -> bool:
    """Tell whether to use a GPU; raises StartError if DEVICE asks for a GPU and none is usable."""
    if device == "cpu":
        return False
    there = torch.cuda.is_available()
    if device == "cuda" and not there:
        if torch.version.cuda is None:
            raise StartError(
                f"DEVICE=cuda: PyTorch {torch.__version__} here has no CUDA; "
                "build the image with compose.gpu.yaml, or set DEVICE=cpu"
            )
        raise StartError(
            "DEVICE=cuda: PyTorch finds no usable GPU; give the container one and a driver "
            f"for CUDA {torch.version.cuda} (docs/gpu.md), or set DEVICE=cpu"
        )
    return there
