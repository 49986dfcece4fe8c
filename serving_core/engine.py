"""The part that differs between services: an engine that computes a network, from arrays to arrays."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from serving_core.engine_choices import Execution, Precision, Runtime
from serving_core.errors import StartError
from serving_core.network import Arrays, Network

Pixels = NDArray[np.uint8]
Logits = NDArray[np.float32]

Device = Literal["auto", "cpu", "cuda"]
# What an engine takes of images: "crop" is uint8 [n, crop, crop, 3], resized and cropped already; "image" is
# one whole image, uint8 [1, height, width, 3], which the engine's graph itself transforms; "normalised" is
# what the network itself takes, float32 [n, 3, crop, crop].
Takes = Literal["crop", "image", "normalised"]


@dataclass(frozen=True, slots=True)
class Compute:
    """What an engine may use.

    `threads` is a number of threads of the processor; `device` is the device asked for, "auto" for a GPU if
    the machine has a GPU; `max_batch` is the most items computed together; `device_share` is the share of a
    GPU's memory, above 0 and at most 1. The others are the settings ENGINE, PRECISION and COMPUTE, which each
    engine heeds that has these choices.
    """

    threads: int = 1
    device: Device = "auto"
    max_batch: int = 1
    device_share: float = 1.0
    runtime: Runtime = "onnxruntime"
    precision: Precision = "fp32"
    execution: Execution = "eager"


@dataclass(frozen=True, slots=True)
class Batching:
    """How an engine computes work fastest.

    `size` is the number of items beyond which a larger batch makes an item no cheaper; `in_flight` is the
    number of batches to compute at once; the last field says whether the engine computes on a device of its
    own, beside the processor that decodes.
    """

    size: int = 1
    in_flight: int = 1
    own_device: bool = False


class Uncomputable(Exception):  # noqa: N818 - an outcome, which a handler turns into a refusal
    """The network cannot compute these inputs: their sizes do not fit, or a value is out of its range."""


def uncomputable(error: Exception) -> Exception:
    """Return what to raise for a network's own exception: itself if memory ran out or a device failed."""
    cause = str(error)
    ours = any(word in cause.lower() for word in ("alloc", "out of memory", "cuda error"))
    return error if ours else Uncomputable(cause)


class Engine(Protocol):
    """A way of computing one network.

    `takes` has what its models may take of images; which of them they take follows from PIXELS, and is the
    first for PIXELS=graph. `batching` is known once the engine is warm.
    """

    name: str
    takes: Sequence[Takes]
    batching: Batching

    def load(self, path: Path, network: Network, compute: Compute) -> None:
        """Load the verified model file.

        Raises StartError if the model differs from its manifest, or if the device is not available.
        """

    def warm(self, examples: Sequence[Arrays]) -> None:
        """Compute inputs of every shape that requests will have: the first request is then as fast as any.

        `examples` are inputs of one item each.
        """

    def predict(self, inputs: Arrays) -> Arrays:
        """Return the network's outputs; called from several threads at once.

        Raises Uncomputable if the network takes other inputs of these shapes or datatypes, but not these.
        """


def refuse_gpu(compute: Compute, service: str) -> None:
    """Raise StartError if DEVICE asks for a GPU: this service computes on the processor."""
    if compute.device == "cuda":
        raise StartError(
            f"DEVICE=cuda: {service} computes on the processor; use batched_serving, or DEVICE=cpu"
        )
