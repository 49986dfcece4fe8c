"""Decoding and the reference's pixels, against an independent computation."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from modelkit import ModelkitError
from modelkit.images import crop_offset, decode, reference_pixels, resized_size
from modelkit.manifest import Transform
from modelkit.time_transform import boxed_pixels

_SIZES = st.integers(1, 400)


def _filter_matrix(source: int, target: int) -> NDArray[np.float64]:
    """Triangle filters [target, source], widened where the axis shrinks."""
    scale = source / target
    reach = max(scale, 1.0)
    centres = (np.arange(target)[:, None] + 0.5) * scale
    weights = np.clip(1 - np.abs(np.arange(source)[None, :] + 0.5 - centres) / reach, 0, None)
    return np.asarray(weights / weights.sum(1, keepdims=True))


def _independent(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Resize to 256 and crop to 224 in floating point."""
    height, width = pixels.shape[:2]
    short = min(height, width)
    tall, wide = (256 * height) // short, (256 * width) // short
    top, left = crop_offset(tall, 224), crop_offset(wide, 224)
    rows = _filter_matrix(height, tall)[top : top + 224]
    columns = _filter_matrix(width, wide)[left : left + 224]
    return np.einsum("yh,hwc,xw->yxc", rows, pixels.astype(np.float64), columns, optimize=True)


@settings(max_examples=25, deadline=None)
@given(_SIZES, _SIZES, st.integers(0, 2**32 - 1))
def test_reference_pixels_are_the_transform_as_defined(height: int, width: int, seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    found = reference_pixels(Image.fromarray(pixels), Transform())
    # Pillow rounds to whole levels after each of the two passes
    assert np.abs(found - _independent(pixels)).max() <= 1.05


@settings(max_examples=25, deadline=None)
@given(_SIZES, _SIZES, st.integers(0, 2**32 - 1))
def test_resizing_the_crops_region_alone_gives_the_same_pixels(height: int, width: int, seed: int) -> None:
    image = Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8))
    whole = reference_pixels(image, Transform()).astype(int)
    assert np.abs(whole - boxed_pixels(image, Transform())).max() <= 1


def test_the_longer_side_is_truncated_and_halves_round_to_even() -> None:
    assert resized_size(1200, 727, 256) == (422, 256)
    assert resized_size(20, 1000, 256) == (256, 12800)
    assert [crop_offset(length, 224) for length in (256, 257, 259, 261)] == [16, 16, 18, 18]


def test_exif_orientation_is_applied() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    Image.new("RGB", (40, 20)).save(buffer, "JPEG", exif=exif)
    assert decode(buffer.getvalue()).size == (20, 40)


def test_sixteen_bit_grey_keeps_its_range() -> None:
    levels = np.asarray([[0, 257 * 100, 65535]], np.uint16)
    buffer = io.BytesIO()
    Image.fromarray(levels).save(buffer, "PNG")
    assert np.asarray(decode(buffer.getvalue()))[0, :, 0].tolist() == [0, 100, 255]


def test_alpha_is_dropped_and_not_blended() -> None:
    buffer = io.BytesIO()
    Image.new("RGBA", (2, 2), (10, 200, 30, 0)).save(buffer, "PNG")
    assert decode(buffer.getvalue()).getpixel((0, 0)) == (10, 200, 30)


@pytest.mark.parametrize("damage", ["cut short", "not an image", "empty"])
def test_what_is_no_whole_image_is_named_in_the_error(damage: str) -> None:
    buffer = io.BytesIO()
    Image.effect_noise((64, 64), 50).save(buffer, "JPEG")
    content = {"cut short": buffer.getvalue()[:400], "not an image": b"hello", "empty": b""}[damage]
    with pytest.raises(ModelkitError, match=r"storm\.jpg cannot be decoded"):
        decode(content, "storm.jpg")
