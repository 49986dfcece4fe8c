"""What a service brings of its own: an engine that turns prepared images into logits."""

from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from serving_core.models.manifest import Classifier

Pixels = NDArray[np.uint8]
Logits = NDArray[np.float32]


class Engine(Protocol):
    """A way of computing one network.

    `takes` says what `predict` is given: "crop" is uint8 [n, crop, crop, 3] with the resize and the crop
    done, "image" is one whole image, uint8 [1, height, width, 3], whose transform is in the engine's graph.
    """

    name: str
    takes: Literal["crop", "image"]

    def load(self, path: Path, classifier: Classifier, threads: int) -> None:
        """Load the verified model file; raises StartError when it is not the model the manifest describes."""

    def warm(self) -> None:
        """Run the shapes that requests will have, so that the first request is as fast as any."""

    def predict(self, batch: Pixels) -> Logits:
        """Return float32 logits [n, classes]; called from several threads at once."""
