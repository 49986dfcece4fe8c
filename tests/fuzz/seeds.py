"""Where fuzzing begins: real images and requests that are answered, cheap enough to send by thousands."""

from functools import cache
from pathlib import Path

import orjson

from tests.contract.encodings import ENCODINGS, Request

IMAGES = Path(__file__).parents[2] / "images"
LONGEST_IMAGE_BYTES = 20_000
TINY = "edge_tiny_8x8.png"
# every format and every way of writing one that the image set has, and a few photographs
NAMES = ("edge_*", "rain_0*", "*_small.jpg")


@cache
def images() -> dict[str, bytes]:
    """Return the small images of the set by name."""
    paths = sorted({path for name in NAMES for path in IMAGES.glob(name)})
    return {path.name: path.read_bytes() for path in paths if path.stat().st_size <= LONGEST_IMAGE_BYTES}


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
