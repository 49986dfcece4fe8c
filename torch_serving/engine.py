"""A network in eager PyTorch on the CPU."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from modelkit.modules import OF_INPUTS, ModuleError, in_order, load_module
from serving_core.engine import Batching, Compute, Takes, refuse_gpu, uncomputable
from serving_core.errors import StartError
from serving_core.models.manifest import ServedTransform
from serving_core.network import Arrays, Network

WARM_RUNS = 5


class TorchEngine:
    """The network in eager and eval mode, without autograd; each calling thread computes on one core."""

    name = "torch"
    takes: Sequence[Takes] = ("crop",)
    batching = Batching()

    def load(self, path: Path, network: Network, compute: Compute) -> None:
        """Load the program or the weights; raises StartError if they do not fit the network."""
        refuse_gpu(compute, "torch_serving")
        # As many requests as cores are computed at once: more threads for each would only compete for them.
        torch.set_num_threads(1)
        try:
            self._module = load_module(path, network.architecture)
        except ModuleError as error:
            raise StartError(str(error)) from None
        self._normalise = Normalised(network.pixels) if network.pixels is not None else None

    def warm(self, examples: Sequence[Arrays]) -> None:
        """Compute each example a few times."""
        for inputs in examples:
            for _ in range(WARM_RUNS):
                self.predict(inputs)

    def predict(self, inputs: Arrays) -> Arrays:
        """Return the network's outputs in order."""
        with torch.inference_mode():
            tensors = [torch.from_numpy(array) for array in inputs]
            if self._normalise is not None:
                tensors = [self._normalise(tensors[0])]
            try:
                made = in_order(self._module(*tensors))
            except OF_INPUTS as error:
                raise uncomputable(error) from error
            return [tensor.numpy() for tensor in made]


class Normalised:
    """Turns crops, uint8 [n, height, width, 3], into a network's input, float32 [n, 3, height, width]."""

    def __init__(self, transform: ServedTransform) -> None:
        self._mean = torch.tensor(transform.mean).view(1, 3, 1, 1) * 255
        self._std = torch.tensor(transform.std).view(1, 3, 1, 1) * 255

    def __call__(self, pixels: Tensor) -> Tensor:
        """Return the normalised pixels."""
        return (pixels.permute(0, 3, 1, 2).float() - self._mean) / self._std
