"""The orientation that EXIF or XMP give an image; whatever cannot be read of them is left aside."""

import re
import struct

UPRIGHT = 1
# width and height change places
SIDEWAYS = range(5, 9)
# the upright image begins with the last columns or rows that are stored
LEFT_IS_LAST, TOP_IS_LAST = {2, 3, 6, 7}, {3, 4, 7, 8}
TAG = 0x0112
# a TIFF header -> its byte order
_HEADERS = {b"II*\0": "<", b"II\0*": "<", b"MM\0*": ">", b"MM*\0": ">"}
_ENTRY_BYTES = 12
_INLINE_BYTES = 4
# TIFF's numeric types, as struct writes them; a rational is two numbers
_NUMBERS = {3: "H", 4: "L", 5: "LL", 6: "b", 8: "h", 9: "l", 10: "ll", 11: "f", 12: "d", 13: "L", 16: "Q"}
# text and bytes of any meaning, which turn no image
_OTHERS = {1: 1, 2: 1, 7: 1}
_PREFIX = re.compile(rb"(?:Exif\0\0){1,2}")
_XMP = re.compile(rb'tiff:Orientation(?:="|>)([0-9])')


def orientation(exif: bytes, xmp: bytes = b"") -> int:
    """Return the orientation, 1 to 8, that EXIF gives, or XMP if EXIF gives none; 1 if neither does."""
    if not exif and not xmp:
        return UPRIGHT
    try:
        number = _exif_number(exif)
    except (struct.error, ZeroDivisionError):
        number = None
    if number is None:
        match = _XMP.search(xmp)
        number = int(match[1]) if match else UPRIGHT
    return int(number) if number in range(1, 9) else UPRIGHT


def _exif_number(exif: bytes) -> float | None:
    """Return the tag's first value; None if there is no such tag, 0 if its value is not a number.

    Raises struct.error if the directory ends before the tag.
    """
    prefix = _PREFIX.match(exif)
    start = prefix.end() if prefix else 0
    order = _HEADERS.get(exif[start : start + 4])
    if order is None:
        return None
    directory = start + struct.unpack_from(order + "L", exif, start + 4)[0]
    (entries,) = struct.unpack_from(order + "H", exif, directory)
    for number in range(entries):
        at = directory + 2 + number * _ENTRY_BYTES
        tag, kind, count = struct.unpack_from(order + "HHL", exif, at)
        if tag != TAG or not count:
            continue
        if kind in _OTHERS:
            return 0
        if kind in _NUMBERS:
            value = _first_value(exif, start, at + 8, count, order + _NUMBERS[kind])
            if value is not None:
                return value
    return None


def _first_value(exif: bytes, start: int, at: int, count: int, form: str) -> float | None:
    """Return the first of an entry's `count` values; None if the values lie outside `exif`."""
    length = count * struct.calcsize(form)
    if length > _INLINE_BYTES:
        at = start + struct.unpack_from(form[0] + "L", exif, at)[0]
        if at + length > len(exif):
            return None
    numbers: tuple[float, ...] = struct.unpack_from(form, exif, at)
    return numbers[0] if len(numbers) == 1 else numbers[0] / numbers[1]
