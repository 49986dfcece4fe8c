"""The network's weights from a file, never by unpickling: safetensors, or a state dict of PyTorch."""

from pathlib import Path
from pickle import UnpicklingError

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from modelkit.network import MobileNetV3Small


class WeightsError(ValueError):
    """The file is not a weights file, or is another network's; the message is the cause in one line."""


def read_state(path: Path) -> dict[str, Tensor]:
    """Return the state dict in a file: `.safetensors`, or a file of tensors that torch.save wrote.

    Raises WeightsError for any other file, FileNotFoundError if the file does not exist.
    """
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise
    except (SafetensorError, UnpicklingError, RuntimeError, OSError, EOFError) as error:
        cause = " ".join(str(error).split())[:200]
        raise WeightsError(f"no weights file: {cause}") from None
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise WeightsError("no state dict: save model.state_dict(), not the model")
    return state


def fill(network: MobileNetV3Small, state: dict[str, Tensor]) -> MobileNetV3Small:
    """Load a state dict strictly and return the network; raises WeightsError if any key or shape differs."""
    try:
        network.load_state_dict(state, strict=True)
    except (RuntimeError, TypeError) as error:
        cause = " ".join(str(error).split())[:200]
        raise WeightsError(f"not this network's weights: {cause}") from None
    return network


def load_weights(path: Path, classes: int) -> MobileNetV3Small:
    """Return the network in eval mode with a file's weights; raises WeightsError or FileNotFoundError."""
    return fill(MobileNetV3Small(classes), read_state(path)).eval()
