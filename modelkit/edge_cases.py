"""Images that break careless pipelines: odd modes, odd shapes, odd containers."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from modelkit.scenes import scene

_ORIENTATION_TAG = 0x0112


@dataclass(frozen=True, slots=True)
class EdgeCase:
    """A file's name, its true class (None where nothing can be seen) and the maker of its bytes."""

    file: str
    label: str | None
    make: Callable[[int], bytes]


def stored_size(content: bytes) -> tuple[int, int]:
    """Width and height in pixels as the file states them, before any EXIF rotation."""
    with Image.open(io.BytesIO(content)) as image:
        return image.size


def _encoded(image: Image.Image, container: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, container, **options)
    return buffer.getvalue()


def _converted(
    label: str, mode: str, container: str, size: tuple[int, int], **options: Any
) -> Callable[[int], bytes]:
    return lambda seed: _encoded(scene(label, seed, *size).convert(mode), container, **options)


def _rotated(label: str, orientation: int) -> Callable[[int], bytes]:
    """A scene stored on its side, with the EXIF tag that says how to stand it up."""
    undo = {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}

    def make(seed: int) -> bytes:
        exif = Image.Exif()
        exif[_ORIENTATION_TAG] = orientation
        stored = scene(label, seed, 400, 250).transpose(undo[orientation])
        return _encoded(stored, "JPEG", quality=85, exif=exif)

    return make


def _deep_grey(seed: int) -> bytes:
    levels = np.asarray(scene("lightning", seed, 280, 210).convert("L")).astype(np.uint16)
    return _encoded(Image.fromarray(levels * 257), "PNG")


def _see_through(mode: str) -> Callable[[int], bytes]:
    """A scene whose alpha runs from clear to solid; the reference ignores alpha."""

    def make(seed: int) -> bytes:
        image = scene("rainbow", seed, 260, 200)
        ramp = np.tile(np.linspace(0, 255, 260).astype(np.uint8), (200, 1))
        image = image.convert(mode.rstrip("A")) if mode == "LA" else image
        image.putalpha(Image.fromarray(ramp))
        return _encoded(image, "PNG")

    return make


def _palette(transparent: bool) -> Callable[[int], bytes]:
    def make(seed: int) -> bytes:
        image = scene("sandstorm", seed, 300, 225).quantize(64)
        return _encoded(image, "PNG", **({"transparency": 3} if transparent else {}))

    return make


def _flat(size: tuple[int, int]) -> Callable[[int], bytes]:
    """A few pixels of random colours."""

    def make(seed: int) -> bytes:
        levels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), np.uint8)
        return _encoded(Image.fromarray(levels), "PNG")

    return make


CASES = (
    EdgeCase("edge_grey.jpg", "snow", _converted("snow", "L", "JPEG", (360, 270), quality=85)),
    EdgeCase("edge_cmyk.jpg", "rain", _converted("rain", "CMYK", "JPEG", (320, 240), quality=85)),
    EdgeCase("edge_alpha.png", "rainbow", _see_through("RGBA")),
    EdgeCase("edge_grey_alpha.png", "rainbow", _see_through("LA")),
    EdgeCase("edge_palette.png", "sandstorm", _palette(transparent=False)),
    EdgeCase("edge_palette_transparent.png", "sandstorm", _palette(transparent=True)),
    EdgeCase("edge_bilevel.png", "lightning", _converted("lightning", "1", "PNG", (300, 200))),
    EdgeCase("edge_16bit.png", "lightning", _deep_grey),
    EdgeCase("edge_exif_3.jpg", "rime", _rotated("rime", 3)),
    EdgeCase("edge_exif_6.jpg", "glaze", _rotated("glaze", 6)),
    EdgeCase("edge_exif_8.jpg", "snow", _rotated("snow", 8)),
    EdgeCase("edge_progressive.jpg", "dew", _converted("dew", "RGB", "JPEG", (480, 320), progressive=True)),
    EdgeCase("edge_no_subsampling.jpg", "hail", _converted("hail", "RGB", "JPEG", (331, 247), subsampling=0)),
    EdgeCase("edge_webp.webp", "fogsmog", _converted("fogsmog", "RGB", "WEBP", (420, 280), quality=80)),
    EdgeCase("edge_bmp.bmp", "frost", _converted("frost", "RGB", "BMP", (160, 120))),
    EdgeCase("edge_large.jpg", "frost", _converted("frost", "RGB", "JPEG", (3000, 2000), quality=40)),
    EdgeCase("edge_exact.png", "fogsmog", _converted("fogsmog", "RGB", "PNG", (256, 256))),
    EdgeCase("edge_257.png", "sandstorm", _converted("sandstorm", "RGB", "PNG", (257, 259))),
    EdgeCase("edge_tiny_8x8.png", None, _flat((8, 8))),
    EdgeCase("edge_tiny_1x1.png", None, _flat((1, 1))),
    EdgeCase("edge_tiny_2x1.png", None, _flat((2, 1))),
    EdgeCase("edge_wide.png", None, _converted("rain", "RGB", "PNG", (1000, 20))),
    EdgeCase("edge_tall.jpg", None, _converted("hail", "RGB", "JPEG", (20, 1000), quality=90)),
)
