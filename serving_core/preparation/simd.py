"""PIXELS=simd: decoded by Pillow, resized by fast_image_resize with the processor's vectors."""

import threading
from math import ceil, floor, nextafter

import numpy as np
from cykooz_resizer import CropBox, FilterType, ResizeAlg, ResizeOptions, Resizer
from numpy.typing import NDArray
from PIL import Image

from serving_core.images import source_box
from serving_core.preparation.pillow import ByPillow

# by the interpolation's name: the filter, and the pixels that it reads each way of a place, at least
FILTERS = {"bilinear": (FilterType.bilinear, 1.0), "bicubic": (FilterType.catmull_rom, 2.0)}
Range = tuple[float, float]
# each thread's: a resizer keeps its memory for the next image
_RESIZERS = threading.local()


class BySimd(ByPillow):
    """Normalised crops, float32 [1, 3, crop, crop]."""

    def levels(self, image: Image.Image) -> NDArray[np.uint8]:
        """Return an RGB image's crop, uint8 [crop, crop, 3].

        Each direction is rounded to whole levels, as Pillow does it, so levels differ from Pillow's by two at
        most, and nearly never by more than one.
        """
        crop = self._transform.crop
        left, top, right, bottom = source_box(image.size, self._transform)
        if self._transform.interpolation == "bicubic":
            # A bicubic filter overshoots, and what is beyond 0 to 255 is lost after each direction, so they
            # must have Pillow's order. It is zero in places within its reach as well, and for a first or last
            # pixel there the library, asked for both directions at once, reads outside of its memory.
            if _height_first(image.size, crop):
                first, last = self._read((left, right), image.width)
                image = self._resized(image, (first, last), (top, bottom), (last - first, crop))
                (left, right), (top, bottom) = (left - first, right - first), (0, crop)
            else:
                first, last = self._read((top, bottom), image.height)
                image = self._resized(image, (left, right), (first, last), (crop, last - first))
                (left, right), (top, bottom) = (0, crop), (top - first, bottom - first)
        return np.asarray(self._resized(image, (left, right), (top, bottom), (crop, crop)))

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
        made = Image.new("RGB", size)
        _resizer().resize_pil(image, made, ResizeOptions(ResizeAlg.convolution(kernel), crop_box=box))
        return made


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
