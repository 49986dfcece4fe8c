"""PIXELS=native: decoded, resized and normalised by rust_serving's code, without the interpreter's lock."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import native_pixels
import numpy as np
from native_pixels import Decoded, Description
from numpy.typing import NDArray

from serving_core.decoding.memory import held_for
from serving_core.errors import RequestError
from serving_core.images import QUICK_PIXELS
from serving_core.models.manifest import ServedTransform
from serving_core.preparation.cropping import Cropping
from serving_core.preparation.preparation import CropForm, DecodingLimits
from serving_core.wanted import check_still_wanted


class ByNative(Cropping[Decoded]):
    """Crops; of an image only what the crop reads is decoded."""

    def __init__(self, transform: ServedTransform, limits: DecodingLimits, form: CropForm) -> None:
        super().__init__(transform, limits, form)
        self._native = native_pixels.Transform(
            transform.resize, transform.crop, transform.interpolation, transform.mean, transform.std
        )

    def count_pixels(self, data: bytes) -> int:
        """Return the image's pixels as its header gives them; 0 if there are too many to decode."""
        return native_pixels.count_pixels(data, self._limits.max_pixels)

    def decode(self, data: bytes) -> Decoded:
        """Return the decoded part; raises RequestError 413 or 422, and what `check_still_wanted` raises."""
        with _refusals():
            described = native_pixels.describe(data, self._limits.max_pixels)
        return held_for(self._limits.memory, described.memory_bytes, lambda: self._decoded(data, described))

    def _decoded(self, data: bytes, described: Description) -> Decoded:
        # a call back into Python waits for the interpreter's lock, which a quick image is not worth
        wanted = _still_wanted if described.width * described.height > QUICK_PIXELS else None
        with _refusals():
            return native_pixels.decode(data, described, self._native, wanted)

    def levels(self, decoded: Decoded) -> NDArray[np.uint8]:
        """Return the crop, uint8 [crop, crop, 3]; raises RequestError 422."""
        with _refusals():
            return decoded.levels(self._native)

    def prepare(self, decoded: Decoded) -> NDArray[Any]:
        """Return the crop in its form; raises RequestError 422."""
        if self.takes != "normalised":
            return super().prepare(decoded)
        with _refusals():
            return decoded.prepare(self._native)[np.newaxis]


def _still_wanted() -> bool:
    """Raise what ends the work if nobody waits for it any more; the extension hands that on."""
    check_still_wanted()
    return True


@contextmanager
def _refusals() -> Iterator[None]:
    """Raise the extension's refusals of an image as RequestError."""
    try:
        yield
    except native_pixels.TooLarge as error:
        raise RequestError(413, str(error)) from None
    except native_pixels.Unreadable as error:
        raise RequestError(422, str(error)) from None
