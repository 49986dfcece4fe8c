"""The network as both back ends arrange it: its weights, with the batch norms folded away."""

from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from modelkit.weights import WeightsError, load_weights
from serving_core.errors import StartError
from serving_core.models.manifest import Classifier


def load_folded(path: Path, classifier: Classifier) -> nn.Module:
    """Return the network in float32 on the processor; raises StartError when these are not its weights."""
    try:
        network = load_weights(path, len(classifier.labels))
    except WeightsError as error:
        raise StartError(
            f"{path.name} is not the {classifier.architecture} that its manifest says ({error})"
        ) from None
    fold_batch_norms(network)
    return network


def fold_batch_norms(module: nn.Module) -> None:
    """Fold each batch norm into the convolution before it, in place; outputs stay the same to rounding."""
    children = list(module.named_children())
    for (name, child), (next_name, next_child) in pairwise(children):
        if isinstance(child, nn.Conv2d) and isinstance(next_child, nn.BatchNorm2d):
            setattr(module, name, fuse_conv_bn_eval(child, next_child))
            setattr(module, next_name, nn.Identity())
    for child in module.children():
        fold_batch_norms(child)


class Normalise:
    """Turns uint8 pixels [n, height, width, 3] into the network's input, on the device where they are."""

    def __init__(self, classifier: Classifier, device: torch.device) -> None:
        transform = classifier.transform
        self._mean, self._std = (
            torch.tensor(values, device=device).view(1, 3, 1, 1) * 255
            for values in (transform.mean, transform.std)
        )

    def __call__(self, pixels: Tensor) -> Tensor:
        """Return float32 [n, 3, height, width], channels last in memory."""
        # Channels are last in the pixels, so this view is the channels-last tensor without a copy.
        return pixels.permute(0, 3, 1, 2).float().sub_(self._mean).div_(self._std)
