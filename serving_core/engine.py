"""The part that differs between services: an engine that turns prepared images into logits."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from serving_core.errors import StartError
from serving_core.models.manifest import Classifier

Pixels = NDArray[np.uint8]
Logits = NDArray[np.float32]

Device = Literal["auto", "cpu", "cuda"]


@dataclass(frozen=True, slots=True)
class Compute:
    """What an engine may use.

    `threads` is a number of threads of the processor; `device` is the device asked for, "auto" for a GPU if
    the machine has a GPU; `max_batch` is the most items computed together; `device_share` is the share of a
    GPU's memory, above 0 and at most 1.
    """

    threads: int = 1
    device: Device = "auto"
    max_batch: int = 1
    device_share: float = 1.0


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


class Engine(Protocol):
    """A way of computing one network.

    `takes` names the input of `predict`: "crop" is uint8 [n, crop, crop, 3], resized and cropped already;
    "image" is one whole image, uint8 [1, height, width, 3], which the engine's graph itself transforms.
    `batching` is known once the engine is warm.
    """

    name: str
    takes: Literal["crop", "image"]
    batching: Batching

    def load(self, path: Path, classifier: Classifier, compute: Compute) -> None:
        """Load the verified model file.

        Raises StartError if the model differs from its manifest, or if the device is not available.
        """

    def warm(self) -> None:
        """Compute inputs of every shape that requests will have: the first request is then as fast as any."""

    def predict(self, batch: Pixels) -> Logits:
        """Return float32 logits [n, classes]; called from several threads at once."""


def refuse_gpu(compute: Compute, service: str) -> None:
    """Raise StartError if DEVICE asks for a GPU: this service computes on the processor."""
    if compute.device == "cuda":
        raise StartError(
            f"DEVICE=cuda: {service} computes on the processor; use batched_serving, or DEVICE=cpu"
        )
