"""What a way to prepare images does, and what it may use."""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from serving_core.decoding.memory import DecodingMemory
from serving_core.engine import Takes


@dataclass(frozen=True, slots=True)
class DecodingLimits:
    """The most pixels of an image, and what all threads decode in, None if that is unbounded."""

    max_pixels: int
    memory: DecodingMemory | None = None


class CropForm(Protocol):
    """The form in which an engine takes crops."""

    @property
    def takes(self) -> Takes:
        """What the engine takes."""

    def __call__(self, levels: NDArray[np.uint8]) -> NDArray[Any]:
        """Return the engine's input, with the batch's axis, of a crop, uint8 [crop, crop, 3]."""

    def example(self) -> NDArray[Any]:
        """Return an input of noise."""


class Preparation(Protocol):
    """One transform's way from an encoded image to what an engine takes; called from several threads."""

    @property
    def takes(self) -> Takes:
        """What the engine is given."""

    def count_pixels(self, data: bytes) -> int:
        """Return how many pixels the file says that its image has; 0 if `decode` refuses it by its header."""

    def decode(self, data: bytes) -> Any:
        """Return the argument of `prepare`.

        Raises RequestError 413 or 422, and what `check_still_wanted` raises.
        """

    def prepare(self, decoded: Any) -> NDArray[Any]:
        """Return the engine's input for this image alone, with the batch's axis; raises RequestError 422."""

    def examples(self) -> list[NDArray[Any]]:
        """Return an input of every shape that `prepare` gives, of noise."""
