"""The network's input, and the check whether half precision gives the same answers."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from modelkit.modules import OF_INPUTS, ModuleError, in_order, load_module
from modelkit.programs import PROCESSOR
from serving_core.drawn import example_items
from serving_core.engine import Logits, Pixels
from serving_core.errors import StartError
from serving_core.models.manifest import ServedTransform
from serving_core.network import Network
from serving_core.tensors import BYTES

log = logging.getLogger("batched_serving.network")

# what another order of additions may change of an answer, as a share of the largest answer
ROUNDING = 1e-3


def load_folded(path: Path, network: Network, device: torch.device = PROCESSOR) -> nn.Module:
    """Return the network in a file: a program on the device, another network on the processor.

    Raises StartError if the file and it do not fit, and RuntimeError if the device fails. The network's
    batch norms are folded if its answers to an example stay the same, since a network of the user's may
    compute more than its Sequentials say.
    """
    module = _loaded(path, network, device)
    if not any(_foldable(part) for part in module.modules()):
        return module
    for inputs in _examples(network):
        before = _answers(module, inputs)
        if before is None:
            continue
        fold_batch_norms(module)
        if _same(before, _answers(module, inputs)):
            return module
        break
    log.info("batch norms are not folded: the answers would change, or no example is computed")
    return _loaded(path, network, device)


def _loaded(path: Path, network: Network, device: torch.device) -> nn.Module:
    try:
        return load_module(path, network.architecture, device)
    except ModuleError as error:
        raise StartError(str(error)) from None


def _examples(network: Network) -> Iterator[list[Tensor]]:
    """Give inputs of one item: an image of noise, or what warms up a model of tensors."""
    if network.pixels is not None:
        crop = network.pixels.crop
        noise = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (1, crop, crop, 3), np.uint8))
        yield [Normalise(network.pixels, torch.device("cpu"))(noise)]
        return
    if any(spec.datatype == BYTES for spec in network.inputs):
        return
    for item in example_items(network):
        values = [torch.from_numpy(np.asarray(value)) for value in item.values()]
        yield values if network.batch == "none" else [value[None] for value in values]


def _answers(module: nn.Module, inputs: Sequence[Tensor]) -> list[Tensor] | None:
    """Return the network's outputs; None if it does not compute these inputs."""
    try:
        with torch.inference_mode():
            return [made.clone() for made in in_order(module(*(value.clone() for value in inputs)))]
    except (*OF_INPUTS, AttributeError, TypeError):  # the last two for what is no tensor
        return None


def _same(before: list[Tensor], after: list[Tensor] | None) -> bool:
    return after is not None and all(
        torch.allclose(one, other, rtol=0, atol=ROUNDING * float(one.abs().max()), equal_nan=True)
        if one.is_floating_point() and one.numel()
        else torch.equal(one, other)
        for one, other in zip(before, after, strict=True)
    )


def fold_batch_norms(module: nn.Module) -> None:
    """Fold each batch norm into the convolution before it, in place; outputs differ only by rounding.

    Only a Sequential says what comes after what.
    """
    for name, child, next_name, next_child in _foldable(module):
        setattr(module, name, fuse_conv_bn_eval(child, next_child))
        setattr(module, next_name, nn.Identity())
    for part in module.children():
        fold_batch_norms(part)


def _foldable(module: nn.Module) -> list[tuple[str, nn.Conv2d, str, nn.BatchNorm2d]]:
    """Return a Sequential's convolutions and the batch norm that follows each, with their names."""
    if not isinstance(module, nn.Sequential) or type(module).forward is not nn.Sequential.forward:
        return []
    return [
        (name, child, next_name, next_child)
        for (name, child), (next_name, next_child) in pairwise(module.named_children())
        # a class derived from these may compute something else
        if type(child) is nn.Conv2d and type(next_child) is nn.BatchNorm2d and next_child.track_running_stats
    ]


class Normalise:
    """Turns uint8 pixels [n, height, width, 3] into the network's input, on the pixels' device."""

    def __init__(self, transform: ServedTransform, device: torch.device) -> None:
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
# smaller shares of a probability are lost in half precision, and say nothing of the answer
LEAST = 1e-3
NOISES = 8


@dataclass(frozen=True, slots=True)
class Verdict:
    """The error of approximate logits, the largest error allowed, and whether the logits are accepted."""

    holds: bool
    largest_difference: float
    allowed: float
    same_class: bool


def judge(exact: Logits, approximate: Logits, tolerance: float, *, probabilities: bool = False) -> Verdict:
    """Compare logits [n, classes]: each must be within SHARE of the tolerance, with the same best class.

    Of logits that lie closer together than 1, this share of how far apart they are counts.
    Of probabilities the logarithms are compared, which differ as logits do. Those of less than a share of
    LEAST of the most likely class's count as so much.
    """
    if probabilities:
        least = exact.max(axis=1, keepdims=True) * LEAST
        exact, approximate = (np.log(np.maximum(scores, least)) for scores in (exact, approximate))
    allowed = tolerance * SHARE * min(1.0, float(np.ptp(exact, axis=1).max()))
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
