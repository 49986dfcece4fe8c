"""Images of every make that a careless decoder gets wrong, made anew by each run: HARD_IMAGES."""

import io
import struct
import zlib
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from modelkit.scenes import scene

SEED = 12
SIZE = (300, 220)
ORIENTATION = 0x0112
# an EXIF orientation -> what stores an upright picture so that the tag puts it right again
STORED = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
# Adam7: where each pass begins and how far it steps, (column, row, columns, rows)
PASSES = (
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
)
XMP = b'http://ns.adobe.com/xap/1.0/\0<x:xmpmeta><rdf:Description tiff:Orientation="%b"/></x:xmpmeta>'
PNG_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}  # channels -> the header's colour type
LARGE = (8000, 6000)


@cache
def picture(label: str = "rainbow", size: tuple[int, int] = SIZE) -> Image.Image:
    """A scene that the reference is sure of, and less so when it stands on its head or its side."""
    return scene(label, SEED, *size)


def saved(image: Image.Image, container: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, container, **options)
    return buffer.getvalue()


def png(levels: NDArray[Any], interlaced: bool = False) -> bytes:
    """A PNG of uint8 or uint16 [height, width, channels] as it stands, which Pillow does not write."""
    height, width, channels = levels.shape
    depth = 8 * levels.dtype.itemsize
    header = struct.pack(">IIBBBBB", width, height, depth, PNG_TYPES[channels], 0, 0, int(interlaced))
    passes = PASSES if interlaced else ((0, 0, 1, 1),)
    lines = b"".join(
        b"\0" + row.astype(f">u{levels.dtype.itemsize}").tobytes()
        for column, first, columns, rows in passes
        for row in levels[first::rows, column::columns]
        if row.size
    )
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(lines)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


