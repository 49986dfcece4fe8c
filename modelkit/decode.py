"""From encoded bytes to the network's pixels: the reference's rules, with Pillow alone."""

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from modelkit.errors import ModelkitError
from modelkit.manifest import Transform

_DEEP_GREY_MODES = ("I", "I;16", "I;16B", "I;16L", "I;16N")
_DEEPEST = 65535
_DEEP_TO_BYTE = 257


def decode(content: bytes, name: str = "image") -> Image.Image:
    """An upright RGB image; raises ModelkitError where the bytes are not a whole image."""
    try:
        with Image.open(io.BytesIO(content)) as image:
            image.load()
            return to_rgb(image)
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise ModelkitError(f"{name} cannot be decoded ({error}): replace it by a whole image") from None


def to_rgb(image: Image.Image) -> Image.Image:
    """The image turned as its EXIF orientation says, in 8-bit RGB; alpha is dropped."""
    upright = ImageOps.exif_transpose(image)
    if upright.mode in _DEEP_GREY_MODES:
        upright = Image.fromarray(_to_bytes(np.asarray(upright)))
    return upright.convert("RGB")


def _to_bytes(levels: NDArray[Any]) -> NDArray[np.uint8]:
    """16-bit grey, in uint16 or int32, scaled without an array wider than it is."""
    if levels.dtype.itemsize == 2:
        return (levels // np.uint16(_DEEP_TO_BYTE)).astype(np.uint8)
    levels = levels.clip(0, _DEEPEST)
    levels //= _DEEP_TO_BYTE
    return levels.astype(np.uint8)


def resized_size(width: int, height: int, shortest: int) -> tuple[int, int]:
    """Width and height in pixels once the shortest side is `shortest`; the other is truncated."""
    if width <= height:
        return shortest, int(shortest * height / width)
    return int(shortest * width / height), shortest


def crop_offset(length: int, crop: int) -> int:
    """Where a centred crop begins; halves round to even, as the training framework's do."""
    return round((length - crop) / 2.0)


def reference_pixels(image: Image.Image, transform: Transform) -> NDArray[np.uint8]:
    """Resize the shortest side (bilinear, antialiased) and crop the centre: uint8 [crop, crop, 3]."""
    width, height = resized_size(*image.size, transform.resize)
    resized = image.resize((width, height), Image.Resampling.BILINEAR)
    left, top = crop_offset(width, transform.crop), crop_offset(height, transform.crop)
    return np.asarray(resized.crop((left, top, left + transform.crop, top + transform.crop)))
