"""What a service brings of its own: an engine that turns prepared images into logits."""

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

    `threads` of the processor; the `device` asked for, "auto" meaning a GPU where there is one; `max_batch`
    items together; and `device_share` of a GPU's memory, above 0 and at most 1.
    """

    threads: int = 1
    device: Device = "auto"
    max_batch: int = 1
    device_share: float = 1.0


@dataclass(frozen=True, slots=True)
class Batching:
    """How an engine is best given work.

    `size` items together, beyond which an item costs no less; `in_flight` batches at once; and whether it
    computes on a device of its own, beside the processor that decodes.
    """

    size: int = 1
    in_flight: int = 1
    own_device: bool = False


class Engine(Protocol):
    """A way of computing one network.

    `takes` says what `predict` is given: "crop" is uint8 [n, crop, crop, 3] with the resize and the crop
    done, "image" is one whole image, uint8 [1, height, width, 3], whose transform is in the engine's graph.
    `batching` is known once it is warm.
    """

    name: str
    takes: Literal["crop", "image"]
    batching: Batching

    def load(self, path: Path, classifier: Classifier, compute: Compute) -> None:
        """Load the verified model file.

        Raises StartError when it is not the model the manifest describes, or the device is not to be had.
        """

    def warm(self) -> None:
        """Run the shapes that requests will have, so that the first request is as fast as any."""

    def predict(self, batch: Pixels) -> Logits:
        """Return float32 logits [n, classes]; called from several threads at once."""


def refuse_gpu(compute: Compute, service: str) -> None:
    """Raise StartError where a GPU was asked of a service that computes on the processor."""
    if compute.device == "cuda":
        raise StartError(
            f"DEVICE=cuda: {service} computes on the processor; use batched_serving, or DEVICE=cpu"
        )
