"""From encoded bytes to RGB pixels to the network's crop: the half of the reference transform in uint8."""

import struct
import warnings
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, _imaging
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from serving_core.decoding import bmp, gif, jpeg, png, run_lengths, webp
from serving_core.decoding.encoded import Encoded, Read, broken
from serving_core.decoding.memory import DecodingMemory, held_for
from serving_core.decoding.orientation import UPRIGHT
from serving_core.errors import RequestError
from serving_core.models.manifest import ServedTransform
from serving_core.wanted import check_still_wanted

# A format's first bytes -> what reads the structure of its files, and what decodes them.
FORMATS: tuple[tuple[bytes, Read, type[ImageFile]], ...] = (
    (jpeg.SIGNATURE, jpeg.read, JpegImageFile),
    (png.SIGNATURE, png.read, PngImageFile),
    (b"RIFF", webp.read, WebPImageFile),
    (b"GIF87a", gif.read, GifImageFile),
    (b"GIF89a", gif.read, GifImageFile),
    (b"BM", bmp.read, BmpImageFile),
)
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
RESAMPLINGS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}
# Each row takes memory and time of its own.
MOST_SIDE = 1_000_000
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

Image.register_decoder("bmp_rle", run_lengths.RunLengths)
# Pillow stores an image in blocks of 16 MiB, which the C library's allocator keeps after they are freed; it
# returns what is larger than 32 MiB at once. With this an image is stored in one block.
_imaging.set_block_size(1024 * 1024 * 1024)
# Pillow's own limit holds for the whole process and at first only warns; ours is checked in every call.
Image.MAX_IMAGE_PIXELS = None
# Pillow warns about clients' images and remembers each warning for ever: clients could fill log and memory.
warnings.filterwarnings("ignore", module=r"PIL\.")


# Reads from a header are short, and an image of this many pixels is decoded in some milliseconds.
LONG_READ_BYTES = 4096
QUICK_PIXELS = 1_000_000


class WatchedFile(BytesIO):
    """A file in memory that its decoder cannot go on reading if nobody waits for the image any more."""

    def read(self, size: int | None = -1, /) -> bytes:
        """Read; raises what `check_still_wanted` raises."""
        if size is None or not 0 <= size < LONG_READ_BYTES:
            check_still_wanted()
        return super().read(size)


def decode(data: bytes, max_pixels: int, memory: DecodingMemory | None = None) -> Image.Image:
    """Decode to an upright RGB image; what the file says beside its pixels and orientation is left aside.

    If there is a `memory`, the image's share of it is taken before anything is decoded, and given back when
    the image is freed. Raises RequestError 413 over `max_pixels` or all of `memory`, 422 for a broken image
    or for a file that takes too much work, and what `check_still_wanted` raises.
    """
    decoder, encoded = describe(data, max_pixels)
    return held_for(memory, encoded.memory_bytes, lambda: decode_described(decoder, encoded))


def count_pixels(data: bytes, max_pixels: int) -> int:
    """Return how many pixels the file says that its image has; 0 if `decode` refuses it by its header."""
    try:
        return describe(data, max_pixels)[1].pixels
    except RequestError:
        return 0


def describe(data: bytes, max_pixels: int) -> tuple[type[ImageFile], Encoded]:
    """Return what decodes a file, and what the file says about itself; raises RequestError 413 or 422."""
    decoder, encoded = _described(data)
    _check_pixels(encoded.width, encoded.height, max_pixels)
    return decoder, encoded


def _described(data: bytes) -> tuple[type[ImageFile], Encoded]:
    for signature, read, decoder in FORMATS:
        if data.startswith(signature):
            return decoder, read(data)
    raise RequestError(422, "this is not an image: send a whole JPEG, PNG, WebP, GIF or BMP")


def _check_pixels(width: int, height: int, max_pixels: int) -> None:
    if max(width, height) > MOST_SIDE:
        raise RequestError(
            413, f"the image has {width}x{height} pixels: send one of at most {MOST_SIDE} pixels a side"
        )
    if width * height > max_pixels:
        raise RequestError(
            413, f"the image has {width}x{height} pixels: send one of at most {max_pixels} pixels in all"
        )


def decode_described(decoder: type[ImageFile], encoded: Encoded, scale: int = 1) -> Image.Image:
    """Decode what `describe` returned to an upright RGB image.

    A JPEG is decoded at 1/2, 1/4 or 1/8 of its size if that is asked for: each side is divided by `scale` and
    rounded up. Raises RequestError 422, and what `check_still_wanted` raises.
    """
    try:
        file = BytesIO if encoded.pixels <= QUICK_PIXELS else WatchedFile
        image: Image.Image = decoder(file(encoded.pixels_only))
        if image.size != (encoded.width, encoded.height):  # others than those whose memory was taken
            raise broken("its sizes differ")
        if scale > 1:
            image.draft(None, (encoded.width // scale, encoded.height // scale))
        image.load()
        if encoded.orientation != UPRIGHT:
            check_still_wanted()
            image = image.transpose(TURNS[encoded.orientation])
        return _to_rgb(image)
    except BROKEN as error:
        raise broken(str(error).splitlines()[0][:120] if str(error) else type(error).__name__) from None


def crop(image: Image.Image, transform: ServedTransform) -> NDArray[np.uint8]:
    """Return uint8 [crop, crop, 3]: the shortest side resized with antialiasing, then a centre crop.

    Only the source region of the crop is resampled. Its pixels differ by at most one level from the pixels
    of a resize of the whole image.
    """
    box = source_box(image.size, transform)
    resized = image.resize((transform.crop, transform.crop), RESAMPLINGS[transform.interpolation], box=box)
    return np.array(resized)  # a copy: the view is read-only, which PyTorch warns of


def source_box(size: tuple[int, int], transform: ServedTransform) -> tuple[float, float, float, float]:
    """Return the left, top, right and bottom of the part of an image of this size that becomes the crop."""
    width, height = size
    short = min(width, height)
    new_width = transform.resize if width == short else transform.resize * width // height
    new_height = transform.resize if height == short else transform.resize * height // width
    left, top = _margin(new_width, transform.crop), _margin(new_height, transform.crop)
    scale_x, scale_y = width / new_width, height / new_height
    return (
        left * scale_x,
        top * scale_y,
        min(float(width), (left + transform.crop) * scale_x),
        min(float(height), (top + transform.crop) * scale_y),
    )


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
