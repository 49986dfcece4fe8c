"""The structure of a GIF up to its first image, which alone is decoded."""

import struct

from serving_core.decoding.encoded import Encoded, broken, too_much_work

# A comment or profile is cut into blocks of up to 255 bytes; each takes less than a microsecond to read.
MOST_BLOCKS = 100_000
HEADER_BYTES = 13
EXTENSION, IMAGE, TRAILER = 0x21, 0x2C, 0x3B
CONTROL, CONTROL_BYTES = 0xF9, 4


def read(data: bytes) -> Encoded:
    """Return what the file says about itself; raises RequestError 422."""
    try:
        width, height, flags = struct.unpack_from("<HHB", data, 6)
        begin = HEADER_BYTES + (3 << (flags & 7) + 1 if flags & 0x80 else 0)
        image, controls = _first_image(data, begin)
        left, top, across, down = struct.unpack_from("<HHHH", data, image + 1)
    except (struct.error, IndexError):
        raise broken("it ends before its first image") from None
    return Encoded(
        # an image may reach beyond its screen
        width=max(width, left + across),
        height=max(height, top + down),
        pixels_only=b"".join([data[:begin], *controls, data[image:]]),
        pixel_bytes=1,
    )


def _first_image(data: bytes, at: int) -> tuple[int, list[bytes]]:
    """Return where the first image begins, and the extensions before it that tell how to draw it.

    Raises IndexError if there is no image.
    """
    controls: list[bytes] = []
    left = MOST_BLOCKS
    while data[at] != IMAGE:
        start, left = at, left - 1
        if data[at] == TRAILER:
            raise IndexError
        if data[at] == EXTENSION:
            at += 2
            while left and (size := data[at]):
                at += 1 + size
                left -= 1
            if data[start + 1] == CONTROL and data[start + 2] >= CONTROL_BYTES:
                controls.append(data[start : at + 1])
        at += 1
        if left <= 0:
            raise too_much_work(f"the image comes after more than {MOST_BLOCKS} blocks")
    return at, controls
