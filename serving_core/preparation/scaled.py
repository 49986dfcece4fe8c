"""PIXELS=scaled: large JPEGs decoded at a part of their size; all else as PIXELS=simd has it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from serving_core.decoding.encoded import Encoded
from serving_core.decoding.memory import held_for
from serving_core.decoding.orientation import LEFT_IS_LAST, SIDEWAYS, TOP_IS_LAST
from serving_core.images import decode_described, describe, source_box
from serving_core.models.manifest import ServedTransform
from serving_core.preparation.simd import BySimd, decode_whole, instructions
from serving_core.preparation.simd import Decoded as Whole

__all__ = ["Scaled", "instructions"]

# A JPEG's blocks of 8 by 8 become blocks of 4, 2 or 1.
SCALES = (8, 4, 2)
# The scaled image has still so many times the pixels a side that the resized image will have.
LEAST_TIMES = 2


@dataclass(frozen=True, slots=True, weakref_slot=True)
class ScaledImage:
    """An upright RGB image of which each pixel was `scale` by `scale` pixels of one of this `size`.

    The last pixels of the file may stand for fewer. If they have become the first, the image begins so many
    pixels of that size `before` its left and top edges.
    """

    image: Image.Image
    scale: int
    size: tuple[int, int]
    before: tuple[int, int]


def scale_for(encoded: Encoded, transform: ServedTransform) -> int:
    """Return what a JPEG's sides are divided by as it is decoded; 1 if it is too small, or no usual JPEG."""
    least = LEAST_TIMES * transform.resize
    if not encoded.usual_jpeg:
        return 1
    return next((scale for scale in SCALES if min(encoded.width, encoded.height) // scale >= least), 1)


class Scaled(BySimd):
    """Crops that are near to Pillow's, and for images that are not scaled Pillow's up to rounding."""

    def decode(self, data: bytes) -> Whole | ScaledImage:  # type: ignore[override]  # `levels` takes it
        """Return the upright RGB image.

        Raises RequestError 413 or 422, and what `check_still_wanted` raises.
        """
        decoder, encoded = describe(data, self._limits.max_pixels)
        scale = scale_for(encoded, self._transform)

        def decode() -> Whole | ScaledImage:
            if scale == 1:
                return decode_whole(decoder, encoded)
            return _scaled(decode_described(decoder, encoded, scale), encoded, scale)

        return held_for(self._limits.memory, encoded.memory_bytes, decode)

    def levels(self, decoded: Whole | ScaledImage) -> NDArray[np.uint8]:
        """Return an RGB image's crop, uint8 [crop, crop, 3]."""
        if not isinstance(decoded, ScaledImage):
            return super().levels(decoded)
        left, top, right, bottom = source_box(decoded.size, self._transform)
        (across, down), scale = decoded.before, decoded.scale
        box = (
            (left + across) / scale,
            (top + down) / scale,
            (right + across) / scale,
            (bottom + down) / scale,
        )
        return self._cropped(decoded.image, box)


def _scaled(image: Image.Image, encoded: Encoded, scale: int) -> ScaledImage:
    """Return what was decoded of a file at a part of its size, with where its edges are."""
    size, beyond = (encoded.width, encoded.height), (-encoded.width % scale, -encoded.height % scale)
    if encoded.orientation in SIDEWAYS:
        size, beyond = size[::-1], beyond[::-1]
    before = (
        beyond[0] if encoded.orientation in LEFT_IS_LAST else 0,
        beyond[1] if encoded.orientation in TOP_IS_LAST else 0,
    )
    return ScaledImage(image, scale, size, before)
