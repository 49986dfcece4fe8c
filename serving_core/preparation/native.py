"""PIXELS=native: decoded, resized and normalised by rust_serving's code, without the interpreter's lock."""

from collections.abc import Iterator
from contextlib import contextmanager

import native_pixels
import numpy as np
from native_pixels import Decoded, Description
from numpy.typing import NDArray

from serving_core.decoding.memory import held_for
from serving_core.engine import Takes
from serving_core.errors import RequestError
from serving_core.images import QUICK_PIXELS
from serving_core.models.manifest import ServedTransform
from serving_core.preparation.normalisation import Normalisation
from serving_core.preparation.preparation import DecodingLimits
from serving_core.wanted import check_still_wanted


class ByNative:
    """Normalised crops, float32 [1, 3, crop, crop]; of an image only what the crop reads is decoded."""

    takes: Takes = "normalised"

    def __init__(self, transform: ServedTransform, limits: DecodingLimits) -> None:
        self._limits = limits
        self._transform = native_pixels.Transform(
            transform.resize, transform.crop, transform.interpolation, transform.mean, transform.std
        )
        self._normalised = Normalisation(transform)

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
            return native_pixels.decode(data, described, self._transform, wanted)

    def prepare(self, decoded: Decoded) -> NDArray[np.float32]:
        """Return the normalised crop; raises RequestError 422."""
        with _refusals():
            return decoded.prepare(self._transform)[np.newaxis]

    def examples(self) -> list[NDArray[np.float32]]:
        """Return one crop of noise."""
        return [self._normalised.example()]


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
