"""Ratios of two runs whose rounds do not pair: against SciPy, against known truth, where there is none."""

import math

import numpy as np
import pytest
from scipy import stats

from bench.statistics import unpaired_ratio
from bench.statistics.ratios import unpaired_comparison


def rounds(seed: int, n: int, centre: float = 100.0, spread: float = 0.03) -> list[float]:
    rng = np.random.default_rng(seed)
    return [float(value) for value in centre * np.exp(rng.normal(0, spread, n))]


def test_ratio_interval_and_p_are_those_of_welchs_test_on_logs() -> None:
    a, b = rounds(1, 6), rounds(2, 9, 120.0, 0.08)
    found = unpaired_comparison(a, b)
    known = stats.ttest_ind(np.log(b), np.log(a), equal_var=False)
    interval = known.confidence_interval(0.95)
    assert found is not None
    assert found.ratio == pytest.approx(stats.gmean(b) / stats.gmean(a))
    assert (found.low, found.high) == pytest.approx((math.exp(interval.low), math.exp(interval.high)))
    assert found.t_p_value == pytest.approx(known.pvalue)
    assert (found.n, found.p_value, found.bootstrap) == (6, None, None)


def test_it_says_the_same_as_the_ratio_alone() -> None:
    a, b = rounds(3, 5), rounds(4, 7, 90.0)
    alone, found = unpaired_ratio(a, b), unpaired_comparison(a, b)
    assert alone is not None
    assert found is not None
    assert (found.ratio, found.low, found.high, found.n) == (alone.centre, alone.low, alone.high, alone.n)


@pytest.mark.parametrize(
    ("n_a", "n_b", "spread_b"), [(6, 6, 0.03), (6, 20, 0.09), (20, 6, 0.09), (3, 3, 0.03)]
)
def test_where_nothing_differs_it_says_so_in_95_of_100_cases_whatever_the_noise(
    n_a: int, n_b: int, spread_b: float
) -> None:
    found = [
        unpaired_comparison(rounds(2 * k, n_a), rounds(2 * k + 1, n_b, spread=spread_b)) for k in range(1500)
    ]
    false = sum(one is not None and one.shows_difference for one in found)
    # 1500 cases of 5% have a standard deviation of 8.4
    assert false <= 75 + 3 * 8.4


def test_a_difference_as_large_as_the_detectable_one_is_found_in_80_of_100_cases() -> None:
    """The true effect is what these numbers of rounds and this noise should find, and is found so often."""
    error = math.sqrt(0.04**2 / 6 + 0.04**2 / 6)
    effect = (stats.t.ppf(0.975, 10) + stats.t.ppf(0.8, 10)) * error
    found = [
        unpaired_comparison(rounds(2 * k, 6, 100.0, 0.04), rounds(2 * k + 1, 6, 100 * math.exp(effect), 0.04))
        for k in range(1000)
    ]
    shown = sum(one is not None and one.shows_difference for one in found)
    assert 760 <= shown <= 840
    effects = [one.minimal_detectable_effect for one in found if one is not None]
    assert np.median([one for one in effects if one is not None]) == pytest.approx(
        math.expm1(effect), rel=0.1
    )


def test_the_p_is_below_5_of_100_exactly_where_the_interval_excludes_1() -> None:
    found = [unpaired_comparison(rounds(2 * k, 6), rounds(2 * k + 1, 6, 103.5)) for k in range(200)]
    verdicts = {(one.shows_difference, (one.t_p_value or 0) < 0.05) for one in found if one is not None}
    assert verdicts == {(True, True), (False, False)}


def test_one_value_on_a_side_has_a_ratio_and_nothing_that_judges_it() -> None:
    found = unpaired_comparison([100.0], [110.0, 111.0, 109.0])
    assert found is not None
    assert found.ratio == pytest.approx(1.1, rel=1e-3)
    assert (found.low, found.high, found.n, found.t_p_value, found.minimal_detectable_effect) == (
        None,
        None,
        1,
        None,
        None,
    )


@pytest.mark.parametrize("value", [5.0, 0.1, 188_743_680.0])
def test_values_without_noise_compare_exactly(value: float) -> None:
    """Sums of the same value in other numbers differ in their last bits, which is no difference."""
    same = unpaired_comparison([value] * 6, [value] * 27)
    more = unpaired_comparison([value] * 3, [1.2 * value] * 4)
    assert same is not None
    assert more is not None
    assert (same.ratio, same.low, same.high, same.t_p_value) == (1.0, 1.0, 1.0, 1.0)
    assert more.ratio == pytest.approx(1.2)
    assert (more.low, more.high, more.t_p_value) == (more.ratio, more.ratio, 0.0)


@pytest.mark.parametrize("bad", [[], [0.0, 1.0], [-1.0], [math.nan, 1.0], [math.inf]])
def test_what_has_no_logarithm_has_no_ratio(bad: list[float]) -> None:
    assert unpaired_comparison([1.0, 2.0], bad) is None
    assert unpaired_comparison(bad, [1.0, 2.0]) is None
