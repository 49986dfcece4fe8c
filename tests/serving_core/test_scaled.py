"""PIXELS=scaled decodes large JPEGs at a part of their size; its crops are near to Pillow's, and in place."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from serving_core.decoding import jpeg
from serving_core.decoding.memory import DecodingMemory
from serving_core.dispatch import Dropped
from serving_core.errors import RequestError
from serving_core.images import crop, decode
from serving_core.preparation.choice import preparation_of
from serving_core.preparation.preparation import DecodingLimits
from serving_core.wanted import working_for
from tests.serving_core import odd_images
from tests.serving_core.test_preparation import BICUBIC, LIMITS, TAKEN, TRANSFORM, difference, picture

pytest.importorskip("simplejpeg")
pytest.importorskip("cykooz_resizer")

from serving_core.preparation.scaled import Scaled, ScaledImage, scale_for

# in levels, of 255: a smooth picture's crop is 0.28 away, and 2 to 3 if one edge is taken for another
MOST_MEAN = 0.7
ORIENTATION = 0x0112


def scaled(limits: DecodingLimits = LIMITS) -> Scaled:
    made = preparation_of("scaled", "onnx", TAKEN, TRANSFORM, limits)
    assert isinstance(made, Scaled)
    return made


def photograph(width: int, height: int, orientation: int = 1, mode: str = "RGB", **options: object) -> bytes:
    """A smooth picture with all that a JPEG may say of it."""
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    levels = np.random.default_rng(0).integers(0, 256, (height // 40, width // 40, 3), np.uint8)
    image = Image.fromarray(levels).resize((width, height), Image.Resampling.BICUBIC).convert(mode)
    return odd_images.saved("JPEG", image, exif=exif, **options)


@pytest.mark.parametrize(
    ("size", "scale"),
    [
        ((512, 900), 1),
        ((1023, 2000), 1),
        ((1024, 5000), 2),
        ((2047, 2047), 2),
        ((3000, 2048), 4),
        ((4096, 4100), 8),
    ],
)
def test_the_shortest_side_stays_twice_as_long_as_the_resized_ones(size: tuple[int, int], scale: int) -> None:
    head = photograph(*size, quality=1)
    assert scale_for(jpeg.read(head), TRANSFORM) == scale


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("size", [(1101, 1301), (1301, 1101)])
def test_a_turned_photograph_stays_in_its_place(size: tuple[int, int], orientation: int) -> None:
    """If a side is no multiple of the scale, the last pixels stand for less, wherever they come to be."""
    data = photograph(*size, orientation)
    preparation = scaled()
    decoded = preparation.decode(data)
    assert isinstance(decoded, ScaledImage)
    expected = crop(decode(data, LIMITS.max_pixels), TRANSFORM)
    assert difference(preparation.levels(decoded), expected).mean() <= MOST_MEAN


def test_a_crop_that_is_half_a_pixel_aside_would_be_seen() -> None:
    expected = crop(decode(photograph(1101, 1301), LIMITS.max_pixels), TRANSFORM)
    between = (expected[:, 1:].astype(np.int16) + expected[:, :-1]) // 2
    assert np.abs(between - expected[:, 1:]).mean() > 2 * MOST_MEAN


@settings(max_examples=25, deadline=None)
@given(
    width=st.integers(1024, 1500),
    height=st.integers(1024, 2500),
    mode=st.sampled_from(("RGB", "L")),
    progressive=st.booleans(),
    subsampling=st.sampled_from((0, 1, 2)),
    bicubic=st.booleans(),
)
def test_crops_are_near_to_pillows(
    width: int, height: int, mode: str, progressive: bool, subsampling: int, bicubic: bool
) -> None:
    options = {} if mode == "L" else {"subsampling": subsampling}
    data = photograph(width, height, mode=mode, progressive=progressive, **options)
    transform = BICUBIC if bicubic else TRANSFORM
    preparation = preparation_of("scaled", "onnx", ("crop",), transform, LIMITS)
    decoded = preparation.decode(data)
    assert isinstance(decoded, ScaledImage)
    (made,) = preparation.prepare(decoded)
    assert difference(made, crop(decode(data, LIMITS.max_pixels), transform)).mean() <= MOST_MEAN


OTHERS: dict[str, Callable[[], bytes]] = {
    "small": lambda: odd_images.saved("JPEG", picture(600, 400)),
    "PNG": lambda: odd_images.saved("PNG", picture(1200, 1100)),
    "CMYK": lambda: odd_images.saved("JPEG", picture(1200, 1100).convert("CMYK")),
}


@pytest.mark.parametrize("name", OTHERS)
def test_all_else_is_prepared_as_by_simd(name: str) -> None:
    data, crops = OTHERS[name](), []
    for preparer in ("simd", "scaled"):
        preparation = preparation_of(preparer, "onnx", TAKEN, TRANSFORM, LIMITS)
        crops.append(preparation.prepare(preparation.decode(data)))
    np.testing.assert_array_equal(*crops)


def refusal(act: Callable[[], object]) -> tuple[int, str]:
    with pytest.raises(RequestError) as refused:
        act()
    return refused.value.status, refused.value.message


@pytest.mark.parametrize("kept", [0.3, 0.9])
@pytest.mark.parametrize("progressive", [False, True])
def test_a_large_file_that_is_cut_off_is_refused_as_pillow_does(kept: float, progressive: bool) -> None:
    whole = photograph(1100, 1200, progressive=progressive)
    data = whole[: int(len(whole) * kept)]
    assert refusal(lambda: scaled().decode(data)) == refusal(lambda: decode(data, LIMITS.max_pixels))


def test_the_memory_of_an_image_is_held_until_it_is_freed() -> None:
    memory = DecodingMemory(100_000_000)
    preparation = scaled(DecodingLimits(10_000_000, memory))
    decoded = preparation.decode(photograph(1100, 1200))
    assert isinstance(decoded, ScaledImage)
    assert 550 * 600 * 4 <= memory.taken_bytes < 100_000_000
    preparation.prepare(decoded)
    del decoded
    assert memory.taken_bytes == 0


def test_a_large_image_that_nobody_waits_for_is_given_up() -> None:
    def gone() -> None:
        raise Dropped

    data = photograph(1100, 1200)
    with working_for(gone), pytest.raises(Dropped):
        scaled().decode(data)
