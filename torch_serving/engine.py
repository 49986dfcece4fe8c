"""A network in PyTorch on the CPU, computed as COMPUTE says."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from modelkit.compiled import CompiledError, load_compiled
from modelkit.modules import OF_INPUTS, ModuleError, in_order, load_module
from serving_core.engine import Batching, Compute, Takes, refuse_gpu, uncomputable
from serving_core.engine_choices import Execution
from serving_core.errors import StartError
from serving_core.models.manifest import ServedTransform
from serving_core.network import Arrays, Network
from torch_serving.executions import Computes, channels_last, fused

WARM_RUNS = 5
# what the metrics and the protocol call an engine
NAMES: Mapping[Execution, str] = {
    "eager": "torch",
    "channels_last": "torch_channels_last",
    "fused": "torch_fused",
    "aot": "torch_aot",
}


class TorchEngine:
    """The network in eval mode, without autograd; each calling thread computes on one core."""

    name = "torch"
    takes: Sequence[Takes] = ("crop",)
    batching = Batching()

    def load(self, path: Path, network: Network, compute: Compute) -> None:
        """Load the program or the weights; raises StartError if they do not fit the network."""
        refuse_gpu(compute, "torch_serving")
        # As many requests as cores are computed at once: more threads for each would only compete for them.
        torch.set_num_threads(1)
        self.name = NAMES[compute.execution]
        try:
            self._compute = _loaded(path, network, compute)
        except (ModuleError, CompiledError) as error:
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
                made = in_order(self._compute(*tensors))
            except OF_INPUTS as error:
                raise uncomputable(error) from error
            return [tensor.numpy() for tensor in made]


def _loaded(path: Path, network: Network, compute: Compute) -> Computes:
    if compute.execution == "aot":
        return _compiled(path, network, compute)
    module = load_module(path, network.architecture)
    if compute.execution == "channels_last":
        return channels_last(module)
    return fused(module, network) if compute.execution == "fused" else module


def _compiled(path: Path, network: Network, compute: Compute) -> Computes:
    if network.pixels is None:
        raise StartError(
            "COMPUTE=aot: only networks of images are compiled ahead, and this one takes tensors: "
            "set COMPUTE=eager, with the model's weights or program"
        )
    computes = load_compiled(path, callers=compute.threads)
    # the code was compiled for this layout, and reads any other as if it were this
    return lambda images: computes(images.contiguous())


class Normalised:
    """Turns crops, uint8 [n, height, width, 3], into a network's input, float32 [n, 3, height, width]."""

    def __init__(self, transform: ServedTransform) -> None:
        self._mean = torch.tensor(transform.mean).view(1, 3, 1, 1) * 255
        self._std = torch.tensor(transform.std).view(1, 3, 1, 1) * 255

    def __call__(self, pixels: Tensor) -> Tensor:
        """Return the normalised pixels."""
        return (pixels.permute(0, 3, 1, 2).float() - self._mean) / self._std
