"""MobileNetV3-small, and its weights from a file.

The names of the state dict are torchvision's, so that its weights load strictly. A file is never unpickled:
it holds safetensors, or a state dict of PyTorch.
"""

from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class _Stage:
    """The parameters of one inverted residual: channels in, expanded and out, and its operations."""

    inputs: int
    kernel: int
    expanded: int
    outputs: int
    squeeze: bool
    hardswish: bool
    stride: int


_STAGES = (
    _Stage(16, 3, 16, 16, squeeze=True, hardswish=False, stride=2),
    _Stage(16, 3, 72, 24, squeeze=False, hardswish=False, stride=2),
    _Stage(24, 3, 88, 24, squeeze=False, hardswish=False, stride=1),
    _Stage(24, 5, 96, 40, squeeze=True, hardswish=True, stride=2),
    _Stage(40, 5, 240, 40, squeeze=True, hardswish=True, stride=1),
    _Stage(40, 5, 240, 40, squeeze=True, hardswish=True, stride=1),
    _Stage(40, 5, 120, 48, squeeze=True, hardswish=True, stride=1),
    _Stage(48, 5, 144, 48, squeeze=True, hardswish=True, stride=1),
    _Stage(48, 5, 288, 96, squeeze=True, hardswish=True, stride=2),
    _Stage(96, 5, 576, 96, squeeze=True, hardswish=True, stride=1),
    _Stage(96, 5, 576, 96, squeeze=True, hardswish=True, stride=1),
)
_STEM_CHANNELS = 16
_HEAD_CHANNELS = 576
_HIDDEN_FEATURES = 1024
_DROPOUT = 0.2


def _round_to_eight(channels: float) -> int:
    """Return the nearest multiple of eight that is not more than a tenth below `channels`."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded


def _activation(hardswish: bool) -> nn.Module:
    return nn.Hardswish(inplace=True) if hardswish else nn.ReLU(inplace=True)


def _conv_norm(
    inputs: int,
    outputs: int,
    kernel: int,
    stride: int = 1,
    groups: int = 1,
    activation: nn.Module | None = None,
) -> nn.Sequential:
    conv = nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, groups=groups, bias=False)
    layers: list[nn.Module] = [conv, nn.BatchNorm2d(outputs, eps=0.001, momentum=0.01)]
    return nn.Sequential(*layers, *([activation] if activation is not None else []))


class SqueezeExcitation(nn.Module):
    """Scales each channel by a gate computed from all channels' means."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        squeezed = _round_to_eight(channels // 4)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc1 = nn.Conv2d(channels, squeezed, 1)
        self.fc2 = nn.Conv2d(squeezed, channels, 1)
        self.activation = nn.ReLU()
        self.scale_activation = nn.Hardsigmoid()

    def forward(self, features: Tensor) -> Tensor:
        """Return the gated features, [n, channels, h, w] as before."""
        gate: Tensor = self.fc2(self.activation(self.fc1(self.avgpool(features))))
        scaled: Tensor = self.scale_activation(gate) * features
        return scaled


class InvertedResidual(nn.Module):
    """Expands, filters each channel, gates and projects; adds the result to the input if shapes agree."""

    def __init__(self, stage: _Stage) -> None:
        super().__init__()
        self.residual = stage.stride == 1 and stage.inputs == stage.outputs
        width = stage.expanded
        layers: list[nn.Module] = []
        if width != stage.inputs:
            layers.append(_conv_norm(stage.inputs, width, 1, activation=_activation(stage.hardswish)))
        act = _activation(stage.hardswish)
        layers.append(_conv_norm(width, width, stage.kernel, stage.stride, groups=width, activation=act))
        if stage.squeeze:
            layers.append(SqueezeExcitation(width))
        layers.append(_conv_norm(width, stage.outputs, 1))
        self.block = nn.Sequential(*layers)

    def forward(self, features: Tensor) -> Tensor:
        """Return features [n, outputs, h/stride, w/stride] of features [n, inputs, h, w]."""
        out: Tensor = self.block(features)
        return out + features if self.residual else out


class MobileNetV3Small(nn.Module):
    """The classifier: normalised images [n, 3, h, w] -> logits [n, classes]."""

    def __init__(self, classes: int = 11) -> None:
        super().__init__()
        last = _STAGES[-1].outputs
        self.features = nn.Sequential(
            _conv_norm(3, _STEM_CHANNELS, 3, stride=2, activation=nn.Hardswish(inplace=True)),
            *(InvertedResidual(stage) for stage in _STAGES),
            _conv_norm(last, _HEAD_CHANNELS, 1, activation=nn.Hardswish(inplace=True)),
        )
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(
            OrderedDict(
                [
                    ("0", nn.Linear(_HEAD_CHANNELS, _HIDDEN_FEATURES)),
                    ("1", nn.Hardswish(inplace=True)),
                    ("2", nn.Dropout(_DROPOUT, inplace=True)),
                    ("3", nn.Linear(_HIDDEN_FEATURES, classes)),
                ]
            )
        )
        self.apply(initialise)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits [n, classes] of normalised float images [n, 3, h, w]."""
        logits: Tensor = self.classifier(self.avgpool(self.features(images)).flatten(1))
        return logits


def initialise(module: nn.Module) -> None:
    """Draw a layer's first weights: Kaiming's for convolutions, small normal values for linear layers."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out")
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, 0.0, 0.01)
        nn.init.zeros_(module.bias)


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
        raise WeightsError(f"not a weights file: {cause}") from None
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise WeightsError("not a state dict: save model.state_dict(), not the model")
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
