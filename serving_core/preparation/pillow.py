"""PIXELS=pillow: decoded and resized by Pillow."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from serving_core.images import crop, decode
from serving_core.preparation.cropping import Cropping


class ByPillow(Cropping[Image.Image]):
    """Crops as the reference makes them."""

    def decode(self, data: bytes) -> Image.Image:
        """Return the upright RGB image; raises RequestError 413 or 422."""
        return decode(data, self._limits.max_pixels, self._limits.memory)

    def levels(self, decoded: Image.Image) -> NDArray[np.uint8]:
        """Return an RGB image's crop, uint8 [crop, crop, 3]."""
        return crop(decoded, self._transform)
