"""JPEGs decoded by libjpeg-turbo, through the package simplejpeg, into the bytes that a resizer reads."""

import ctypes
from dataclasses import dataclass

import simplejpeg

from serving_core.decoding.encoded import Encoded
from serving_core.decoding.orientation import UPRIGHT
from serving_core.images import QUICK_PIXELS

CHANNELS = 3

# Python's own way to make bytes that are filled afterwards: without a source they are left as they are. The
# resizer reads bytes alone, and a copy of an array would take 0.2 ms for each megapixel.
_unfilled = ctypes.pythonapi.PyBytes_FromStringAndSize
_unfilled.restype, _unfilled.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_ssize_t]
_address = ctypes.pythonapi.PyBytes_AsString
_address.restype, _address.argtypes = ctypes.c_void_p, [ctypes.py_object]
_view = ctypes.pythonapi.PyMemoryView_FromMemory
_view.restype, _view.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_ssize_t, ctypes.c_int]
_WRITABLE = 0x200  # PyBUF_WRITE


@dataclass(frozen=True, slots=True, weakref_slot=True)
class RgbBytes:
    """An upright image; its `pixels` are three bytes each, row by row."""

    width: int
    height: int
    pixels: bytes


def decode_usual(encoded: Encoded) -> RgbBytes | None:
    """Return the very pixels that Pillow gives of a JPEG; None if Pillow must decode the file itself.

    That is so for a file that is damaged in any way or unusual, for which this would warn or refuse; for an
    image that must be turned; and for a large image, since this decoder cannot be stopped on its way.
    """
    if not encoded.usual_jpeg or encoded.orientation != UPRIGHT or encoded.pixels > QUICK_PIXELS:
        return None
    pixels = _unfilled(None, encoded.pixels * CHANNELS)
    buffer = _view(_address(pixels), len(pixels), _WRITABLE)
    try:
        made = simplejpeg.decode_jpeg(encoded.pixels_only, buffer=buffer)
    except ValueError:
        return None
    if made.shape != (encoded.height, encoded.width, CHANNELS):
        return None
    return RgbBytes(encoded.width, encoded.height, pixels)
