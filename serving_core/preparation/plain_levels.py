"""What engines take that normalise crops themselves."""

import numpy as np
from numpy.typing import NDArray

from serving_core.engine import Takes
from serving_core.models.manifest import ServedTransform
from serving_core.preparation.noise import noise


class PlainLevels:
    """Hands a crop on as it is, uint8 [1, crop, crop, 3]."""

    takes: Takes = "crop"

    def __init__(self, transform: ServedTransform) -> None:
        self._crop = transform.crop

    def __call__(self, levels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the crop in one piece, which may be written: PyTorch warns of an array that may not."""
        if levels.flags.c_contiguous:
            return (levels if levels.flags.writeable else levels.copy())[np.newaxis]
        made = np.empty((1, *levels.shape), np.uint8)
        for channel in range(levels.shape[-1]):  # a quarter of the time that NumPy takes for all at once
            made[0, ..., channel] = levels[..., channel]
        return made

    def example(self) -> NDArray[np.uint8]:
        """Return a crop of noise."""
        return noise(self._crop, self._crop)
