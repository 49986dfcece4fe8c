"""The half that preparations share whose images Pillow decodes."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from serving_core.images import count_pixels, decode
from serving_core.preparation.preparation import DecodingLimits


class DecodedByPillow:
    """Decodes within the limits given."""

    def __init__(self, limits: DecodingLimits) -> None:
        self._limits = limits

    def count_pixels(self, data: bytes) -> int:
        """Return the image's pixels as its header gives them; 0 if there are too many to decode."""
        return count_pixels(data, self._limits.max_pixels)

    def decode(self, data: bytes) -> Image.Image:
        """Return the upright RGB image; raises RequestError 413 or 422."""
        return decode(data, self._limits.max_pixels, self._limits.memory)


def noise(height: int, width: int) -> NDArray[np.uint8]:
    """Return an image of noise, uint8 [1, height, width, 3]."""
    return np.random.default_rng(0).integers(0, 256, (1, height, width, 3), np.uint8)
