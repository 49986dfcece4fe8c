"""Encoded images: the reference's steps from bytes to the network's pixels, and JPEGs of a given size."""

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from modelkit import ModelkitError
from modelkit.manifest import Transform

_DEEP_GREY_MODES = ("I", "I;16", "I;16B", "I;16L", "I;16N")
_DEEPEST = 65535
_DEEP_TO_BYTE = 257
_FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


def decode(content: bytes, name: str = "image") -> Image.Image:
    """Return an upright RGB image; raises ModelkitError if the bytes are not a whole image."""
    try:
        with Image.open(io.BytesIO(content)) as image:
            image.load()
            return to_rgb(image)
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise ModelkitError(f"{name} cannot be decoded ({error}): replace it by a whole image") from None


def to_rgb(image: Image.Image) -> Image.Image:
    """Return the image in 8-bit RGB, turned as its EXIF orientation says; alpha is dropped."""
    upright = ImageOps.exif_transpose(image)
    if upright.mode in _DEEP_GREY_MODES:
        upright = Image.fromarray(_to_bytes(np.asarray(upright)))
    return upright.convert("RGB")


def _to_bytes(levels: NDArray[Any]) -> NDArray[np.uint8]:
    """Scale 16-bit grey levels, in uint16 or int32, to uint8 without an array of a wider type."""
    if levels.dtype.itemsize == 2:
        return (levels // np.uint16(_DEEP_TO_BYTE)).astype(np.uint8)
    levels = levels.clip(0, _DEEPEST)
    levels //= _DEEP_TO_BYTE
    return levels.astype(np.uint8)


def resized_size(width: int, height: int, shortest: int) -> tuple[int, int]:
    """Return width and height in pixels if the shortest side is `shortest`; the other is rounded down."""
    if width <= height:
        return shortest, int(shortest * height / width)
    return int(shortest * width / height), shortest


def crop_offset(length: int, crop: int) -> int:
    """Return the offset of a centred crop; halves round to even, as in the training framework."""
    return round((length - crop) / 2.0)


def reference_pixels(image: Image.Image, transform: Transform) -> NDArray[np.uint8]:
    """Resize the shortest side (antialiased) and crop the centre: uint8 [crop, crop, 3]."""
    width, height = resized_size(*image.size, transform.resize)
    resized = image.resize((width, height), _FILTERS[transform.interpolation])
    left, top = crop_offset(width, transform.crop), crop_offset(height, transform.crop)
    return np.asarray(resized.crop((left, top, left + transform.crop, top + transform.crop)))


def reference_input(image: Image.Image, transform: Transform) -> NDArray[np.float32]:
    """Return what the network takes of an image: its pixels, normalised, float32 [1, 3, crop, crop]."""
    mean, std = (
        np.asarray(values, np.float32).reshape(1, 3, 1, 1) for values in (transform.mean, transform.std)
    )
    pixels = reference_pixels(image, transform).transpose(2, 0, 1)[None].astype(np.float32)
    return np.asarray((pixels / 255 - mean) / std, np.float32)


_QUALITIES = (30, 96)
_CLOSE = 0.06


def jpeg(image: Image.Image, quality: int) -> bytes:
    """Return the image as a JPEG of this quality."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def jpeg_of_size(image: Image.Image, target_bytes: int, seed: int) -> bytes:
    """Return a JPEG within 6 per cent of `target_bytes`: search the quality, and add film grain if necessary.

    Raises ModelkitError if no quality reaches the target.
    """
    for grain in (0.0, 3.0, 6.0, 10.0, 15.0):
        noisy = _grained(image, grain, seed)
        low, high = _QUALITIES
        while low < high:
            middle = (low + high) // 2
            if len(jpeg(noisy, middle)) < target_bytes:
                low = middle + 1
            else:
                high = middle
        for quality in (low, low - 1):
            content = jpeg(noisy, quality)
            if abs(len(content) - target_bytes) <= _CLOSE * target_bytes:
                return content
    raise ModelkitError(f"no JPEG of about {target_bytes} bytes at {image.size}: choose another size")


def _grained(image: Image.Image, deviation: float, seed: int) -> Image.Image:
    if deviation == 0:
        return image
    rng = np.random.default_rng(seed)
    levels = np.asarray(image, np.float32)
    grain = rng.normal(0, deviation, levels.shape[:2])[..., None]
    return Image.fromarray((levels + grain).clip(0, 255).astype(np.uint8))
