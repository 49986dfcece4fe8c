"""The half that preparations share which make crops themselves."""

from abc import ABC, abstractmethod
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from serving_core.engine import Takes
from serving_core.images import count_pixels
from serving_core.models.manifest import ServedTransform
from serving_core.preparation.preparation import CropForm, DecodingLimits

Decoded = TypeVar("Decoded")


class Cropping(ABC, Generic[Decoded]):
    """Crops, in the form that the engine takes."""

    def __init__(self, transform: ServedTransform, limits: DecodingLimits, form: CropForm) -> None:
        self._transform = transform
        self._limits = limits
        self._form = form

    @property
    def takes(self) -> Takes:
        """What the engine is given."""
        return self._form.takes

    def count_pixels(self, data: bytes) -> int:
        """Return the image's pixels as its header gives them; 0 if there are too many to decode."""
        return count_pixels(data, self._limits.max_pixels)

    @abstractmethod
    def decode(self, data: bytes) -> Decoded:
        """Return what `levels` takes.

        Raises RequestError 413 or 422, and what `check_still_wanted` raises.
        """

    @abstractmethod
    def levels(self, decoded: Decoded) -> NDArray[np.uint8]:
        """Return the crop, uint8 [crop, crop, 3]; raises RequestError 422."""

    def prepare(self, decoded: Decoded) -> NDArray[Any]:
        """Return the crop in its form; raises RequestError 422."""
        return self._form(self.levels(decoded))

    def examples(self) -> list[NDArray[Any]]:
        """Return one crop of noise."""
        return [self._form.example()]
