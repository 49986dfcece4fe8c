"""Images of few bytes that take long to decode: work for a service that has no handlers to wait in."""

import base64
import io
import json
from functools import cache

from PIL import Image


@cache
def heavy_png(side: int) -> bytes:
    """Return a square of one colour; 4000 x 4000 pixels take a core some 50 ms."""
    buffer = io.BytesIO()
    Image.new("RGB", (side, side), (9, 60, 200)).save(buffer, "PNG", compress_level=9)
    return buffer.getvalue()


def in_json(*images: bytes) -> bytes:
    """Return the body of POST /predict/ with one image, or with several."""
    texts = [base64.b64encode(image).decode() for image in images]
    return json.dumps({"image": texts[0]} if len(texts) == 1 else {"images": texts}).encode()
