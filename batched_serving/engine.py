"""The network arranged for batches: batch norms folded away, channels last, on the best device there is."""

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from modelkit.weights import WeightsError, load_weights
from serving_core.engine import Batching, Compute, Logits, Pixels
from serving_core.errors import StartError
from serving_core.models.manifest import Classifier

WARM_SIZES = (1, 2, 4, 8, 16)


class BatchedEngine:
    """Computes a batch at a time with every core, or on the GPU."""

    name = "batched"
    takes: Literal["crop", "image"] = "crop"
    batching = Batching()

    def load(self, path: Path, classifier: Classifier, compute: Compute) -> None:
        """Load the weights strictly; raises StartError when they are not this network's."""
        # A batch is shared out among the cores in whole images: threads within an operator would meet after
        # each of a hundred small ones, and wait there for whichever of them the machine holds up.
        torch.set_num_threads(1)
        self._parts = 1 if on_gpu() else compute.threads
        self._pool = ThreadPoolExecutor(self._parts, "engine-part")
        # Answers are to agree with the reference's to the last logit, which TF32 on a GPU would not let them.
        torch.backends.cudnn.allow_tf32 = False
        self._device = torch.device("cuda" if on_gpu() else "cpu")
        self._crop = classifier.transform.crop
        self._mean = self._channels(classifier.transform.mean)
        self._std = self._channels(classifier.transform.std)
        try:
            network = load_weights(path, len(classifier.labels))
        except WeightsError as error:
            raise StartError(
                f"{path.name} is not the {classifier.architecture} that its manifest says ({error})"
            ) from None
        fold_batch_norms(network)
        self._network = network.to(self._device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # the stubs know no module with a memory format and a device

    def warm(self) -> None:
        """Compute blank batches of several sizes."""
        for size in WARM_SIZES:
            self.predict(np.zeros((size, self._crop, self._crop, 3), np.uint8))

    def predict(self, batch: Pixels) -> Logits:
        """Return float32 logits [n, classes] of uint8 crops [n, crop, crop, 3]."""
        parts = min(self._parts, len(batch))
        if parts == 1:
            return self._predict(batch)
        return np.concatenate(list(self._pool.map(self._predict, np.array_split(batch, parts))))

    def _predict(self, batch: Pixels) -> Logits:
        with torch.inference_mode():
            # Channels are last in the pixels, so this view is the channels-last tensor without a copy.
            pixels = torch.from_numpy(batch).to(self._device).permute(0, 3, 1, 2).float()
            logits: Logits = self._network(pixels.sub_(self._mean).div_(self._std)).cpu().numpy()
        return logits

    def _channels(self, values: tuple[float, float, float]) -> Tensor:
        return torch.tensor(values, device=self._device).view(1, 3, 1, 1) * 255


def on_gpu() -> bool:
    """Tell whether batches are computed on a GPU."""
    return torch.cuda.is_available()


def fold_batch_norms(module: nn.Module) -> None:
    """Fold each batch norm into the convolution before it, in place; outputs stay the same to rounding."""
    children = list(module.named_children())
    for (name, child), (next_name, next_child) in pairwise(children):
        if isinstance(child, nn.Conv2d) and isinstance(next_child, nn.BatchNorm2d):
            setattr(module, name, fuse_conv_bn_eval(child, next_child))
            setattr(module, next_name, nn.Identity())
    for child in module.children():
        fold_batch_norms(child)
