"""Metadata that cannot be read is left aside: the pixels count, and the orientation if it can be read."""

import struct
import zlib
from collections.abc import Callable

import numpy as np
import pytest

from modelkit.images import decode as reference
from serving_core.errors import RequestError
from serving_core.images import decode
from tests.serving_core.odd_images import (
    ODD_GIFS,
    ODD_JPEGS,
    ODD_PNGS,
    ODD_WEBPS,
    chunk,
    header_bmp,
    jpeg_with,
    picture,
    png_with,
    saved,
    segment,
    tiff,
    webp_with,
)

LIMIT = 1_000_000
TURNED = (picture().height, picture().width)
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")


def pixels(data: bytes) -> np.ndarray:
    return np.asarray(decode(data, LIMIT))


@pytest.mark.parametrize("name", ODD_PNGS)
def test_odd_metadata_of_a_png_is_left_aside(name: str) -> None:
    assert np.array_equal(pixels(ODD_PNGS[name]()), pixels(saved("PNG")))


@pytest.mark.parametrize("name", ODD_JPEGS)
def test_odd_metadata_of_a_jpeg_is_left_aside(name: str) -> None:
    assert np.array_equal(pixels(ODD_JPEGS[name]()), pixels(saved("JPEG")))


@pytest.mark.parametrize("name", ODD_WEBPS)
def test_odd_metadata_of_a_webp_is_left_aside(name: str) -> None:
    assert np.array_equal(pixels(ODD_WEBPS[name]()), pixels(saved("WEBP", lossless=True)))


@pytest.mark.parametrize("name", ODD_GIFS)
def test_odd_extensions_of_a_gif_are_left_aside(name: str) -> None:
    assert np.array_equal(pixels(ODD_GIFS[name]()), pixels(saved("GIF", picture().quantize(64))))


@pytest.mark.parametrize("length", [52, 56, 64, 108, 124])
def test_an_odd_colour_profile_of_a_bmp_is_left_aside(length: int) -> None:
    assert np.array_equal(pixels(header_bmp(length)), np.asarray(picture()))


def test_a_wrong_checksum_of_what_the_pixels_depend_on_is_no_odd_metadata() -> None:
    whole = saved("PNG")
    for at in (29, 30, 31, 32):
        broken = whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]
        with pytest.raises(RequestError) as refused:
            decode(broken, LIMIT)
        assert refused.value.status == 422


CONTAINERS: dict[str, Callable[[bytes], bytes]] = {
    "JPEG": lambda exif: jpeg_with(segment(0xE1, b"Exif\0\0" + exif)),
    "PNG": lambda exif: png_with(chunk(b"eXIf", exif)),
    "PNG, after the pixels": lambda exif: png_with(chunk(b"eXIf", exif), last=True),
    "PNG, twice named": lambda exif: png_with(chunk(b"eXIf", b"Exif\0\0" + exif)),
    "PNG, raw": lambda exif: png_with(
        chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(b"\nexif\n9\n" + exif.hex().encode()))
    ),
    "WebP": lambda exif: webp_with(b"EXIF", exif),
}
NUMBERS = {
    **{f"short {value}": tiff(3, 1, struct.pack("<HH", value, 0)) for value in (*range(10), 65535)},
    **{f"big-endian {value}": tiff(3, 1, struct.pack(">HH", value, 0), ">") for value in (1, 3, 6)},
    "two shorts": tiff(3, 2, struct.pack("<HH", 6, 8)),
    "four shorts": tiff(3, 4, struct.pack("<HHHH", 6, 8, 1, 1)),
    "no shorts": tiff(3, 0, bytes(4)),
    "a long": tiff(4, 1, struct.pack("<L", 6)),
    "signed": tiff(8, 1, struct.pack("<hh", 6, 0)),
    "below zero": tiff(8, 1, struct.pack("<hh", -6, 0)),
    "a float": tiff(11, 1, struct.pack("<f", 6)),
    "a broken float": tiff(11, 1, struct.pack("<f", 6.5)),
    "no number": tiff(11, 1, struct.pack("<f", float("nan"))),
    "a double": tiff(12, 1, struct.pack("<d", 8)),
    "a rational": tiff(5, 1, struct.pack("<LL", 12, 2)),
    "a rational of nothing": tiff(5, 1, bytes(8)),
    "a byte": tiff(1, 1, b"\6\0\0\0"),
    "text": tiff(2, 2, b"6\0\0\0"),
    "bytes": tiff(7, 4, b"\6\0\0\0"),
    "of an unknown type": tiff(99, 1, b"\6\0\0\0"),
    "out of the file": tiff(12, 1, b"\xff\0\0\0"),
    "too many": tiff(3, 2**31, b"\x08\0\0\0"),
}


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("name", NUMBERS)
def test_an_orientation_of_any_type_is_read_as_the_reference_reads_it(name: str, container: str) -> None:
    data = CONTAINERS[container](NUMBERS[name])
    assert np.array_equal(pixels(data), np.asarray(reference(data)))


@pytest.mark.parametrize("name", ["short 6", "big-endian 6", "two shorts", "a long", "a float", "a rational"])
def test_an_orientation_that_can_be_read_is_heeded(name: str) -> None:
    assert decode(CONTAINERS["PNG"](NUMBERS[name]), LIMIT).size == TURNED


def test_an_orientation_is_heeded_beside_metadata_that_cannot_be_read() -> None:
    junk = chunk(b"iCCP", b"profile\0\7"), chunk(b"tEXt", b"a\0b", checksum=3)
    assert decode(png_with(*junk, chunk(b"eXIf", NUMBERS["short 6"])), LIMIT).size == TURNED


@pytest.mark.parametrize("packed", [False, True])
def test_xmp_gives_the_orientation_if_exif_does_not(packed: bool) -> None:
    text = b'<x tiff:Orientation="6"/>'
    body = b"XML:com.adobe.xmp\0" + (b"\1\0\0\0" + zlib.compress(text) if packed else bytes(4) + text)
    assert decode(png_with(chunk(b"iTXt", body)), LIMIT).size == TURNED
    assert decode(png_with(chunk(b"iTXt", body), chunk(b"eXIf", NUMBERS["short 1"])), LIMIT).size != TURNED
