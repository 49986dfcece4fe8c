"""The network's input, and the check whether half precision gives the same answers."""

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from modelkit.network import WeightsError, load_weights
from serving_core.engine import Logits, Pixels
from serving_core.errors import StartError
from serving_core.models.manifest import Classifier


def load_folded(path: Path, classifier: Classifier) -> nn.Module:
    """Return the network in float32 on the processor; raises StartError if the weights do not fit."""
    try:
        network = load_weights(path, len(classifier.labels))
    except WeightsError as error:
        raise StartError(
            f"{path.name} is not the {classifier.architecture} that its manifest says ({error})"
        ) from None
    fold_batch_norms(network)
    return network


def fold_batch_norms(module: nn.Module) -> None:
    """Fold each batch norm into the convolution before it, in place; outputs differ only by rounding."""
    children = list(module.named_children())
    for (name, child), (next_name, next_child) in pairwise(children):
        if isinstance(child, nn.Conv2d) and isinstance(next_child, nn.BatchNorm2d):
            setattr(module, name, fuse_conv_bn_eval(child, next_child))
            setattr(module, next_name, nn.Identity())
    for child in module.children():
        fold_batch_norms(child)


class Normalise:
    """Turns uint8 pixels [n, height, width, 3] into the network's input, on the pixels' device."""

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


# Half precision may use this share of the manifest's tolerance for logits; the rest is for the differences
# between any two ways of computing a network.
SHARE = 0.25
NOISES = 8


@dataclass(frozen=True, slots=True)
class Verdict:
    """The error of approximate logits, the largest error allowed, and whether the logits are accepted."""

    holds: bool
    largest_difference: float
    allowed: float
    same_class: bool


def judge(exact: Logits, approximate: Logits, tolerance: float) -> Verdict:
    """Compare logits [n, classes]: each must be within SHARE of the tolerance, with the same best class."""
    allowed = tolerance * SHARE
    difference = float(np.abs(exact - approximate).max())
    same_class = bool((exact.argmax(axis=1) == approximate.argmax(axis=1)).all())
    return Verdict(same_class and difference <= allowed, difference, allowed, same_class)


def probe_pictures(crop: int) -> Pixels:
    """Return pictures of many kinds, uint8 [n, crop, crop, 3], always the same pictures.

    They are plain colours, gradients, stripes, a checkerboard, and noise from fine to coarse.
    """
    across, down = np.meshgrid(np.linspace(0, 1, crop), np.linspace(0, 1, crop))
    greys = [
        *(np.full((crop, crop), level) for level in (0.0, 0.5, 1.0)),
        across,
        1 - down,
        np.hypot(across - 0.5, down - 0.5),
        np.sin(across * 40) / 2 + 0.5,
        np.sign(np.sin(across * 70) * np.sin(down * 70)) / 2 + 0.5,
    ]
    tints = np.array([1.0, 0.8, 0.6])
    plain = [np.clip(grey, 0, 1)[..., np.newaxis] * np.roll(tints, turn) for turn, grey in enumerate(greys)]
    return np.stack([(picture * 255).astype(np.uint8) for picture in [*plain, *_noises(crop)]])


def _noises(crop: int) -> list[np.ndarray[tuple[int, ...], np.dtype[np.float64]]]:
    """Return coloured noise with grains from one pixel to large, like textures and shapes."""
    random = np.random.default_rng(0)
    noises = []
    for number in range(NOISES):
        grain = min(2**number, crop)
        cells = random.random((-(-crop // grain), -(-crop // grain), 3))
        noises.append(cells.repeat(grain, axis=0).repeat(grain, axis=1)[:crop, :crop])
    return noises
