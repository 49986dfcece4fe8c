"""The work of decoding is bounded before it begins, and what nobody waits for any more is given up."""

import contextlib
import io
import struct
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import BmpImagePlugin, Image

from serving_core import images
from serving_core.decoding import gif, jpeg, png, webp
from serving_core.decoding.run_lengths import RunLengths
from serving_core.dispatch import Dropped
from serving_core.errors import RequestError
from serving_core.images import decode
from serving_core.wanted import working_for
from tests.serving_core.odd_images import (
    SIGNATURE,
    chunk,
    jpeg_with,
    picture,
    progressive,
    run_length_bmp,
    saved,
    segment,
)

LIMIT = 50_000_000
LARGE = (4000, 3000)


def refusal(data: bytes) -> RequestError:
    with pytest.raises(RequestError) as refused:
        decode(data, LIMIT)
    return refused.value


HOSTILE: dict[str, Callable[[], bytes]] = {
    "a large JPEG of 3 000 scans": lambda: progressive(LARGE, 3000),
    "a small JPEG of 4 000 scans": lambda: progressive((900, 900), 4000),
    "a tiny JPEG of 100 000 scans": lambda: progressive((8, 8), 100_000),
    "a JPEG of 100 000 comments": lambda: jpeg_with(segment(0xFE, b"") * 100_000),
    "a JPEG of a million reserved markers": lambda: jpeg_with(b"\xff\x01" * 1_000_000),
    "a PNG of 100 000 pieces of data": lambda: (
        SIGNATURE + chunk(b"IHDR", saved("PNG")[16:29]) + chunk(b"IDAT", b"x") * 100_000
    ),
    "a PNG of 100 000 chunks": lambda: (
        SIGNATURE + chunk(b"IHDR", saved("PNG")[16:29]) + chunk(b"abCd", b"") * 100_000
    ),
    "a GIF of a million comments": lambda: (
        saved("GIF")[:13] + b"!\xfe" + b"\1a" * 1_000_000 + b"\0" + saved("GIF")[13:]
    ),
    "a GIF of a million bytes of nothing": lambda: saved("GIF")[:13] + bytes(1_000_000) + saved("GIF")[13:],
    "a WebP of 100 000 frames": lambda: (
        b"RIFF\xff\xff\xff\0WEBPVP8X" + struct.pack("<I", 10) + bytes(10) + (b"ANMF" + bytes(4)) * 100_000
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_file_that_takes_too_much_work_is_refused_with_a_remedy(name: str) -> None:
    refused = refusal(HOSTILE[name]())
    assert refused.status == 422
    assert refused.message.endswith("save the image again, in the usual way of its format")


@pytest.mark.parametrize("size", [(1, 2_000_000), (2_000_000, 1)])
def test_a_side_of_millions_is_refused(size: tuple[int, int]) -> None:
    refused = refusal(SIGNATURE + chunk(b"IHDR", struct.pack(">IIBBBBB", *size, 8, 0, 0, 0, 0)))
    assert refused.status == 413
    assert "a side" in refused.message


@pytest.mark.parametrize("size", [(1, 1), (2000, 2000), (2**31 - 1, 2**31 - 1)])
@pytest.mark.parametrize("form", [(8, 2, 0), (16, 6, 1)], ids=["as before", "deep and interlaced"])
def test_a_second_header_is_refused_whatever_it_says(
    size: tuple[int, int], form: tuple[int, int, int]
) -> None:
    """Memory was taken for the first, and a decoder goes by the last."""
    depth, colour, interlace = form
    whole = saved("PNG")
    end_of_header = whole.index(b"IHDR") + 4 + 13 + 4
    second = chunk(b"IHDR", struct.pack(">IIBBBBB", *size, depth, colour, 0, 0, interlace))
    refused = refusal(whole[:end_of_header] + second + whole[end_of_header:])
    assert (refused.status, "two headers" in refused.message) == (422, True)


WAYS: dict[str, dict[str, object]] = {
    "progressive": {"progressive": True},
    "progressive 4:4:4": {"progressive": True, "subsampling": 0},
    "restarts": {"restart_marker_blocks": 1},
    "optimised": {"optimize": True, "quality": 100},
}


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("way", WAYS)
def test_what_an_encoder_writes_is_answered_at_any_size(way: str, mode: str) -> None:
    # beyond a megapixel, the passes over the pixels count
    for size in ((1, 1), (8, 8), (17, 33), (600, 400), (1300, 900)):
        data = saved("JPEG", picture(size).convert(mode), **WAYS[way])
        expected = Image.open(io.BytesIO(data)).convert("RGB")
        assert np.array_equal(np.asarray(decode(data, LIMIT)), np.asarray(expected))


def test_a_jpeg_of_64_scans_is_answered() -> None:
    """No encoder is known to write as many, but one that searches for the best scans could."""
    assert decode(progressive((700, 500), 64), LIMIT).size == (700, 500)
    assert decode(progressive(LARGE, 64, refining=False), LIMIT).size == LARGE


def test_a_jpeg_of_many_components_is_refused_before_they_are_counted_for_each_scan() -> None:
    frame = segment(0xC2, b"\x08\xff\xff\xff\xff\xff" + b"\1\xff\0" * 255)
    refused = refusal(b"\xff\xd8" + frame + segment(0xDA, b"\1\1\0\0\x3f\0") * 4000 + b"\xff\xd9")
    assert refused.status == 422
    assert "255 components" in refused.message


def test_a_baseline_jpeg_is_read_no_further_than_its_first_scan() -> None:
    data = saved("JPEG")
    described = jpeg.read(data[:-2] + segment(0xFE, b"") * 100_000 + b"\xff\xd9")
    assert (described.width, described.height) == picture().size


@pytest.mark.parametrize("form", ["PNG", "GIF"])
def test_further_frames_are_not_decoded(form: str) -> None:
    frames = [Image.effect_noise((40, 30), 90).convert("RGB") for _ in range(5)]
    data = saved(form, frames[0], save_all=True, append_images=frames[1:])
    expected = Image.open(io.BytesIO(data)).convert("RGB")
    assert np.array_equal(np.asarray(decode(data, LIMIT)), np.asarray(expected))


READERS = {"JPEG": jpeg.read, "PNG": png.read, "WEBP": webp.read, "GIF": gif.read}


@pytest.mark.parametrize("form", READERS)
def test_the_structure_of_a_file_that_is_cut_off_anywhere_is_read_or_refused(form: str) -> None:
    data = saved(form)
    for length in range(12, min(len(data), 700)):
        with contextlib.suppress(RequestError):
            assert READERS[form](data[:length]).pixels == picture().width * picture().height


@pytest.mark.parametrize("form", ["JPEG", "PNG", "GIF", "BMP"])
def test_a_decode_that_nobody_waits_for_ends_when_it_reads_on(form: str) -> None:
    data = saved(form, Image.effect_noise((1200, 900), 90).convert("RGB"))
    asked = 0

    def gone() -> None:
        nonlocal asked
        asked += 1
        if asked == 2:
            raise Dropped

    with working_for(gone), pytest.raises(Dropped):
        decode(data, LIMIT)


def test_an_overrun_is_the_requests_own_504() -> None:
    def late() -> None:
        raise RequestError(504, "the deadline passed")

    with working_for(late), pytest.raises(RequestError) as refused:
        decode(saved("PNG", picture((1200, 900))), LIMIT)
    assert refused.value.status == 504


def expanded(decoder: type, data: bytes) -> bytes | str:
    Image.register_decoder("bmp_rle", decoder)
    try:
        return Image.open(io.BytesIO(data)).convert("RGB").tobytes()
    except ValueError:
        return "not enough"
    finally:
        Image.register_decoder("bmp_rle", RunLengths)


CODE = st.one_of(
    st.tuples(st.integers(1, 9), st.integers(0, 255)).map(bytes),
    st.sampled_from([b"\0\0", b"\0\0", b"\0\1"]),
    st.tuples(st.just(0), st.just(2), st.integers(0, 5), st.integers(0, 2)).map(bytes),
    st.integers(3, 9).flatmap(
        lambda n: st.binary(min_size=n // 2, max_size=n + 1).map(lambda b: bytes([0, n]) + b)
    ),
)


@settings(max_examples=150, deadline=None)
@given(codes=st.lists(CODE, max_size=40).map(b"".join), four_bits=st.booleans(), width=st.integers(1, 12))
def test_runs_are_expanded_as_pillow_expands_them(codes: bytes, four_bits: bool, width: int) -> None:
    data = run_length_bmp(width, 6, codes + b"\0\2\0\6" * 2, four_bits)
    assert expanded(RunLengths, data) == expanded(BmpImagePlugin.BmpRleDecoder, data)


def test_runs_are_expanded_here() -> None:
    assert Image.DECODERS["bmp_rle"] is RunLengths
    assert images.decode(run_length_bmp(2, 1, b"\2\7"), LIMIT).getpixel((1, 0)) == (3, 248, 7)
