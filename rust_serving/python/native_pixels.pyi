"""From an encoded image to a network's input, in Rust: decode what the crop reads, resize it, normalise it.

Whatever may take longer than a millisecond is computed with the interpreter's lock released. If the extension
itself fails, RuntimeError says where, in one line. A number beyond all limits is a ValueError.
"""

from collections.abc import Callable
from typing import final

import numpy as np
from numpy.typing import NDArray

class TooLarge(ValueError):  # noqa: N818  # an outcome, which a service answers
    """The image has too many pixels."""

class Unreadable(ValueError):  # noqa: N818  # an outcome, which a service answers
    """The file is no image, is broken, or takes too much work."""

class Abandoned(Exception):  # noqa: N818  # an outcome, which a service answers
    """Nobody waits for the image any more."""

@final
class Transform:
    """The transform from an image to the network's input.

    `resize` is what the shortest side is resized to, and `crop` the side of the square in the middle, in
    pixels; `interpolation` is "bilinear" or "bicubic"; `mean` and `std` are those of levels between 0 and 1.
    Raises ValueError if a side is not from 1 to 4096, the crop is larger than what it is taken from, the
    interpolation is another, or a number is not finite or, in `std`, not positive.
    """

    def __init__(
        self,
        resize: int,
        crop: int,
        interpolation: str,
        mean: tuple[float, float, float],
        std: tuple[float, float, float],
    ) -> None: ...

@final
class Description:
    """What a file says about its image, from its structure alone."""

    @property
    def width(self) -> int:
        """The pixels of a stored row."""
    @property
    def height(self) -> int:
        """The stored rows."""
    @property
    def memory_bytes(self) -> int:
        """The most memory that decoding the image takes, in bytes."""

@final
class Decoded:
    """The pixels of an upright image that a crop reads; their memory is free once nothing refers to it."""

    def prepare(self, transform: Transform) -> NDArray[np.float32]:
        """Return the network's input, normalised, [3, crop, crop]; raises Unreadable."""
    def levels(self, transform: Transform) -> NDArray[np.uint8]:
        """Return the crop before it is normalised, [crop, crop, 3]; raises Unreadable."""

def count_pixels(data: bytes, max_pixels: int) -> int:
    """Return how many pixels the file says that its image has; 0 if `describe` refuses it."""

def describe(data: bytes, max_pixels: int) -> Description:
    """Return what the file says about its image; raises TooLarge and Unreadable. Nothing is decoded."""

def decode(
    data: bytes, description: Description, transform: Transform, wanted: Callable[[], bool] | None
) -> Decoded:
    """Decode the part of the image that the crop reads.

    `data` is what was described. `wanted` is asked before each step that takes long. Raises Unreadable,
    Abandoned if the image is not wanted any more, and whatever `wanted` raises.
    """
