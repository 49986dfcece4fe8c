"""Where fuzzing begins: real images and requests that are answered, cheap enough to send by thousands."""

from functools import cache
from pathlib import Path

import orjson

from tests.contract.encodings import ENCODINGS, Request
from tests.serving_core.odd_images import (
    ODD_GIFS,
    ODD_JPEGS,
    ODD_PNGS,
    ODD_WEBPS,
    chunk,
    header_bmp,
    picture,
    png_with,
    progressive,
    run_length_bmp,
    saved,
    tiff,
)

IMAGES = Path(__file__).parents[2] / "images"
LONGEST_IMAGE_BYTES = 20_000
TINY = "edge_tiny_8x8.png"
# every format and every way of writing one that the image set has, and a few photographs
NAMES = ("edge_*", "rain_0*", "*_small.jpg")


@cache
def images() -> dict[str, bytes]:
    """Return the small images of the set, and images that are odd, by name."""
    paths = sorted({path for name in NAMES for path in IMAGES.glob(name)})
    found = {path.name: path.read_bytes() for path in paths} | odd_images()
    return {name: data for name, data in found.items() if len(data) <= LONGEST_IMAGE_BYTES}


def odd_images() -> dict[str, bytes]:
    """Return images with metadata that nobody can read, and some of many scans, frames, pieces or runs."""
    odd = {
        f"{form}, {name}": make()
        for form, makers in (("png", ODD_PNGS), ("jpg", ODD_JPEGS), ("webp", ODD_WEBPS), ("gif", ODD_GIFS))
        for name, make in makers.items()
    }
    frames = [picture((16, 12)).rotate(angle) for angle in (0, 90, 180)]
    for form in ("GIF", "PNG", "WEBP"):
        odd[f"frames.{form.lower()}"] = saved(form, frames[0], save_all=True, append_images=frames[1:])
    odd["scans.jpg"] = progressive((40, 30), 20)
    odd["turned.png"] = png_with(chunk(b"eXIf", tiff(3, 1, b"\6\0\0\0")))
    odd["runs.bmp"] = run_length_bmp(6, 4, b"\3\1\0\3\1\2\3\0\0\0\0\2\1\1\4\7\0\1" * 2)
    odd["runs of four bits.bmp"] = run_length_bmp(6, 4, b"\3\x12\0\3\x12\x30\0\0\6\x45\0\1", four_bits=True)
    odd["profile.bmp"] = header_bmp(124)
    return odd


@cache
def requests() -> dict[str, Request]:
    """Return one valid request of each encoding, by its name."""
    tiny = images()[TINY]
    return {name: made.request([tiny, tiny]) for name, made in ENCODINGS.items()}


def tensor_request(data: bytes) -> bytes:
    """Return an inference request in JSON whose binary tensor's size is that of `data`."""
    parameters = {"binary_data_size": len(data)}
    tensor = {"name": "image", "shape": [1], "datatype": "BYTES", "parameters": parameters}
    return orjson.dumps({"inputs": [tensor]})
