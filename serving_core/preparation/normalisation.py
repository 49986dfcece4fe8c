"""From a crop's levels to the numbers that a network computes with."""

import numpy as np
from numpy.typing import NDArray

from serving_core.engine import Takes
from serving_core.models.manifest import ServedTransform
from serving_core.preparation.noise import noise


class Normalisation:
    """Turns a crop, uint8 [crop, crop, 3], into a network's input, float32 [1, 3, crop, crop].

    Levels become planes as bytes, which are a quarter of the size. Arithmetic on planes then takes less time
    than to look each number up in a table.
    """

    takes: Takes = "normalised"

    def __init__(self, transform: ServedTransform) -> None:
        mean, std = (np.array(some).reshape(3, 1, 1) for some in (transform.mean, transform.std))
        self._factor = (1 / (255 * std)).astype(np.float32)
        self._shift = (-mean / std).astype(np.float32)
        self._crop = transform.crop

    def __call__(self, levels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the normalised crop."""
        numbers = np.ascontiguousarray(levels.transpose(2, 0, 1)).astype(np.float32)
        numbers *= self._factor
        numbers += self._shift
        return numbers[np.newaxis]

    def example(self) -> NDArray[np.float32]:
        """Return a crop of noise, normalised."""
        (levels,) = noise(self._crop, self._crop)
        return self(levels)
