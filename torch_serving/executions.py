"""What COMPUTE makes of a network before it computes: the same answers, by other code."""

import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import convert_conv2d_weight_memory_format

from modelkit.modules import in_order
from serving_core.errors import StartError
from serving_core.network import Network

Computes = Callable[..., Any]
# the sizes of the batches on which a fused network is compared with the network itself
_TRIED = (1, 3)


def channels_last(module: nn.Module) -> Computes:
    """Return the network with the channels of a pixel beside each other in memory, in weights and images."""
    laid_out = convert_conv2d_weight_memory_format(module, torch.channels_last)

    def compute(*tensors: Tensor) -> Any:
        return laid_out(*(_beside(tensor) for tensor in tensors))

    return compute


def _beside(tensor: Tensor) -> Tensor:
    return tensor.contiguous(memory_format=torch.channels_last) if tensor.ndim == 4 else tensor


def fused(module: nn.Module, network: Network) -> Computes:
    """Return the network of an image classifier, frozen, its operators fused for oneDNN.

    It is traced with one image, so it is compared with the network itself on others; raises StartError if it
    differs, or if the network takes other inputs than images.
    """
    if network.pixels is None:
        raise StartError(
            "COMPUTE=fused: a network is fused by the images that it computes, and this one takes tensors: "
            "set COMPUTE=eager or channels_last"
        )
    side = network.pixels.crop
    draw = torch.Generator().manual_seed(0)
    images = [torch.randn(count, 3, side, side, generator=draw) for count in _TRIED]
    try:
        with torch.inference_mode():
            expected = [in_order(module(image))[0] for image in images]
        with torch.no_grad():
            made = _frozen(module, images[0])
        with torch.inference_mode():
            found = [in_order(made(image))[0] for image in images]
    except RuntimeError as error:
        cause = " ".join(str(error).split())[:200]
        raise StartError(
            f"COMPUTE=fused: PyTorch cannot fuse this network ({cause}): set COMPUTE=eager"
        ) from None
    furthest = max(float((one - other).abs().max()) for one, other in zip(expected, found, strict=True))
    if not furthest <= network.tolerance:
        raise StartError(
            f"COMPUTE=fused: the fused network's outputs are {furthest:.3g} off, and {network.tolerance} is "
            "allowed: set COMPUTE=eager"
        )
    return made


def _frozen(module: nn.Module, image: Tensor) -> Computes:
    with warnings.catch_warnings():
        # PyTorch calls its tracer deprecated, and has nothing else that fuses without a compiler
        warnings.simplefilter("ignore")
        traced: Any = torch.jit.trace(module, image, check_trace=False)  # type: ignore[no-untyped-call]
        made: Computes = torch.jit.optimize_for_inference(torch.jit.freeze(traced))
    return made
