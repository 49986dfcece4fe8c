"""Images as engines take them whose own graph does the rest: uint8, whole."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from serving_core.engine import Takes
from serving_core.images import count_pixels, crop, decode, framed
from serving_core.models.manifest import ServedTransform
from serving_core.preparation.noise import noise
from serving_core.preparation.preparation import DecodingLimits

# A graph that contains the transform uses 20 bytes for each pixel of an image: see docs/decisions/0002.
MOST_GRAPH_PIXELS = 2_000_000
# height and width of the images with which a graph that contains the transform is made warm
WARM_SIZES = ((256, 256), (300, 400), (727, 1200))


class WholeImages:
    """Images, uint8 [1, height, width, 3]; a large one is cropped, and framed as a small image."""

    takes: Takes = "image"

    def __init__(self, transform: ServedTransform, limits: DecodingLimits) -> None:
        self._transform = transform
        self._limits = limits

    def count_pixels(self, data: bytes) -> int:
        """Return the image's pixels as its header gives them; 0 if there are too many to decode."""
        return count_pixels(data, self._limits.max_pixels)

    def decode(self, data: bytes) -> Image.Image:
        """Return the upright RGB image; raises RequestError 413 or 422."""
        return decode(data, self._limits.max_pixels, self._limits.memory)

    def prepare(self, decoded: Image.Image) -> NDArray[np.uint8]:
        """Return the image, or a smaller one that the transform makes the same crop of."""
        if decoded.width * decoded.height > MOST_GRAPH_PIXELS:
            return framed(crop(decoded, self._transform), self._transform)[np.newaxis]
        return np.asarray(decoded)[np.newaxis]

    def examples(self) -> list[NDArray[np.uint8]]:
        """Return images of noise in several sizes."""
        return [noise(*size) for size in WARM_SIZES]
