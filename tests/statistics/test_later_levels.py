"""Whether a later level is another one: what is found, what is not, and how often chance is taken for it."""

import numpy as np
import pytest

from bench.statistics import later_change


def level(count: int, value: float, noise: float = 0.0, seed: int = 1) -> list[float]:
    rng = np.random.default_rng(seed)
    return [float(one) for one in value * np.exp(noise * rng.standard_normal(count))]


def test_a_plateau_that_is_left_after_some_later_spans_is_found() -> None:
    """Slow for the windows and for five spans more: the step between the levels is no noise."""
    found = later_change(level(1, 208), [*level(5, 208, 0.02), *level(12, 385, 0.02)])
    assert found is not None
    assert found.ratio == pytest.approx(385 / 208, rel=0.1)
    assert found.first > 0


@pytest.mark.parametrize("ratio", [0.025, 0.8, 1.25, 1.8])
def test_a_level_that_is_another_from_the_windows_on_is_found_with_its_size(ratio: float) -> None:
    found = later_change(level(1, 100, 0.02), level(12, 100 * ratio, 0.02, 2))
    assert found is not None
    assert found.ratio == pytest.approx(ratio, rel=0.1)


def test_what_sets_in_late_is_found() -> None:
    assert later_change(level(3, 100, 0.01), [*level(9, 100, 0.01), *level(9, 80, 0.01)]) is not None


@pytest.mark.parametrize("ratio", [0.93, 1.0, 1.07])
def test_less_than_a_tenth_is_let_pass_however_sure_it_is(ratio: float) -> None:
    assert later_change(level(3, 100), level(12, 100 * ratio)) is None


def test_too_few_spans_say_nothing() -> None:
    assert later_change([100.0], [1.0] * 4) is None
    assert later_change([], [1.0] * 9) is None


@pytest.mark.parametrize("noise", [0.03, 0.10, 0.30])
@pytest.mark.parametrize(("before", "after"), [(1, 17), (1, 5), (5, 5)])
def test_chance_is_rarely_taken_for_a_change(noise: float, before: int, after: int) -> None:
    rng = np.random.default_rng(7)
    drawn = np.exp(noise * rng.standard_normal((1000, before + after)))
    found = sum(later_change(list(row[:before]), list(row[before:])) is not None for row in drawn)
    assert found <= 60


def test_a_test_without_regard_to_chance_would_not_pass() -> None:
    rng = np.random.default_rng(7)
    drawn = np.exp(0.10 * rng.standard_normal((1000, 6)))
    found = sum(later_change([row[0]], list(row[1:]), significance=0.99) is not None for row in drawn)
    assert found > 60
