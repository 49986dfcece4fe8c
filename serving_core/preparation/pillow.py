"""PIXELS=pillow: decoded and resized by Pillow, normalised by NumPy."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from serving_core.engine import Takes
from serving_core.images import crop
from serving_core.models.manifest import ServedTransform
from serving_core.preparation.decoded import DecodedByPillow
from serving_core.preparation.normalisation import Normalisation
from serving_core.preparation.preparation import DecodingLimits


class ByPillow(DecodedByPillow):
    """Normalised crops, float32 [1, 3, crop, crop]."""

    takes: Takes = "normalised"

    def __init__(self, transform: ServedTransform, limits: DecodingLimits) -> None:
        super().__init__(limits)
        self._transform = transform
        self._normalised = Normalisation(transform)

    def levels(self, image: Image.Image) -> NDArray[np.uint8]:
        """Return an RGB image's crop, uint8 [crop, crop, 3]."""
        return crop(image, self._transform)

    def prepare(self, decoded: Image.Image) -> NDArray[np.float32]:
        """Return the normalised crop."""
        return self._normalised(self.levels(decoded))

    def examples(self) -> list[NDArray[np.float32]]:
        """Return one crop of noise."""
        return [self._normalised.example()]
