"""Images as engines take them whose own network or graph does the rest: uint8, whole or cropped."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from serving_core.engine import Takes
from serving_core.images import crop, framed
from serving_core.models.manifest import ServedTransform
from serving_core.preparation.decoded import DecodedByPillow, noise
from serving_core.preparation.preparation import DecodingLimits

# A graph that contains the transform uses 20 bytes for each pixel of an image: see docs/decisions/0002.
MOST_GRAPH_PIXELS = 2_000_000
# height and width of the images with which a graph that contains the transform is made warm
WARM_SIZES = ((256, 256), (300, 400), (727, 1200))


class Crops(DecodedByPillow):
    """Crops, uint8 [1, crop, crop, 3]; the engine normalises them."""

    takes: Takes = "crop"

    def __init__(self, transform: ServedTransform, limits: DecodingLimits) -> None:
        super().__init__(limits)
        self._transform = transform

    def prepare(self, decoded: Image.Image) -> NDArray[np.uint8]:
        """Return the crop."""
        return crop(decoded, self._transform)[np.newaxis]

    def examples(self) -> list[NDArray[np.uint8]]:
        """Return one crop of noise."""
        return [noise(self._transform.crop, self._transform.crop)]


class WholeImages(Crops):
    """Images, uint8 [1, height, width, 3]; a large one is cropped, and framed as a small image."""

    takes: Takes = "image"

    def prepare(self, decoded: Image.Image) -> NDArray[np.uint8]:
        """Return the image, or a smaller one that the transform makes the same crop of."""
        if decoded.width * decoded.height > MOST_GRAPH_PIXELS:
            return framed(crop(decoded, self._transform), self._transform)[np.newaxis]
        return np.asarray(decoded)[np.newaxis]

    def examples(self) -> list[NDArray[np.uint8]]:
        """Return images of noise in several sizes."""
        return [noise(*size) for size in WARM_SIZES]
