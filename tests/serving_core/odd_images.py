"""Images that are whole but odd: with metadata that nobody can read, or made so that decoding takes long."""

import io
import struct
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image

SIZE = (64, 48)
SIGNATURE = b"\x89PNG\r\n\x1a\n"
MIB = 1024 * 1024


def picture(size: tuple[int, int] = SIZE) -> Image.Image:
    levels = np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8)
    return Image.fromarray(levels).resize(size, Image.Resampling.BICUBIC)


def saved(form: str, image: Image.Image | None = None, **options: Any) -> bytes:
    buffer = io.BytesIO()
    (image or picture()).save(buffer, form, **options)
    return buffer.getvalue()


def chunk(name: bytes, body: bytes, checksum: int | None = None) -> bytes:
    right = zlib.crc32(name + body)
    return (
        struct.pack(">I", len(body))
        + name
        + body
        + struct.pack(">I", right if checksum is None else checksum)
    )


def png_with(*chunks: bytes, last: bool = False) -> bytes:
    """A PNG with more chunks after its header, or before its end."""
    whole = saved("PNG")
    at = whole.index(b"IEND") - 4 if last else 33
    return whole[:at] + b"".join(chunks) + whole[at:]


def segment(marker: int, body: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body


def jpeg_with(*segments: bytes) -> bytes:
    """A JPEG with more segments before all others."""
    whole = saved("JPEG")
    return whole[:2] + b"".join(segments) + whole[2:]


def webp_with(name: bytes, body: bytes) -> bytes:
    """A WebP with one more chunk."""
    whole = saved("WEBP", lossless=True, exif=b"Exif\0\0II*\0\x08\0\0\0\0\0", icc_profile=b"profile")
    at = whole.index(b"EXIF")
    made = whole[:at] + name + struct.pack("<I", len(body)) + body + bytes(len(body) % 2)
    return made[:4] + struct.pack("<I", len(made) - 8) + made[8:]


def gif_with(extensions: bytes) -> bytes:
    """A GIF with extensions before its image."""
    whole = saved("GIF", picture().quantize(64))
    at = 13 + (3 << (whole[10] & 7) + 1)
    return whole[:at] + extensions + whole[at:]


def tiff(kind: int, count: int, value: bytes, order: str = "<", tag: int = 0x0112, entries: int = 1) -> bytes:
    """EXIF with one tag of a TIFF type; `value` is its four bytes, or what they point to."""
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "L", 8)
    inline = value if len(value) == 4 else struct.pack(order + "L", 26)
    entry = struct.pack(order + "HHHL", entries, tag, kind, count) + inline + bytes(4)
    return head + entry + (b"" if len(value) == 4 else value)


def zipped(length: int) -> bytes:
    return zlib.compress(bytes(length), 9)


