"""The ways to prepare images give the reference's crops, up to rounding, and refuse the same files."""

import dataclasses
import logging
import sys
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from modelkit.images import reference_input
from modelkit.manifest import Transform
from serving_core.engine import Takes
from serving_core.errors import StartError
from serving_core.images import crop, decode
from serving_core.models.manifest import ServedTransform
from serving_core.preparation import choice
from serving_core.preparation.choice import preparation_of
from serving_core.preparation.normalisation import Normalisation
from serving_core.preparation.of_engine import WholeImages
from serving_core.preparation.pillow import ByPillow
from serving_core.preparation.preparation import DecodingLimits
from serving_core.preparation.preparer import Preparer
from tests.serving_core import odd_images

LIMITS = DecodingLimits(10_000_000)
TRANSFORM = ServedTransform(256, 224, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
BICUBIC = dataclasses.replace(TRANSFORM, interpolation="bicubic")
# Both round each of two directions to whole levels, so results are two levels apart at most. In 500 images, a
# third of them noise of black and white, that were 6e-8 of all bilinear levels and 7e-6 of all bicubic ones;
# in an image of few pixels, whose rounding is the same again and again, it may be a thousandth.
MOST_LEVELS = 2
MOST_BEYOND_ONE = 1e-4
SIDES = st.one_of(st.integers(1, 40), st.integers(200, 300), st.integers(300, 900))
MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK")
TAKEN: tuple[Takes, ...] = ("image", "normalised")


@st.composite
def transforms(draw: st.DrawFn) -> ServedTransform:
    """The usual transform, or one of other sizes and numbers."""
    interpolation = draw(st.sampled_from(("bilinear", "bicubic")))
    if draw(st.booleans()):
        return dataclasses.replace(TRANSFORM, interpolation=interpolation)
    resize = draw(st.integers(1, 300))
    numbers = st.tuples(*[st.floats(0.05, 2)] * 3)
    return ServedTransform(
        resize, draw(st.integers(max(1, resize // 2), resize)), draw(numbers), draw(numbers), interpolation
    )


def picture(width: int, height: int, mode: str = "RGB", seed: int = 0) -> Image.Image:
    """Grey noise, black and white noise, or a smooth picture, as the service's decoder gives it: in RGB."""
    rng = np.random.default_rng(seed)
    sides = (max(1, height // 12), max(1, width // 12)) if seed % 3 == 2 else (height, width)
    levels = rng.integers(0, 2, (*sides, 4)) * 255 if seed % 3 == 1 else rng.integers(0, 256, (*sides, 4))
    drawn = Image.fromarray(levels.astype(np.uint8)).resize((width, height), Image.Resampling.BICUBIC)
    return drawn.convert("RGB" if mode in {"CMYK", "P"} else mode[:4]).convert(mode).convert("RGB")


def difference(made: NDArray[np.uint8], expected: NDArray[np.uint8]) -> NDArray[np.int16]:
    assert (made.shape, made.dtype) == (expected.shape, np.uint8)
    return np.abs(made.astype(np.int16) - expected)


@given(transform=transforms(), width=SIDES, height=SIDES, seed=st.integers(0, 5))
def test_pillows_normalised_crop_is_the_references(
    transform: ServedTransform, width: int, height: int, seed: int
) -> None:
    image = picture(width, height, seed=seed)
    made = ByPillow(transform, LIMITS, Normalisation(transform)).prepare(image)
    assert (made.shape, made.dtype) == ((1, 3, transform.crop, transform.crop), np.float32)
    assert made.flags.c_contiguous
    mean, std = (np.array(some).reshape(3, 1, 1) for some in (transform.mean, transform.std))
    levels = crop(image, transform)
    off = np.abs(made[0] - (levels.transpose(2, 0, 1) / 255 - mean) / std)
    assert (off <= 1e-6 * (1 + (1 + mean) / std)).all()
    if (transform.resize, transform.crop) == (TRANSFORM.resize, TRANSFORM.crop):
        # of bicubic ones the reference cuts overshoots off in the order that suits the whole image
        usual = Transform(**{**dataclasses.asdict(transform), "interpolation": "bilinear"})
        bilinear = dataclasses.replace(transform, interpolation="bilinear")
        apart = ByPillow(bilinear, LIMITS, Normalisation(bilinear)).prepare(image) - reference_input(
            image, usual
        )
        assert (np.abs(apart[0]) <= 1 / (255 * std) + 1e-5).all()


def test_every_level_is_normalised_up_to_rounding() -> None:
    levels = np.arange(256, dtype=np.uint8).repeat(3).reshape(16, 16, 3)
    made = Normalisation(TRANSFORM)(levels)
    for channel in range(3):
        expected = (np.arange(256) / 255 - TRANSFORM.mean[channel]) / TRANSFORM.std[channel]
        np.testing.assert_allclose(made[0, channel].ravel(), expected, atol=1e-6)


@given(transform=transforms(), width=SIDES, height=SIDES, mode=st.sampled_from(MODES), seed=st.integers(0, 5))
def test_the_simd_crop_is_pillows_up_to_rounding(
    transform: ServedTransform, width: int, height: int, mode: str, seed: int
) -> None:
    pytest.importorskip("cykooz_resizer")
    from serving_core.preparation.simd import BySimd

    image = picture(width, height, mode, seed)
    apart = difference(
        BySimd(transform, LIMITS, Normalisation(transform)).levels(image), crop(image, transform)
    )
    assert apart.max() <= MOST_LEVELS


@pytest.mark.parametrize("transform", [TRANSFORM, BICUBIC], ids=["bilinear", "bicubic"])
@pytest.mark.parametrize(
    "size", [(1, 1), (2, 1), (1, 700), (3000, 2), (224, 224), (600, 400), (300, 900), (230, 500), (90, 100)]
)
def test_simd_overshoots_are_cut_off_in_the_order_of_pillow(
    size: tuple[int, int], transform: ServedTransform
) -> None:
    pytest.importorskip("cykooz_resizer")
    from serving_core.preparation.simd import BySimd

    image = picture(*size, seed=1)
    preparation = BySimd(transform, LIMITS, Normalisation(transform))
    apart = difference(preparation.levels(image), crop(image, transform))
    assert apart.max() <= MOST_LEVELS
    assert (apart > 1).mean() <= MOST_BEYOND_ONE
    made = preparation.prepare(image)
    np.testing.assert_array_equal(made, Normalisation(transform)(preparation.levels(image)))


@pytest.mark.parametrize("size", [(3, 5), (5, 3), (3, 3)])
def test_a_filter_that_is_zero_within_its_reach_reads_nothing_outside(size: tuple[int, int]) -> None:
    """The first pixel of the crop reads the image's first with a weight of zero, and the second does not."""
    pytest.importorskip("cykooz_resizer")
    from serving_core.preparation.simd import BySimd

    transform = dataclasses.replace(BICUBIC, resize=73, crop=2)
    image = picture(*size)
    made = BySimd(transform, LIMITS, Normalisation(transform)).levels(image)
    assert difference(made, crop(image, transform)).max() <= MOST_LEVELS


def test_the_wrong_order_of_directions_would_be_seen() -> None:
    image = picture(500, 400, seed=1)
    aside = image.transpose(Image.Transpose.TRANSPOSE)
    other = crop(aside, BICUBIC).transpose(1, 0, 2)
    assert (difference(other, crop(image, BICUBIC)) > MOST_LEVELS).mean() > 100 * MOST_BEYOND_ONE


@pytest.mark.parametrize("preparer", ["graph", "pillow", "simd", "scaled"])
@pytest.mark.parametrize("takes", [TAKEN, ("crop",)])
def test_examples_are_what_requests_will_have(takes: Sequence[Takes], preparer: Preparer) -> None:
    if preparer in ("simd", "scaled"):
        pytest.importorskip("cykooz_resizer")
    preparation = preparation_of(preparer, "any", takes, TRANSFORM, LIMITS)
    example, *_ = preparation.examples()
    made = preparation.prepare(picture(300, 200))
    assert example.dtype == made.dtype
    assert example.ndim == made.ndim
    assert preparation.takes in takes
    assert preparation.takes == "image" or example.shape == made.shape


def test_the_graph_means_what_the_engine_takes_first() -> None:
    for takes, kind in ((TAKEN, WholeImages), (("crop",), ByPillow)):
        made = preparation_of("graph", "any", takes, TRANSFORM, LIMITS)
        assert type(made) is kind


@pytest.mark.parametrize("preparer", ["graph", "pillow", "simd", "scaled"])
def test_an_engine_that_normalises_crops_itself_is_given_their_levels(preparer: Preparer) -> None:
    if preparer in ("simd", "scaled"):
        pytest.importorskip("cykooz_resizer")
    preparation = preparation_of(preparer, "torch", ("crop",), TRANSFORM, LIMITS)
    image = picture(300, 200)
    made = preparation.prepare(preparation.decode(odd_images.saved("JPEG", image, quality=100)))
    assert (preparation.takes, made.shape, made.dtype) == ("crop", (1, 224, 224, 3), np.uint8)
    assert made.flags.writeable  # PyTorch warns of an array that is not
    decoded = decode(odd_images.saved("JPEG", image, quality=100), LIMITS.max_pixels)
    assert difference(made[0], crop(decoded, TRANSFORM)).max() <= (
        MOST_LEVELS if preparer in ("simd", "scaled") else 0
    )


def test_an_engine_that_takes_whole_images_alone_has_them_from_its_graph() -> None:
    with pytest.raises(StartError, match=r"PIXELS=pillow: some_serving takes whole images alone: set PIXELS"):
        preparation_of("pillow", "some", ("image",), TRANSFORM, LIMITS)


@pytest.fixture
def anew(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Has the choice made as if for the first time in a process."""
    monkeypatch.delitem(sys.modules, "serving_core.preparation.simd", raising=False)
    monkeypatch.delitem(sys.modules, "serving_core.preparation.turbo_jpeg", raising=False)
    monkeypatch.setattr(choice, "_with_vectors", cache(choice._with_vectors.__wrapped__))
    return monkeypatch


@pytest.mark.parametrize("module", ["cykooz_resizer", "simplejpeg"])
def test_without_its_packages_simd_becomes_pillow_and_says_so_once(
    anew: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, module: str
) -> None:
    """A wheel for another processor raises ImportError as well."""
    missing: Any = None
    anew.setitem(sys.modules, module, missing)
    for _ in range(2):
        made = preparation_of("simd", "onnx", TAKEN, TRANSFORM, LIMITS)
        assert type(made) is ByPillow
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert record.message == "SIMD cannot be used: Pillow prepares images instead"
    assert module in record.cause  # type: ignore[attr-defined]
    assert "\n" not in record.cause  # type: ignore[attr-defined]


def test_a_processor_without_the_instructions_has_pillow_and_says_so_once(
    anew: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    resizer = pytest.importorskip("cykooz_resizer")
    anew.setattr(resizer.Resizer, "cpu_extensions", resizer.CpuExtensions.none)
    for _ in range(2):
        assert type(preparation_of("simd", "onnx", TAKEN, TRANSFORM, LIMITS)) is ByPillow
    (record,) = caplog.records
    assert record.message == "SIMD cannot be used: Pillow prepares images instead"
    assert "this processor" in record.cause  # type: ignore[attr-defined]


def test_the_log_says_which_instructions_are_used(
    anew: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    del anew
    pytest.importorskip("cykooz_resizer")
    caplog.set_level(logging.INFO)
    preparation_of("simd", "onnx", TAKEN, TRANSFORM, LIMITS)
    (record,) = caplog.records
    assert record.message == "images are resized by SIMD"
    assert record.instructions in {"avx2", "sse4_1", "neon"}  # type: ignore[attr-defined]


def test_a_native_module_that_is_not_installed_is_named_with_its_remedy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    missing: Any = None
    monkeypatch.setitem(sys.modules, "native_pixels", missing)
    monkeypatch.delitem(sys.modules, "serving_core.preparation.native", raising=False)
    with pytest.raises(StartError) as refused:
        preparation_of("native", "onnx", TAKEN, TRANSFORM, LIMITS)
    said = str(refused.value)
    assert said.startswith("PIXELS=native: the ")
    assert "docker compose --profile native up --build" in said
    assert "\n" not in said
