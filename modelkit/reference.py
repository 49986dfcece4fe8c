"""The reference: Pillow's pixels, then the network in eager PyTorch. Every strategy must agree with it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from modelkit import ModelkitError
from modelkit.images import decode, reference_pixels
from modelkit.manifest import LABELS, WEIGHTS_FILE, Transform, read_transform
from modelkit.network import MobileNetV3Small, WeightsError, fill, load_weights, read_state

_LAST_LAYER = ("classifier.3.weight", "classifier.3.bias")


def load_network(weights: Path) -> MobileNetV3Small:
    """Return the network in eval mode with these weights; raises ModelkitError if any do not fit."""
    with _one_line(weights):
        return load_weights(weights, len(LABELS))


def load_backbone(weights: Path) -> MobileNetV3Small:
    """Return the network with these weights, but with a new last layer if theirs has other classes.

    Raises ModelkitError if any other layer does not fit.
    """
    network = MobileNetV3Small(len(LABELS))
    with _one_line(weights):
        state, own = read_state(weights), network.state_dict()
        for name in _LAST_LAYER:
            if name in state and state[name].shape != own[name].shape:
                state[name] = own[name]
        return fill(network, state)


@contextmanager
def _one_line(weights: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise ModelkitError(f"{weights} does not exist: train first, python -m modelkit train") from None
    except WeightsError as error:
        raise ModelkitError(
            f"{weights} cannot be used ({error}): give this network's .safetensors, .pt or .pth"
        ) from None


def normalise(pixels: Tensor, transform: Transform) -> Tensor:
    """Return pixels, uint8 [n, h, w, 3], as float32 [n, 3, h, w], divided by 255 and normalised."""
    mean = torch.tensor(transform.mean).view(1, 3, 1, 1)
    std = torch.tensor(transform.std).view(1, 3, 1, 1)
    return (pixels.permute(0, 3, 1, 2).float() / 255 - mean) / std


class Reference:
    """The model as trained: it computes the logits of encoded images."""

    def __init__(self, model_dir: Path) -> None:
        self.transform = read_transform(model_dir)
        self.network = load_network(model_dir / WEIGHTS_FILE)

    def logits(self, images: Sequence[tuple[str, bytes]]) -> NDArray[np.float32]:
        """Return logits, float32 [n, classes], of named encoded images; raises ModelkitError if bad."""
        rows = []
        with torch.inference_mode():
            for name, content in images:
                pixels = reference_pixels(decode(content, name), self.transform)
                batch = normalise(torch.from_numpy(pixels.copy())[None], self.transform)
                rows.append(self.network(batch).numpy()[0])
        return np.stack(rows)


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return probabilities over the last axis."""
    shifted = np.exp(logits.astype(np.float64) - logits.max(-1, keepdims=True))
    return np.asarray(shifted / shifted.sum(-1, keepdims=True))
