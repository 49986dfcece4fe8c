"""Decoding and cropping: the reference's pixels, and clear refusals."""

from io import BytesIO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from serving_core.errors import RequestError
from serving_core.images import _to_bytes, crop, decode, framed
from serving_core.models.manifest import ServedTransform

TRANSFORM = ServedTransform(256, 224, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
LIMIT = 1_000_000


def noise(width: int, height: int, mode: str = "RGB", seed: int = 0) -> Image.Image:
    channels = len(Image.new(mode, (1, 1)).getbands())
    shape = (height, width) if channels == 1 else (height, width, channels)
    levels = np.random.default_rng(seed).integers(0, 256, shape, np.uint8)
    return Image.fromarray(levels, None if mode != "CMYK" else "CMYK")


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def mode_or_status(data: bytes) -> str | int:
    try:
        return decode(data, LIMIT).mode
    except RequestError as refused:
        return refused.status


def resized_then_cropped(image: Image.Image) -> np.ndarray:
    width, height = image.size
    short = min(width, height)
    size = (256, int(256 * height / short)) if width == short else (int(256 * width / short), 256)
    left, top = round((size[0] - 224) / 2.0), round((size[1] - 224) / 2.0)
    resized = image.resize(size, Image.Resampling.BILINEAR)
    return np.asarray(resized.crop((left, top, left + 224, top + 224)))


SIDES = st.one_of(st.integers(1, 40), st.integers(200, 300), st.integers(300, 900))


@settings(max_examples=60, deadline=None)
@given(width=SIDES, height=SIDES, seed=st.integers(0, 5))
def test_resizing_only_the_crops_region_gives_the_reference_within_a_level(
    width: int, height: int, seed: int
) -> None:
    image = noise(width, height, seed=seed)
    made = crop(image, TRANSFORM)
    assert made.shape == (224, 224, 3)
    assert made.dtype == np.uint8
    assert np.abs(made.astype(int) - resized_then_cropped(image)).max() <= 1


def test_a_framed_crop_is_the_crop_of_its_frame() -> None:
    cropped = crop(noise(900, 700), TRANSFORM)
    frame = framed(cropped, TRANSFORM)
    assert frame.shape == (TRANSFORM.resize, TRANSFORM.resize, 3)
    assert (crop(Image.fromarray(frame), TRANSFORM) == cropped).all()


@pytest.mark.parametrize("size", [(1, 1), (2, 1), (1, 700), (3000, 2), (256, 256), (257, 256)])
def test_extreme_shapes_are_cropped_too(size: tuple[int, int]) -> None:
    image = noise(*size)
    assert np.abs(crop(image, TRANSFORM).astype(int) - resized_then_cropped(image)).max() <= 1


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP"])
def test_each_format_decodes_to_rgb(kind: str) -> None:
    image = decode(encoded(noise(40, 30), kind), LIMIT)
    assert (image.mode, image.size) == ("RGB", (40, 30))


@pytest.mark.parametrize(
    ("mode", "kind"), [("L", "PNG"), ("LA", "PNG"), ("RGBA", "PNG"), ("CMYK", "JPEG"), ("L", "JPEG")]
)
def test_each_mode_becomes_what_pillow_converts_it_to(mode: str, kind: str) -> None:
    data = encoded(noise(40, 30, mode), kind)
    assert decode(data, LIMIT).tobytes() == Image.open(BytesIO(data)).convert("RGB").tobytes()


def test_a_palette_image_is_looked_up() -> None:
    data = encoded(noise(40, 30).quantize(16), "PNG")
    assert decode(data, LIMIT).tobytes() == Image.open(BytesIO(data)).convert("RGB").tobytes()


def test_sixteen_bit_grey_is_scaled_and_not_cut_off() -> None:
    levels = np.array([[0, 256, 257, 65535, 40000]], np.uint16)
    image = decode(encoded(Image.fromarray(levels), "PNG"), LIMIT)
    assert np.asarray(image)[0, :, 0].tolist() == [0, 0, 1, 255, 155]


def test_sixteen_bit_grey_in_wider_integers_is_clipped_first() -> None:
    levels = np.array([[-5, 0, 257, 65535, 70000, 40000]], np.int32)
    assert _to_bytes(levels)[0].tolist() == [0, 0, 1, 255, 255, 155]
    assert _to_bytes(np.array([[0, 256, 65535]], ">u2"))[0].tolist() == [0, 0, 255]


def test_exif_orientation_is_applied() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    image = decode(encoded(noise(40, 30), "JPEG", exif=exif), LIMIT)
    assert image.size == (30, 40)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP"])
def test_half_an_image_is_refused_as_one(kind: str) -> None:
    data = encoded(noise(200, 150), kind)
    with pytest.raises(RequestError) as refused:
        decode(data[: len(data) // 2], LIMIT)
    assert refused.value.status == 422


@pytest.mark.parametrize("data", [b"", b"GIF89a", b"not an image", bytes(1000), b"\xff\xd8\xff\xe0"])
def test_what_is_no_image_is_refused(data: bytes) -> None:
    with pytest.raises(RequestError) as refused:
        decode(data, LIMIT)
    assert refused.value.status == 422


@settings(max_examples=150, deadline=None)
@given(
    kind=st.sampled_from(["JPEG", "PNG", "WEBP", "GIF", "BMP"]),
    edits=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=8),
)
def test_any_damage_gives_an_image_or_a_refusal(kind: str, edits: list[tuple[int, int]]) -> None:
    data = bytearray(encoded(noise(20, 16), kind))
    for place, value in edits:
        data[place % len(data)] = value
    assert mode_or_status(bytes(data)) in ("RGB", 413, 422)


def test_too_many_pixels_are_refused_before_they_are_decoded() -> None:
    header = encoded(Image.new("1", (20_000, 20_000)), "PNG")[:64]  # far too short to be decoded
    with pytest.raises(RequestError) as refused:
        decode(header, LIMIT)
    assert refused.value.status == 413
    assert "20000x20000" in refused.value.message