def deep(image: Image.Image) -> NDArray[np.uint16]:
    """Levels of 16 bits whose low byte is no copy of the high one."""
    levels = np.atleast_3d(np.asarray(image)).astype(np.uint16)
    return np.asarray(levels * 256 + (levels[::-1] // 2), np.uint16)


def rotated(orientation: int, container: str, **options: Any) -> bytes:
    """The rainbow stored so that its EXIF tag must be heeded; for 0, 1 and 9 it is to be left as it is."""
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    upright = picture()
    stored = upright.transpose(STORED[orientation]) if orientation in STORED else upright
    return saved(stored, container, exif=exif, **options)


def with_alpha(mode: str = "RGBA") -> Image.Image:
    """A picture whose alpha runs from clear to solid; the reference drops it."""
    image = picture().convert(mode.rstrip("A"))
    ramp = np.tile(np.linspace(0, 255, SIZE[0]).astype(np.uint8), (SIZE[1], 1))
    image.putalpha(Image.fromarray(ramp))
    return image


def several(container: str, **options: Any) -> bytes:
    """Frames of which only the first counts."""
    others = [picture("snow"), picture("rime")]
    return saved(picture(), container, save_all=True, append_images=others, **options)


def four_colours(transform: int | None) -> bytes:
    """A CMYK JPEG: Adobe's marker with this transform (0 CMYK, 2 YCCK), or without the marker."""
    content = saved(picture().convert("CMYK"), "JPEG", quality=90)
    at = content.index(b"\xff\xee\x00\x0eAdobe")
    if transform is None:
        return content[:at] + content[at + 16 :]
    return content[: at + 15] + bytes([transform]) + content[at + 16 :]


def with_segment(marker: bytes, data: bytes) -> bytes:
    """A JPEG with one more segment before all the others."""
    content = saved(picture(), "JPEG", quality=85)
    return content[:2] + marker + struct.pack(">H", len(data) + 2) + data + content[2:]


def one_chroma_for_four() -> bytes:
    """A JPEG sampled 4:1:1, which Pillow does not write: 4:2:0 has as many blocks, here in other places."""
    content = saved(picture("rime", (320, 224)), "JPEG", subsampling="4:2:0", quality=90)
    at = content.index(b"\xff\xc0") + 11
    return content[:at] + b"\x41" + content[at + 1 :]


def line(size: tuple[int, int]) -> bytes:
    return saved(picture("rain", (200, 200)).resize(size), "PNG")


def large() -> bytes:
    """Forty-eight million pixels in a megabyte or so."""
    smooth = picture("lightning", (1000, 750)).resize(LARGE, Image.Resampling.BICUBIC)
    return saved(smooth, "JPEG", quality=30)


HARD_IMAGES: dict[str, Callable[[], bytes]] = {
    **{f"exif_{n}.jpg": lambda n=n: rotated(n, "JPEG", quality=90) for n in (*STORED, 0, 1, 9)},
    "exif_5.png": lambda: rotated(5, "PNG"),
    "exif_6.png": lambda: rotated(6, "PNG"),
    "exif_7.webp": lambda: rotated(7, "WEBP", lossless=True),
    "exif_8.webp": lambda: rotated(8, "WEBP", lossless=True),
    "exif_garbage.jpg": lambda: with_segment(b"\xff\xe1", b"Exif\0\0MM\0*\xff\xff\xff\xff" + bytes(20)),
    "exif_cut.jpg": lambda: with_segment(b"\xff\xe1", b"Exif\0\0II*\0"),
    "xmp_6.jpg": lambda: with_segment(b"\xff\xe1", XMP % b"6"),
    "cmyk_adobe.jpg": lambda: four_colours(0),
    "cmyk_ycck.jpg": lambda: four_colours(2),
    "cmyk_no_marker.jpg": lambda: four_colours(None),
    "grey.jpg": lambda: saved(picture("snow").convert("L"), "JPEG", quality=85),
    "progressive.jpg": lambda: saved(picture(), "JPEG", progressive=True),
    "progressive_grey.jpg": lambda: saved(picture("snow").convert("L"), "JPEG", progressive=True),
    "rgb_stored.jpg": lambda: saved(picture(), "JPEG", keep_rgb=True),
    "subsampling_444.jpg": lambda: saved(picture(), "JPEG", subsampling="4:4:4"),
    "subsampling_422.jpg": lambda: saved(picture(), "JPEG", subsampling="4:2:2"),
    "subsampling_420.jpg": lambda: saved(picture(), "JPEG", subsampling="4:2:0"),
    "subsampling_411.jpg": one_chroma_for_four,
    "odd_size_420.jpg": lambda: saved(picture("rime", (301, 227)), "JPEG", subsampling="4:2:0"),
    "restart_markers.jpg": lambda: saved(picture(), "JPEG", restart_marker_blocks=3),
    "trailing_garbage.jpg": lambda: saved(picture(), "JPEG") + b"\xff\xd8 no image\xff\xd9" * 50,
    "comment.jpg": lambda: with_segment(b"\xff\xfe", b"\xff\xd9 an end that is none" * 100),
    "several_pictures.mpo": lambda: several("MPO"),
    "grey_16bit.png": lambda: png(deep(picture("lightning").convert("L"))),
    "grey_alpha_16bit.png": lambda: png(deep(with_alpha("LA"))),
    "rgb_16bit.png": lambda: png(deep(picture())),
    "rgba_16bit.png": lambda: png(deep(with_alpha())),
    "interlaced.png": lambda: png(np.asarray(picture()), interlaced=True),
    "interlaced_grey_16bit.png": lambda: png(deep(picture("lightning").convert("L")), interlaced=True),
    "interlaced_3x2.png": lambda: png(np.asarray(picture().resize((3, 2))), interlaced=True),
    "palette.png": lambda: saved(picture().quantize(200), "PNG"),
    "palette_2bit.png": lambda: saved(picture().quantize(4), "PNG", bits=2),
    "palette_transparent.png": lambda: saved(picture().quantize(64), "PNG", transparency=3),
    "palette_alphas.png": lambda: saved(picture().quantize(64), "PNG", transparency=bytes(range(0, 256, 4))),
    "rgb_transparent.png": lambda: saved(picture(), "PNG", transparency=(10, 20, 30)),
    "grey_transparent.png": lambda: saved(picture().convert("L"), "PNG", transparency=77),
    "alpha.png": lambda: saved(with_alpha(), "PNG"),
    "grey_alpha.png": lambda: saved(with_alpha("LA"), "PNG"),
    "bilevel.png": lambda: saved(picture("lightning").convert("1"), "PNG"),
    "animated.png": lambda: several("PNG"),
    "animated_default.png": lambda: several("PNG", default_image=True),
    "lossless.webp": lambda: saved(picture(), "WEBP", lossless=True),
    "lossy.webp": lambda: saved(picture(), "WEBP", quality=60),
    "alpha.webp": lambda: saved(with_alpha(), "WEBP", quality=80),
    "alpha_lossless.webp": lambda: saved(with_alpha(), "WEBP", lossless=True, exact=True),
    "animated.webp": lambda: several("WEBP"),
    "plain.gif": lambda: saved(picture().quantize(128), "GIF"),
    "animated.gif": lambda: several("GIF"),
    "transparent.gif": lambda: saved(picture().quantize(64), "GIF", transparency=5),
    "rgb.bmp": lambda: saved(picture(), "BMP"),
    "32bit.bmp": lambda: saved(with_alpha(), "BMP"),
    "palette.bmp": lambda: saved(picture().quantize(256), "BMP"),
    "bilevel.bmp": lambda: saved(picture("lightning").convert("1"), "BMP"),
    "1x1.png": lambda: line((1, 1)),
    "1x1.jpg": lambda: saved(picture().resize((1, 1)), "JPEG"),
    "2x1.webp": lambda: saved(picture().resize((2, 1)), "WEBP", lossless=True),
    "255x256.png": lambda: line((255, 256)),
    "224x1000.png": lambda: line((224, 1000)),
    "1x5000.png": lambda: line((1, 5000)),
    "5000x1.png": lambda: line((5000, 1)),
    "8000x6000.jpg": large,
}
