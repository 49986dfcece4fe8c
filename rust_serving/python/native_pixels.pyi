"""Images from their bytes to a network's input; all of it runs without the interpreter's lock."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

class TooLarge(ValueError):  # noqa: N818 - an outcome, which a service answers
    """The image has more pixels than are allowed."""

class Unreadable(ValueError):  # noqa: N818 - an outcome, which a service answers
    """The data are no image, a broken one, or one that takes too much work."""

class Abandoned(Exception):  # noqa: N818 - an outcome, which a service answers
    """`wanted` said that nobody waits for the image any more."""

class Transform:
    """What is made of an image."""

    def __init__(
        self,
        resize: int,
        crop: int,
        interpolation: str,
        mean: tuple[float, float, float],
        std: tuple[float, float, float],
    ) -> None:
        """`interpolation` is "bilinear" or "bicubic"; raises ValueError for what is none."""

class Description:
    """What an image's structure says: its sides, upright, and the memory that decoding takes."""

    @property
    def width(self) -> int: ...
    @property
    def height(self) -> int: ...
    @property
    def memory_bytes(self) -> int: ...

class Decoded:
    """The decoded part of an image that a transform reads."""

    def prepare(self, transform: Transform) -> NDArray[np.float32]:
        """Return the normalised crop, [3, crop, crop]; raises Unreadable."""

    def levels(self, transform: Transform) -> NDArray[np.uint8]:
        """Return the crop, [crop, crop, 3]; raises Unreadable."""

def count_pixels(data: bytes, max_pixels: int) -> int:
    """Return how many pixels the image has; 0 if `describe` refuses it."""

def describe(data: bytes, max_pixels: int) -> Description:
    """Return what the image's structure says; raises TooLarge and Unreadable."""

def decode(
    data: bytes, description: Description, transform: Transform, wanted: Callable[[], bool] | None
) -> Decoded:
    """Decode; `wanted` is asked before each long step. Raises Unreadable and Abandoned."""
