"""JPEGs of a wanted size in bytes."""

import io

import numpy as np
from PIL import Image

from modelkit.errors import ModelkitError

_QUALITIES = (30, 96)
_CLOSE = 0.06


def jpeg(image: Image.Image, quality: int) -> bytes:
    """The image as a JPEG of this quality."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def jpeg_of_size(image: Image.Image, target_bytes: int, seed: int) -> bytes:
    """A JPEG within 6 per cent of `target_bytes`: the quality is searched, film grain added where it must be.

    Raises ModelkitError where no quality reaches the target.
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
