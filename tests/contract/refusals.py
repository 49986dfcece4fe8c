"""What every refusal has in common, and an image that is refused."""

import struct
import zlib

import requests


def png_header(width: int, height: int) -> bytes:
    """A PNG of so many pixels, none of which follow: decoding it would say that it is truncated."""
    ihdr = struct.pack(">4sIIBBBBB", b"IHDR", width, height, 8, 2, 0, 0, 0)
    checked = ihdr + struct.pack(">I", zlib.crc32(ihdr))
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + checked + struct.pack(">I4s", 1000, b"IDAT")


def check_refusal(answer: requests.Response, status: int) -> str:
    """Return the message of a refusal that is as the table of errors says."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.json().keys() == {"error"}
    assert answer.headers["x-request-id"]
    assert ("retry-after" in answer.headers) == (status in (429, 503))
    assert int(answer.headers.get("retry-after", "1")) >= 1
    message: str = answer.json()["error"]
    assert message
    assert "Traceback" not in message
    return message
