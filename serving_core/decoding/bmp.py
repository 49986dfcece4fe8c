"""The structure of a BMP: its size and how its pixels are stored."""

import struct

from serving_core.decoding.encoded import Encoded, broken

RUN_LENGTHS = {1, 2}
OLD_HEADER_BYTES = 12


def read(data: bytes) -> Encoded:
    """Return what the file says about itself; raises RequestError 422."""
    try:
        width, height, bits, compression = _header(data)
    except struct.error:
        raise broken("it ends in its header") from None
    return Encoded(
        width=width,
        height=height,
        pixels_only=data,
        pixel_bytes=1 if bits <= 8 else 4,
        decoder_bytes=3 * width * height if compression in RUN_LENGTHS else 0,
        converts=bits != 24,
    )


def _header(data: bytes) -> tuple[int, int, int, int]:
    """Return width, height, bits of a pixel and compression."""
    (length,) = struct.unpack_from("<I", data, 14)
    if length == OLD_HEADER_BYTES:
        width, height, _, bits = struct.unpack_from("<HHHH", data, 18)
        return width, height, bits, 0
    width, height, _, bits, compression = struct.unpack_from("<IiHHI", data, 18)
    return width, abs(height), bits, compression
