"""PIXELS=simd: JPEGs decoded by libjpeg-turbo, resized by fast_image_resize with the processor's vectors."""

import threading
from math import ceil, floor, nextafter

import numpy as np
from cykooz_resizer import CropBox, FilterType, ResizeAlg, ResizeOptions, Resizer
from numpy.typing import NDArray
from PIL import Image
from PIL.ImageFile import ImageFile

from serving_core.decoding.encoded import Encoded
from serving_core.decoding.memory import held_for
from serving_core.images import decode_described, describe, source_box
from serving_core.preparation.cropping import Cropping
from serving_core.preparation.turbo_jpeg import decode_usual

# by the interpolation's name: the filter, and the pixels that it reads each way of a place, at least
FILTERS = {"bilinear": (FilterType.bilinear, 1.0), "bicubic": (FilterType.catmull_rom, 2.0)}
Range = tuple[float, float]
# left, top, right and bottom
Box = tuple[float, float, float, float]
# upright and in RGB: Pillow's, or what libjpeg-turbo made of a JPEG
Decoded = Image.Image | NDArray[np.uint8]
# Pillow's mode of four bytes a pixel that the resizer takes as they are, of which it reads and writes all
FOUR_BYTES = "CMYK"
RGB = 3
# each thread's: a resizer keeps its memory for the next image
_RESIZERS = threading.local()


class BySimd(Cropping[Decoded]):
    """Crops that are Pillow's up to rounding."""

    def decode(self, data: bytes) -> Decoded:
        """Return the upright RGB image.

        Raises RequestError 413 or 422, and what `check_still_wanted` raises.
        """
        decoder, encoded = describe(data, self._limits.max_pixels)
        return held_for(
            self._limits.memory,
            encoded.memory_bytes,
            lambda: decode_whole(decoder, encoded),
        )

    def levels(self, decoded: Decoded) -> NDArray[np.uint8]:
        """Return an RGB image's crop, uint8 [crop, crop, 3].

        Each direction is rounded to whole levels, as Pillow does it, so levels differ from Pillow's by two at
        most, and nearly never by more than one.
        """
        image = _as_image(decoded)
        return self._cropped(image, source_box(image.size, self._transform))

    def _cropped(self, image: Image.Image, box: Box) -> NDArray[np.uint8]:
        """Return a part of an image as the crop."""
        (width, height), crop, (left, top, right, bottom) = image.size, self._transform.crop, box
        if self._transform.interpolation == "bicubic":
            # A bicubic filter overshoots, and what is beyond 0 to 255 is lost after each direction, so they
            # must have Pillow's order. It is zero in places within its reach as well, and for a first or last
            # pixel there the library, asked for both directions at once, reads outside of its memory.
            if _height_first((width, height), crop):
                first, last = self._read((left, right), width)
                image = self._resized(image, (first, last), (top, bottom), (last - first, crop))
                (left, right), (top, bottom) = (left - first, right - first), (0, crop)
            else:
                first, last = self._read((top, bottom), height)
                image = self._resized(image, (left, right), (first, last), (crop, last - first))
                (left, right), (top, bottom) = (0, crop), (top - first, bottom - first)
        return np.asarray(self._resized(image, (left, right), (top, bottom), (crop, crop)))[..., :RGB]

    def _read(self, span: Range, side: int) -> tuple[int, int]:
        """Return the first row or column that resizing a span of them reads, and the first beyond."""
        begin, end = span
        reach = FILTERS[self._transform.interpolation][1] * max(1.0, (end - begin) / self._transform.crop) + 1
        return max(0, floor(begin - reach)), min(side, ceil(end + reach))

    def _resized(self, image: Image.Image, across: Range, down: Range, size: tuple[int, int]) -> Image.Image:
        """Return a part of an image, from across[0] to across[1] and from down[0] to down[1], in `size`."""
        kernel, _ = FILTERS[self._transform.interpolation]
        width, height = _length(across, image.width), _length(down, image.height)
        box = CropBox(across[0], down[0], width, height)
        made = Image.new(image.mode, size)
        _resizer().resize_pil(image, made, ResizeOptions(ResizeAlg.convolution(kernel), crop_box=box))
        return made


def decode_whole(decoder: type[ImageFile], encoded: Encoded) -> Decoded:
    """Return what `describe` returned as an upright RGB image; raises as `decode_described` does."""
    pixels = decode_usual(encoded)
    return decode_described(decoder, encoded) if pixels is None else pixels


def _as_image(decoded: Decoded) -> Image.Image:
    """Return an image as one of Pillow's, which shares its memory."""
    if isinstance(decoded, Image.Image):
        return decoded
    height, width, _ = decoded.shape
    return Image.frombuffer(FOUR_BYTES, (width, height), decoded, "raw", FOUR_BYTES, 0, 1)


def instructions() -> str:
    """Return the name of the instructions that the library chose on this processor: "avx2", or "none"."""
    name: str = _resizer().cpu_extensions.name
    return name


def _resizer() -> Resizer:
    if not hasattr(_RESIZERS, "own"):
        _RESIZERS.own = Resizer()
    return _RESIZERS.own


def _height_first(size: tuple[int, int], crop: int) -> bool:
    """Tell whether Pillow resizes along the height first, as it does with an image that is tall."""
    width, height = (max(0, side - crop) for side in size)
    return height > 2 * width


def _length(span: Range, side: int) -> float:
    """Return how far a span goes so that it stays within `side` if that is added to its begin again."""
    begin, end = span
    length = end - begin
    return nextafter(length, 0.0) if begin + length > side else length
