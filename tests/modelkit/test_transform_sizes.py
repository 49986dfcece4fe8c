"""The graph's transform has Pillow's pixels for any crop, any resize and both interpolations."""

import numpy as np
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from modelkit.images import reference_pixels
from modelkit.manifest import INTERPOLATIONS, Interpolation, Transform
from modelkit.transform_graph import OLDEST_OPSET, OPSET, transform_model

# in levels of 255: one is Pillow's rounding between its passes, which the bilinear graph does not repeat; the
# bicubic one does, and where it rounds otherwise a filter that overshoots may make two of the one
MOST_LEVELS = {"bilinear": 1.1, "bicubic": 2.1}
MEAN_LEVELS = {"bilinear": 0.5, "bicubic": 0.01}


def differences(transform: Transform, pixels: NDArray[np.uint8], opset: int = OPSET) -> NDArray[np.float64]:
    """By how many levels the graph's pixels [3, crop, crop] differ from Pillow's."""
    model = transform_model(transform, opset=opset).SerializeToString()
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"image": pixels[None]})[0]
    std, mean = (np.asarray(values)[:, None, None] for values in (transform.std, transform.mean))
    expected = reference_pixels(Image.fromarray(pixels), transform).transpose(2, 0, 1)
    assert found.shape == expected.shape
    return np.abs((found * std + mean) * 255 - expected)


def noise(height: int, width: int, seed: int) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


@settings(max_examples=40, deadline=None)
@given(
    crop=st.integers(1, 260),
    margin=st.integers(0, 60),
    interpolation=st.sampled_from(INTERPOLATIONS),
    height=st.integers(1, 400),
    width=st.integers(1, 400),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_crop_and_resize_has_pillows_pixels(
    crop: int, margin: int, interpolation: Interpolation, height: int, width: int, seed: int
) -> None:
    transform = Transform(resize=crop + margin, crop=crop, interpolation=interpolation)
    assert differences(transform, noise(height, width, seed)).max() <= MOST_LEVELS[interpolation]


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
@pytest.mark.parametrize(
    ("resize", "crop"), [(219, 192), (256, 227), (100, 100), (17, 17), (300, 299), (8, 1)]
)
@pytest.mark.parametrize("size", [(1, 1), (20, 1000), (257, 259), (727, 1200)])
def test_sizes_that_are_no_multiple_of_a_block(
    interpolation: Interpolation, resize: int, crop: int, size: tuple[int, int]
) -> None:
    found = differences(Transform(resize, crop, interpolation=interpolation), noise(*size, 7))
    assert found.max() <= MOST_LEVELS[interpolation]
    assert found.mean() <= MEAN_LEVELS[interpolation]


def test_the_interpolations_differ() -> None:
    """The tolerance tells them apart: the bicubic graph does not have bilinear pixels."""
    pixels = noise(90, 120, 3)
    one, other = (
        reference_pixels(Image.fromarray(pixels), Transform(40, 33, interpolation=interpolation)).astype(int)
        for interpolation in INTERPOLATIONS
    )
    assert np.abs(one - other).max() > 10


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_the_oldest_opset_has_the_transforms_operators(interpolation: Interpolation) -> None:
    transform = Transform(27, 24, interpolation=interpolation)
    assert differences(transform, noise(31, 47, 1), OLDEST_OPSET).max() <= MOST_LEVELS[interpolation]