JUNK = bytes(range(7, 77))
ODD_PNGS: dict[str, Callable[[], bytes]] = {
    "junk in eXIf": lambda: png_with(chunk(b"eXIf", JUNK)),
    "an empty eXIf": lambda: png_with(chunk(b"eXIf", b"")),
    "junk in eXIf after the pixels": lambda: png_with(chunk(b"eXIf", JUNK), last=True),
    "EXIF that points to itself": lambda: png_with(chunk(b"eXIf", tiff(13, 1, b"\x08\0\0\0", tag=0x8769))),
    "EXIF of more entries than there are": lambda: png_with(
        chunk(b"eXIf", tiff(3, 1, b"\1\0\0\0", entries=65535))
    ),
    "a profile of 3 MiB": lambda: png_with(chunk(b"iCCP", b"profile\0\0" + zipped(3 * MIB))),
    "a profile packed in an unknown way": lambda: png_with(chunk(b"iCCP", b"profile\0\7" + JUNK)),
    "a profile without a name": lambda: png_with(chunk(b"iCCP", b"")),
    "a text of 20 MiB": lambda: png_with(chunk(b"zTXt", b"Comment\0\0" + zipped(20 * MIB))),
    "an international text of 20 MiB": lambda: png_with(
        chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zipped(20 * MIB))
    ),
    "texts of 70 MiB together": lambda: png_with(
        *[chunk(b"zTXt", b"Comment%d\0\0" % number + zipped(MIB - 1)) for number in range(70)]
    ),
    "a text packed in an unknown way": lambda: png_with(chunk(b"zTXt", b"Comment\0\5" + JUNK)),
    "a wrong checksum of a text": lambda: png_with(chunk(b"tEXt", b"a\0b", checksum=1)),
    "a wrong checksum of eXIf": lambda: png_with(chunk(b"eXIf", JUNK, checksum=1)),
    "raw EXIF that is not hexadecimal": lambda: png_with(
        chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(b"\nexif\n 4\nnothing of the kind"))
    ),
    "short colour chunks": lambda: png_with(chunk(b"gAMA", b"1"), chunk(b"cHRM", b"2"), chunk(b"pHYs", b"3")),
    "a short transparency": lambda: png_with(chunk(b"tRNS", b"1")),
    "a chunk of an animation without frames": lambda: png_with(chunk(b"acTL", bytes(3))),
    "frames out of order": lambda: png_with(
        chunk(b"acTL", b"\0\0\0\2\0\0\0\0"), chunk(b"fcTL", b"\xff" * 26)
    ),
    "a private chunk": lambda: png_with(chunk(b"zzZz", JUNK)),
    "a chunk after the pixels that ends too soon": lambda: png_with(b"\0\1\0\0tEXt", last=True),
}
ODD_JPEGS: dict[str, Callable[[], bytes]] = {
    "junk in EXIF": lambda: jpeg_with(segment(0xE1, b"Exif\0\0" + JUNK)),
    "EXIF of many tags": lambda: jpeg_with(
        segment(0xE1, b"Exif\0\0" + tiff(7, 2**31, bytes(4), entries=65535))
    ),
    "an index of pictures that is junk": lambda: jpeg_with(segment(0xE2, b"MPF\0" + JUNK)),
    "an index of four thousand million pictures": lambda: jpeg_with(
        segment(0xE2, b"MPF\0" + tiff(4, 1, b"\xff" * 4, tag=0xB001))
    ),
    "a part of a profile": lambda: jpeg_with(segment(0xE2, b"ICC_PROFILE\0\7\x09" + JUNK)),
    "an empty part of a profile": lambda: jpeg_with(segment(0xE2, b"ICC_PROFILE\0")),
    "Photoshop's junk": lambda: jpeg_with(segment(0xED, b"Photoshop 3.0\x008BIM")),
    "a thousand comments": lambda: jpeg_with(*[segment(0xFE, b"a")] * 1000),
    "a megabyte of fill bytes": lambda: jpeg_with(b"\xff" * MIB),
}
ODD_WEBPS: dict[str, Callable[[], bytes]] = {
    "junk in EXIF": lambda: webp_with(b"EXIF", JUNK),
    "junk in XMP": lambda: webp_with(b"XMP ", JUNK),
    "an empty EXIF": lambda: webp_with(b"EXIF", b""),
}
ODD_GIFS: dict[str, Callable[[], bytes]] = {
    "a long comment": lambda: gif_with(b"!\xfe" + (b"\xff" + b"c" * 255) * 1000 + b"\0"),
    "empty extensions": lambda: gif_with(b"!\xff\0!\xf9\0!\xfe\0!\x01\0"),
    "a short control": lambda: gif_with(b"!\xf9\x01\0\0"),
}


def progressive(size: tuple[int, int], repeats: int, refining: bool = True) -> bytes:
    """A progressive JPEG of one grey level, with a scan `repeats` more times: one that refines or not."""
    whole = saved("JPEG", Image.new("L", size, 128), progressive=True)
    starts = [at for at in range(len(whole)) if whole.startswith((b"\xff\xda", b"\xff\xc4"), at)]
    parts = [whole[start:end] for start, end in zip(starts, [*starts[1:], len(whole) - 2], strict=True)]
    # the last of the coefficients alone, which no other part follows, and the first with its table
    scan = parts[-1] if refining else b"".join(parts[2:4])
    assert scan.count(b"\xff\xda") == 1
    return whole[:-2] + scan * repeats + b"\xff\xd9"


def run_length_bmp(width: int, height: int, codes: bytes, four_bits: bool = False) -> bytes:
    palette = b"".join(bytes([level, 255 - level, 3, 0]) for level in range(16 if four_bits else 256))
    begin = 54 + len(palette)
    head = b"BM" + struct.pack("<IHHI", begin + len(codes), 0, 0, begin)
    bits, compression = (4, 2) if four_bits else (8, 1)
    head += struct.pack(
        "<IiiHHIIiiII", 40, width, height, 1, bits, compression, len(codes), 0, 0, len(palette) // 4, 0
    )
    return head + palette + codes


def header_bmp(length: int) -> bytes:
    """A BMP whose header has a colour profile, which lies outside the file."""
    whole = saved("BMP")
    more = length - 40
    return whole[:10] + struct.pack("<II", 14 + length, length) + whole[18:54] + b"\xff" * more + whole[54:]
