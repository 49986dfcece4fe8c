"""The structure of a WebP: the size of its canvas, and the chunk that its orientation is in."""

import struct
from collections.abc import Iterator

from serving_core.decoding.encoded import Encoded, broken, too_much_work
from serving_core.decoding.orientation import orientation

# A chunk of an animation takes the decoder some time, even if only its first frame is decoded.
MOST_CHUNKS = 4096
# The decoder holds two canvases and a frame, and gives out a copy.
DECODER_PIXEL_BYTES = 17
HEADER_BYTES = 12


def read(data: bytes) -> Encoded:
    """Return what the file says about itself; raises RequestError 422."""
    try:
        width, height = _size(data)
    except struct.error:
        raise broken("it ends in its header") from None
    about = {name: data[body:end] for name, body, end in _chunks(data) if name in {b"EXIF", b"XMP "}}
    return Encoded(
        width=width,
        height=height,
        pixels_only=data,
        orientation=orientation(about.get(b"EXIF", b""), about.get(b"XMP ", b"")),
        decoder_bytes=DECODER_PIXEL_BYTES * width * height,
    )


def _size(data: bytes) -> tuple[int, int]:
    kind = data[12:16]
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    low, high, low_2, high_2 = struct.unpack_from("<HBHB", data, 24)
    return (high << 16 | low) + 1, (high_2 << 16 | low_2) + 1


def _chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield each chunk's name, and where its body begins and ends."""
    at = HEADER_BYTES
    for _ in range(MOST_CHUNKS):
        if at + 8 > len(data):
            return
        name, length = struct.unpack_from("<4sI", data, at)
        yield name, at + 8, at + 8 + length
        at += 8 + length + length % 2
    raise too_much_work(f"the image has more than {MOST_CHUNKS} chunks")
