"""Pictures that cost a service more than their bytes say, and pictures with metadata that nobody can read."""

import struct
import zlib
from functools import cache
from io import BytesIO

from PIL import Image

# just under the service's MAX_PIXELS
LARGE = (7000, 7000)
END_OF_IMAGE = b"\xff\xd9"
START_OF_SCAN = b"\xff\xda"


def _saved(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@cache
def large() -> bytes:
    """A PNG in colour of 49 megapixels: 150 kB, 147 MB when decoded."""
    return _saved(Image.new("RGB", LARGE, (9, 90, 200)), "PNG")


@cache
def large_grey() -> bytes:
    """A PNG of one bit a pixel and 49 megapixels: 6 kB, 49 MB when decoded."""
    return _saved(Image.new("1", LARGE), "PNG")


@cache
def many_scans(count: int) -> bytes:
    """A progressive JPEG of 9 megapixels, grey all over, whose last scan comes `count` times more."""
    picture = _saved(Image.new("L", (3000, 3000), 90), "JPEG", progressive=True)
    last = picture.rindex(START_OF_SCAN)
    scan = picture[last:].removesuffix(END_OF_IMAGE)
    return picture[:last] + scan * (count + 1) + END_OF_IMAGE


def with_chunk(png: bytes, name: bytes, content: bytes) -> bytes:
    """Put a chunk with a right checksum before the pixels of a PNG."""
    at = png.index(b"IDAT") - 4
    chunk = struct.pack(">I", len(content)) + name + content
    return png[:at] + chunk + struct.pack(">I", zlib.crc32(name + content)) + png[at:]


def odd_metadata(png: bytes) -> list[bytes]:
    """The same picture with metadata that cannot be read, or that is larger than any real metadata."""
    long_profile = b"icc\0\0" + zlib.compress(bytes(2_000_000))
    return [
        with_chunk(png, b"eXIf", b"no TIFF header"),
        with_chunk(png, b"iCCP", long_profile),
        with_chunk(png, b"zTXt", b"note\0\0" + zlib.compress(bytes(3_000_000))),
    ]
