"""Images with which engines are made warm."""

import numpy as np
from numpy.typing import NDArray


def noise(height: int, width: int) -> NDArray[np.uint8]:
    """Return an image of noise, uint8 [1, height, width, 3]."""
    return np.random.default_rng(0).integers(0, 256, (1, height, width, 3), np.uint8)
