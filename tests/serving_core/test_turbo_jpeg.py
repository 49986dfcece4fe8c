"""What libjpeg-turbo decodes for PIXELS=simd are Pillow's very pixels, and what Pillow refuses is refused."""

import io
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from serving_core.decoding import jpeg
from serving_core.decoding.memory import DecodingMemory
from serving_core.dispatch import Dropped
from serving_core.errors import RequestError
from serving_core.images import QUICK_PIXELS, crop, decode
from serving_core.models.manifest import ServedTransform
from serving_core.preparation.choice import preparation_of
from serving_core.preparation.preparation import DecodingLimits
from serving_core.wanted import working_for
from tests.fuzz.seeds import images
from tests.serving_core import odd_images
from tests.serving_core.test_preparation import (
    LIMITS,
    MOST_LEVELS,
    TAKEN,
    TRANSFORM,
    difference,
    picture,
    transforms,
)

simplejpeg = pytest.importorskip("simplejpeg")
pytest.importorskip("cykooz_resizer")

from serving_core.preparation.simd import BySimd  # noqa: E402 - what it imports may be missing
from serving_core.preparation.turbo_jpeg import decode_usual  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")
SET = Path(__file__).parents[2] / "images"
SIDES = st.one_of(st.integers(1, 40), st.integers(100, 300))
# of a crop, in levels: each direction is rounded
MOST_MEAN = 0.5
# beyond what Pillow writes
SUBSAMPLINGS = ("444", "422", "420", "440", "411")


def simd(limits: DecodingLimits = LIMITS, transform: ServedTransform = TRANSFORM) -> BySimd:
    made = preparation_of("simd", "onnx", TAKEN, transform, limits)
    assert isinstance(made, BySimd)
    return made


def turbo_pixels(data: bytes) -> NDArray[np.uint8] | None:
    made = decode_usual(jpeg.read(data))
    return None if made is None else made[..., :3]


@settings(max_examples=150, deadline=None)
@given(
    width=SIDES,
    height=SIDES,
    grey=st.booleans(),
    subsampling=st.sampled_from((0, 1, 2)),
    quality=st.integers(1, 100),
    progressive=st.booleans(),
    restarts=st.sampled_from((0, 1, 7)),
    seed=st.integers(0, 5),
)
def test_pixels_are_pillows(
    width: int,
    height: int,
    grey: bool,
    subsampling: int,
    quality: int,
    progressive: bool,
    restarts: int,
    seed: int,
) -> None:
    image = picture(width, height, "L" if grey else "RGB", seed)
    if grey:
        image = image.convert("L")
    written = {"quality": quality, "progressive": progressive, "restart_marker_blocks": restarts}
    try:
        data = odd_images.saved("JPEG", image, **written, **({} if grey else {"subsampling": subsampling}))
    except OSError:  # Pillow runs out of room for many markers, or for noise in the best quality
        reject()
    found = turbo_pixels(data)
    assert found is not None, "Pillow was left to decode a usual file"
    np.testing.assert_array_equal(found, np.asarray(decode(data, LIMITS.max_pixels)))


@settings(max_examples=60, deadline=None)
@given(
    width=SIDES,
    height=SIDES,
    subsampling=st.sampled_from(SUBSAMPLINGS),
    quality=st.integers(1, 100),
    seed=st.integers(0, 5),
)
def test_other_subsamplings_have_pillows_pixels_too(
    width: int, height: int, subsampling: str, quality: int, seed: int
) -> None:
    levels = np.ascontiguousarray(picture(width, height, seed=seed))
    data = simplejpeg.encode_jpeg(levels, quality, colorsubsampling=subsampling)
    found = turbo_pixels(data)
    assert found is not None
    np.testing.assert_array_equal(found, np.asarray(decode(data, LIMITS.max_pixels)))


@settings(max_examples=60, deadline=None)
@given(
    width=SIDES,
    height=SIDES,
    subsampling=st.sampled_from((0, 1, 2)),
    transform=transforms(),
    seed=st.integers(0, 5),
)
def test_the_crop_of_a_jpeg_is_pillows_up_to_rounding(
    width: int, height: int, subsampling: int, transform: ServedTransform, seed: int
) -> None:
    data = odd_images.saved("JPEG", picture(width, height, seed=seed), subsampling=subsampling)
    preparation = simd(transform=transform)
    decoded = preparation.decode(data)
    assert isinstance(decoded, np.ndarray)
    apart = difference(preparation.levels(decoded), crop(decode(data, LIMITS.max_pixels), transform))
    assert apart.max() <= MOST_LEVELS
    assert apart.mean() <= MOST_MEAN


