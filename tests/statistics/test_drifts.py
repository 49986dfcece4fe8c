"""The slope of a mean with its interval, against numbers and against chance."""

import numpy as np
import pytest

from bench.statistics import drift


def test_an_exact_slope_has_no_width() -> None:
    found = drift([0, 1, 2, 3, 4], [8, 9, 10, 11, 12])
    assert found is not None
    assert (found.per_s, found.low, found.high) == pytest.approx((0.1, 0.1, 0.1))
    assert found.shown
    bias = found.bias(4.0)
    assert (bias.centre, bias.most) == pytest.approx((-0.2, 0.2))
    assert bias.beyond(0.02)
    assert not bias.within(0.02)


@pytest.mark.parametrize("values", [[], [1, 2, 3, 4], [0, 0, 0, 0, 0]])
def test_too_little_has_no_slope(values: list[float]) -> None:
    assert drift(range(len(values)), values) is None


@pytest.mark.parametrize("confidence", [0.95, 0.999])
def test_the_interval_covers_the_truth_as_often_as_it_says(confidence: float) -> None:
    rng, times = np.random.default_rng(5), np.arange(15.0)
    found = [drift(times, 100 + times + rng.normal(0, 5, 15), confidence) for _ in range(4000)]
    # the mean that the slope is a share of is noisy too, but by far less
    covered = np.mean([one is not None and one.low <= 1 / 107 <= one.high for one in found])
    assert covered == pytest.approx(confidence, abs=0.012)
