"""The engine that computes a batch at a time: on the processor, or on a GPU if the machine has a GPU."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn

from batched_serving.best_batching import best_batching
from batched_serving.network import Normalise, load_folded
from modelkit.modules import OF_INPUTS, in_order
from serving_core.engine import Batching, Compute, Device, Takes, uncomputable
from serving_core.errors import StartError
from serving_core.network import Arrays, Network

# Up to this many items, a larger batch cost less per item on every machine measured, by a few per cent at
# least.
LEAST = 16


class Backend(Protocol):
    """The loaded network on one kind of device."""

    def warm(self, example: Arrays) -> Batching:
        """Compute batches like those of requests, and return the best batching; `example` is of one item."""

    def predict(self, inputs: Arrays) -> Arrays:
        """Return the network's outputs; called from several threads at once."""


class CpuBackend:
    """Computes a batch on each of several threads; warm-up finds the batch size worth gathering."""

    def __init__(self, module: nn.Module, network: Network, compute: Compute) -> None:
        self._threads = compute.threads
        self._most = compute.max_batch if network.batch == "any" else 1
        self._normalise = None
        self._module = module
        if network.pixels is not None:
            self._normalise = Normalise(network.pixels, torch.device("cpu"))
            self._module = module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # the stubs know no module with a memory format

    def warm(self, example: Arrays) -> Batching:
        """Time batches of several sizes, and return the size beyond which an item costs no less."""
        return best_batching(self.predict, example, self._most, LEAST, self._threads)

    def predict(self, inputs: Arrays) -> Arrays:
        """Return the network's outputs in order."""
        with torch.inference_mode():
            tensors: list[Tensor] = [torch.from_numpy(array) for array in inputs]
            if self._normalise is not None:
                tensors = [self._normalise(tensors[0])]
            try:
                made = in_order(self._module(*tensors))
            except OF_INPUTS as error:
                raise uncomputable(error) from error
            return [tensor.numpy() for tensor in made]


class BatchedEngine:
    """Computes with every core, or on the GPU."""

    name = "batched"
    takes: Sequence[Takes] = ("crop",)
    batching = Batching()

    def load(self, path: Path, network: Network, compute: Compute) -> None:
        """Load the program or the weights; raises StartError if they do not fit, or if the GPU is missing."""
        wants_gpu = _on_gpu(compute.device)
        # As many batches as cores are computed at the same time. Several threads within an operator would
        # synchronise after each of a hundred small operators, and always wait for the slowest thread.
        torch.set_num_threads(1)
        self._backend = _backend(path, network, compute, wants_gpu=wants_gpu)

    def warm(self, examples: Sequence[Arrays]) -> None:
        """Compute batches of several sizes; from then on `batching` is known."""
        self.batching = self._backend.warm(examples[0])

    def predict(self, inputs: Arrays) -> Arrays:
        """Return the network's outputs in order."""
        return self._backend.predict(inputs)


def _backend(path: Path, network: Network, compute: Compute, *, wants_gpu: bool) -> Backend:
    if not wants_gpu:
        return CpuBackend(load_folded(path, network), network, compute)
    # Imported here, because without a GPU they are not needed and cannot run.
    from batched_serving.cuda import own_device, refusal

    try:
        module = load_folded(path, network, own_device(compute))
    except RuntimeError as error:
        raise refusal(error, compute) from error
    if network.pixels is None:
        from batched_serving.cuda_tensors import CudaTensorBackend

        return CudaTensorBackend(module, network, compute)
    from batched_serving.cuda import CudaBackend

    return CudaBackend(module, network, network.pixels, compute)


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