UNUSUAL: dict[str, Callable[[], bytes]] = {
    "CMYK": lambda: odd_images.saved("JPEG", picture(60, 40).convert("CMYK")),
    "turned": lambda: (SET / "edge_exif_6.jpg").read_bytes(),
    "large": lambda: (SET / "edge_large.jpg").read_bytes(),
    "cut": lambda: odd_images.saved("JPEG", picture(60, 40))[:-30],
    "without its end": lambda: odd_images.saved("JPEG", picture(60, 40))[:-2],
}


@pytest.mark.parametrize("name", UNUSUAL)
def test_unusual_files_are_pillows(name: str) -> None:
    assert turbo_pixels(UNUSUAL[name]()) is None


def outcome(act: Callable[[], Image.Image | NDArray[np.uint8]]) -> bytes | tuple[int, str]:
    try:
        made = act()
    except RequestError as refusal:
        return refusal.status, refusal.message
    return made[..., :3].tobytes() if isinstance(made, np.ndarray) else made.tobytes()


def damaged(data: bytes, rng: random.Random) -> bytes:
    """Cut the file off, or change or leave out some of its bytes, half of the time in its head."""
    way = rng.random()
    if way < 0.25:
        return data[: rng.randint(4, len(data))]
    changed = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(2, min(len(changed), 640) if rng.random() < 0.5 else len(changed))
        if way < 0.4:
            del changed[at : at + rng.randint(1, 20)]
        else:
            changed[at] = rng.randrange(256)
    return bytes(changed)


@settings(max_examples=400, deadline=None)
@given(
    name=st.sampled_from(sorted(name for name in images() if "jpg" in name)),
    rng=st.randoms(use_true_random=False),
)
def test_damaged_files_have_the_outcome_that_pillow_gives(name: str, rng: random.Random) -> None:
    data = damaged(images()[name], rng)
    expected = outcome(lambda: decode(data, LIMITS.max_pixels))
    assert outcome(lambda: simd().decode(data)) == expected


@pytest.mark.parametrize("name", sorted(images()))
def test_every_seed_of_fuzzing_has_the_outcome_that_pillow_gives(name: str) -> None:
    data = images()[name]
    assert outcome(lambda: simd().decode(data)) == outcome(lambda: decode(data, LIMITS.max_pixels))


def test_the_image_set_is_decoded_as_pillow_does() -> None:
    fast = 0
    for path in sorted(SET.glob("*.*")):
        if path.suffix == ".json":
            continue
        data = path.read_bytes()
        made = simd().decode(data)
        fast += isinstance(made, np.ndarray)
        assert outcome(lambda: made) == outcome(lambda: decode(data, LIMITS.max_pixels)), path.name  # noqa: B023 - it is called at once
    assert fast >= 50


def test_the_memory_of_an_image_is_held_until_it_is_freed() -> None:
    memory = DecodingMemory(10_000_000)
    preparation = simd(DecodingLimits(10_000_000, memory))
    data = odd_images.saved("JPEG", picture(600, 400))
    decoded = preparation.decode(data)
    assert isinstance(decoded, np.ndarray)
    assert decoded.nbytes <= memory.taken_bytes < 10_000_000
    preparation.prepare(decoded)
    del decoded
    assert memory.taken_bytes == 0
    with pytest.raises(RequestError):
        preparation.decode(data[: len(data) // 2])
    assert memory.taken_bytes == 0


def test_pixels_stay_as_they_are_while_other_images_are_decoded() -> None:
    first, *others = [odd_images.saved("JPEG", picture(300, 200, seed=seed)) for seed in range(6)]
    held = simd().decode(first)
    assert isinstance(held, np.ndarray)
    before = held.copy()
    for data in others:
        simd().decode(data)
    np.testing.assert_array_equal(held, before)


def test_a_large_image_that_nobody_waits_for_is_given_up() -> None:
    def gone() -> None:
        raise Dropped

    buffer = io.BytesIO()
    side = int(QUICK_PIXELS**0.5) + 200
    picture(side, side).save(buffer, "JPEG")
    with working_for(gone), pytest.raises(Dropped):
        simd().decode(buffer.getvalue())
