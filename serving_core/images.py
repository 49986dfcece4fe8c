"""From encoded bytes to RGB pixels to the network's crop: the half of the reference transform in uint8."""

import struct
import warnings
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageOps,
    JpegImagePlugin,
    PngImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)

from serving_core.errors import RequestError
from serving_core.models.manifest import ServedTransform

# With the plugins named here, Image.open need not search for and import every format that Pillow knows.
FORMATS = tuple(
    plugin.format
    for plugin in (
        JpegImagePlugin.JpegImageFile,
        PngImagePlugin.PngImageFile,
        WebPImagePlugin.WebPImageFile,
        GifImagePlugin.GifImageFile,
        BmpImagePlugin.BmpImageFile,
    )
)
ORIENTATION = 0x0112
DEEPEST = 65535
DEEP_TO_BYTE = 257
# What Pillow raises for broken bytes; which exception depends on the format and on the place of the break.
BROKEN = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    IndexError,
    KeyError,
    TypeError,
    struct.error,
    MemoryError,
)

# Pillow's own limit holds for the whole process and at first only warns; ours is checked in every call.
Image.MAX_IMAGE_PIXELS = None
# Pillow warns about clients' images and remembers each warning for ever: clients could fill log and memory.
warnings.filterwarnings("ignore", module=r"PIL\.")


def decode(data: bytes, max_pixels: int) -> Image.Image:
    """Decode to an upright RGB image; raises RequestError 413 over `max_pixels`, 422 for a broken image."""
    try:
        image: Image.Image = Image.open(BytesIO(data), formats=FORMATS)
    except UnidentifiedImageError:
        raise RequestError(422, "this is not an image: send a whole JPEG, PNG, WebP, GIF or BMP") from None
    except BROKEN as error:
        raise _broken(error) from None
    width, height = image.size
    if width * height > max_pixels:
        raise RequestError(
            413, f"the image has {width}x{height} pixels: send one of at most {max_pixels} pixels in all"
        )
    try:
        image.load()
        if image.getexif().get(ORIENTATION, 1) != 1:
            image = ImageOps.exif_transpose(image)
        return _to_rgb(image)
    except BROKEN as error:
        raise _broken(error) from None


def crop(image: Image.Image, transform: ServedTransform) -> NDArray[np.uint8]:
    """Return uint8 [crop, crop, 3]: the shortest side resized (antialiased bilinear), then a centre crop.

    Only the source region of the crop is resampled. Its pixels differ by at most one level from the pixels
    of a resize of the whole image.
    """
    width, height = image.size
    short = min(width, height)
    new_width = transform.resize if width == short else transform.resize * width // height
    new_height = transform.resize if height == short else transform.resize * height // width
    left, top = _margin(new_width, transform.crop), _margin(new_height, transform.crop)
    scale_x, scale_y = width / new_width, height / new_height
    box = (
        left * scale_x,
        top * scale_y,
        min(float(width), (left + transform.crop) * scale_x),
        min(float(height), (top + transform.crop) * scale_y),
    )
    resized = image.resize((transform.crop, transform.crop), Image.Resampling.BILINEAR, box=box)
    return np.array(resized)  # a copy: the view is read-only, which PyTorch warns of


def framed(cropped: NDArray[np.uint8], transform: ServedTransform) -> NDArray[np.uint8]:
    """Return an image, uint8 [resize, resize, 3], whose transform is `cropped`."""
    margin = _margin(transform.resize, transform.crop)
    image = np.zeros((transform.resize, transform.resize, 3), np.uint8)
    image[margin : margin + transform.crop, margin : margin + transform.crop] = cropped
    return image


def _margin(size: int, crop_size: int) -> int:
    return round((size - crop_size) / 2)


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "RGB":
        return image
    if image.mode.startswith("I"):
        image = Image.fromarray(_to_bytes(np.asarray(image)))
    return image.convert("RGB")


def _to_bytes(levels: NDArray[Any]) -> NDArray[np.uint8]:
    """Scale 16-bit grey levels, in uint16 or int32, to uint8 without an array of a wider type."""
    if levels.dtype.itemsize == 2:
        return (levels // np.uint16(DEEP_TO_BYTE)).astype(np.uint8)
    levels = levels.clip(0, DEEPEST)
    levels //= DEEP_TO_BYTE
    return levels.astype(np.uint8)


def _broken(error: BaseException) -> RequestError:
    reason = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
    return RequestError(422, f"the image is truncated or corrupt ({reason}): send a whole image file")
