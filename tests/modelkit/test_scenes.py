"""Scenes are the same for the same seed, differ from seed to seed and from class to class."""

import numpy as np
import pytest

from modelkit.manifest import LABELS
from modelkit.scenes import PAINTERS, scene


def test_every_class_has_a_painter_in_the_seeds_order() -> None:
    order = [
        "dew",
        "fogsmog",
        "frost",
        "glaze",
        "hail",
        "lightning",
        "rain",
        "rainbow",
        "rime",
        "sandstorm",
        "snow",
    ]
    assert list(LABELS) == order
    assert list(PAINTERS) == order


@pytest.mark.parametrize("label", LABELS)
def test_a_scene_is_determined_by_class_seed_and_size(label: str) -> None:
    first = np.asarray(scene(label, 5, 90, 60))
    assert first.shape == (60, 90, 3)
    assert np.array_equal(first, np.asarray(scene(label, 5, 90, 60)))
    assert not np.array_equal(first, np.asarray(scene(label, 6, 90, 60)))


@pytest.mark.parametrize("size", [(1, 1), (8, 5), (3, 200), (1000, 20)])
def test_any_size_can_be_drawn(size: tuple[int, int]) -> None:
    for label in LABELS:
        assert scene(label, 1, *size).size == size


def test_no_single_pixel_gives_a_class_away() -> None:
    """The nearest class by the mean picture's corners alone is mostly wrong: there is something to learn."""
    learn = {label: [_corners(label, seed) for seed in range(12)] for label in LABELS}
    means = np.stack([np.mean(learn[label], axis=0) for label in LABELS])
    right = 0
    for index, label in enumerate(LABELS):
        for seed in range(100, 106):
            right += int(np.abs(means - _corners(label, seed)).sum(1).argmin() == index)
    assert right / (6 * len(LABELS)) < 0.6


def _corners(label: str, seed: int) -> np.ndarray:
    pixels = np.asarray(scene(label, seed, 64, 48), np.float32)
    return pixels[[0, 0, -1, -1], [0, -1, 0, -1]].reshape(-1)
