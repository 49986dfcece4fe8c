"""The structure of a PNG: its header, and the chunks that its pixels depend on."""

import struct
import zlib
from collections.abc import Iterator

from serving_core.decoding.encoded import Encoded, broken, too_much_work
from serving_core.decoding.orientation import orientation

SIGNATURE = b"\x89PNG\r\n\x1a\n"
# A body of 16 MiB has 2 048 in the usual 8 KiB of data each; each takes some microseconds to read.
MOST_CHUNKS = 32_768
# of a chunk whose name begins with a small letter, no pixel depends
ANCILLARY = 0x20
TEXTS = {b"tEXt", b"zTXt", b"iTXt"}
# a chunk's length, name and checksum
AROUND_BYTES = 12
# The texts that may give an orientation; EXIF's in hexadecimal digits after three lines.
RAW_EXIF, XMP = b"Raw profile type exif", b"XML:com.adobe.xmp"
MOST_TEXT_BYTES = 1024 * 1024
GREY, COLOUR, PALETTE = 0, 2, 3
# Levels of 16 bits pass through arrays on their way to bytes.
DEEP_GREY_ARRAYS = 6


def read(data: bytes) -> Encoded:
    """Return what the file says about itself; raises RequestError 422."""
    try:
        width, height, depth, colour = struct.unpack_from(">IIBB", data, 16)
    except struct.error:
        raise broken("it ends in its header") from None
    if data[12:16] != b"IHDR":
        raise broken("it has no header")
    kept = [slice(len(SIGNATURE))]
    about: dict[bytes, bytes] = {}
    left_out = False
    headers = 0
    for name, start, body, end in _chunks(data):
        headers += name == b"IHDR"
        if headers > 1:  # a decoder takes the last, and its sizes were never judged
            raise broken("it has two headers")
        if not name[0] & ANCILLARY:
            kept.append(slice(start, end))
            continue
        left_out = True
        if name == b"eXIf":
            about[name] = data[body : end - 4]
        elif name in TEXTS:
            about.update(_text(name, data[body : end - 4]))
    exif = about.get(b"eXIf") or _raw_exif(about.get(RAW_EXIF, b""))
    deep_grey = colour == GREY and depth == 16
    return Encoded(
        width=width,
        height=height,
        pixels_only=b"".join(map(data.__getitem__, kept)) if left_out else data,
        orientation=orientation(exif, about.get(XMP, b"")),
        pixel_bytes=2 if deep_grey else 1 if colour in {GREY, PALETTE} else 4,
        decoder_bytes=DEEP_GREY_ARRAYS * width * height if deep_grey else 0,
        converts=colour != COLOUR,
    )


def _chunks(data: bytes) -> Iterator[tuple[bytes, int, int, int]]:
    """Yield each chunk's name, and where the chunk, its body and what follows it begin."""
    at = len(SIGNATURE)
    for _ in range(MOST_CHUNKS):
        if at + 8 > len(data):
            return
        length, name = struct.unpack_from(">I4s", data, at)
        end = at + AROUND_BYTES + length
        yield name, at, at + 8, end
        if name == b"IEND":
            return
        at = end
    raise too_much_work(f"the image has more than {MOST_CHUNKS} chunks")


def _text(name: bytes, body: bytes) -> dict[bytes, bytes]:
    """Return a text by its keyword if the text may give an orientation and can be read."""
    keyword, _, text = body.partition(b"\0")
    if keyword not in {RAW_EXIF, XMP}:
        return {}
    packed = name == b"zTXt"
    if name == b"iTXt":
        packed = text[:1] != b"\0"
        text = text[2:].partition(b"\0")[2].partition(b"\0")[2]
    elif packed:
        text = text[1:]
    if packed:
        try:
            text = zlib.decompressobj().decompress(text, MOST_TEXT_BYTES)
        except zlib.error:
            return {}
    return {keyword: text}


def _raw_exif(text: bytes) -> bytes:
    try:
        return bytes.fromhex("".join(text.decode("latin-1").split("\n")[3:]))
    except ValueError:
        return b""
