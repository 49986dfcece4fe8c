"""PIXELS=native gives the crops of PIXELS=pillow, up to rounding, and keeps to the same limits."""

import gc
from collections.abc import Callable
from importlib import import_module

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving_core.decoding.memory import DecodingMemory
from serving_core.dispatch import Dropped
from serving_core.errors import RequestError
from serving_core.images import count_pixels, decode
from serving_core.models.manifest import ServedTransform
from serving_core.preparation.choice import preparation_of
from serving_core.preparation.normalisation import Normalisation
from serving_core.preparation.pillow import ByPillow
from serving_core.preparation.preparation import DecodingLimits, Preparation
from serving_core.wanted import working_for
from tests.serving_core import odd_images
from tests.serving_core.test_preparation import (
    BICUBIC,
    LIMITS,
    MOST_LEVELS,
    SIDES,
    TAKEN,
    TRANSFORM,
    picture,
    transforms,
)

pytestmark = [pytest.mark.rust, pytest.mark.filterwarnings("ignore::UserWarning:PIL")]
Native = Callable[[ServedTransform, DecodingLimits], Preparation]


@pytest.fixture(scope="module")
def native(tmp_path_factory: pytest.TempPathFactory) -> Native:
    """Makes the preparation; the extension is built first."""
    built = import_module("tests.running.native_pixels")
    built.native_pixels(tmp_path_factory.mktemp("native_pixels"))
    import_module("serving_core.preparation.native")
    return lambda transform, limits: preparation_of("native", "onnx", TAKEN, transform, limits)


def assert_same(native: Native, data: bytes, transform: ServedTransform) -> None:
    expected, found = (
        preparation.prepare(preparation.decode(data))
        for preparation in (ByPillow(transform, LIMITS, Normalisation(transform)), native(transform, LIMITS))
    )
    assert (found.shape, found.dtype) == (expected.shape, np.float32)
    std = np.array(transform.std).reshape(1, 3, 1, 1)
    assert (np.abs(found - expected) <= (MOST_LEVELS + 1e-3) / (255 * std)).all()


@settings(max_examples=60)
@given(
    transform=transforms(),
    width=SIDES,
    height=SIDES,
    form=st.sampled_from(("PNG", "JPEG", "BMP", "WEBP")),
    seed=st.integers(0, 5),
)
def test_the_native_crop_is_pillows_up_to_rounding(
    native: Native, transform: ServedTransform, width: int, height: int, form: str, seed: int
) -> None:
    assert_same(native, odd_images.saved(form, picture(width, height, seed=seed)), transform)


@pytest.mark.parametrize("transform", [TRANSFORM, BICUBIC], ids=["bilinear", "bicubic"])
@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA"])
def test_every_mode_is_prepared_as_pillow_does(native: Native, mode: str, transform: ServedTransform) -> None:
    assert_same(native, odd_images.saved("PNG", picture(300, 200).convert(mode)), transform)


def refused(act: Callable[[], object]) -> tuple[int, str]:
    with pytest.raises(RequestError) as refusal:
        act()
    return refusal.value.status, refusal.value.message


def test_what_is_refused_is_refused_in_the_same_words(native: Native) -> None:
    large = odd_images.saved("PNG", picture(200, 100))
    limits = DecodingLimits(200 * 100 - 1)
    made = native(TRANSFORM, limits)
    for data in (large, b"", b"no image", b"GIF89a", large[:40]):
        assert refused(lambda: made.decode(data)) == refused(lambda: decode(data, limits.max_pixels))  # noqa: B023 - it is called at once
        assert made.count_pixels(data) == count_pixels(data, limits.max_pixels) == 0
    assert native(TRANSFORM, LIMITS).count_pixels(large) == 200 * 100
    broken = large[: len(large) // 2]
    assert refused(lambda: native(TRANSFORM, LIMITS).decode(broken))[0] == 422


def test_an_image_takes_its_share_of_the_memory_until_it_is_freed(native: Native) -> None:
    memory = DecodingMemory(10_000_000)
    made = native(TRANSFORM, DecodingLimits(10_000_000, memory))
    data = odd_images.saved("PNG", picture(600, 400))
    decoded = made.decode(data)
    assert 224 * 224 * 3 < memory.taken_bytes < 10_000_000
    made.prepare(decoded)
    del decoded
    gc.collect()
    assert memory.taken_bytes == 0
    with pytest.raises(RequestError):
        made.decode(data[: len(data) // 2])
    assert memory.taken_bytes == 0
    small = native(TRANSFORM, DecodingLimits(10_000_000, DecodingMemory(1000)))
    status, message = refused(lambda: small.decode(data))
    assert (status, "DECODE_BYTES" in message) == (413, True)


def test_a_large_image_that_nobody_waits_for_is_given_up_and_a_small_one_is_not_asked_about(
    native: Native,
) -> None:
    def gone() -> None:
        raise Dropped

    memory = DecodingMemory(100_000_000)
    made = native(TRANSFORM, DecodingLimits(10_000_000, memory))
    small, large = (odd_images.saved("JPEG", picture(*size)) for size in ((100, 100), (1500, 1000)))
    with working_for(gone):
        with pytest.raises(Dropped):
            made.decode(large)
        made.decode(small)
    gc.collect()
    assert memory.taken_bytes == 0
