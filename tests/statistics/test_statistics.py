"""Centres and intervals: least sample sizes, invariances, and coverage by simulation."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from bench import statistics

positive = st.floats(min_value=1e-3, max_value=1e6)
rounds = st.lists(st.tuples(positive, positive), min_size=2, max_size=12)


@pytest.mark.parametrize(("probability", "n"), [(0.5, 6), (0.9, 36), (0.95, 72), (0.99, 368), (0.999, 3688)])
def test_a_quantile_needs_the_least_n_and_is_none_below_it(probability: float, n: int) -> None:
    samples = np.arange(1.0, n + 1)
    assert statistics.least_n(probability) == n
    assert statistics.quantile(samples[:-1], probability) is None
    found = statistics.quantile(samples, probability)
    assert found is not None
    assert found.high == n
    assert statistics.greatest_quantile(n) >= probability > statistics.greatest_quantile(n - 1)


def test_no_number_of_samples_below_six_supports_any_quantile() -> None:
    assert [statistics.greatest_quantile(n) for n in (0, 1, 5)] == [0, 0, 0]


def test_a_quantile_is_the_nearest_rank_and_its_ranks_leave_at_most_a_fortieth_on_each_side() -> None:
    found = statistics.quantile(np.random.default_rng(1).permutation(np.arange(1.0, 1001)), 0.95)
    assert found is not None
    assert found.low is not None
    assert found.high is not None
    assert found.centre == 950
    binomial = stats.binom(1000, 0.95)
    # it misses when fewer than `low` samples lie below the quantile, or when `high` of them do
    assert binomial.cdf(found.low - 1) <= 0.025 < binomial.cdf(found.low)
    assert binomial.sf(found.high - 1) <= 0.025 < binomial.sf(found.high - 2)


@settings(deadline=None, max_examples=100)
@given(
    st.lists(st.floats(-1e6, 1e6), min_size=6, max_size=500), st.sampled_from([0.5, 0.9, 0.95]), st.randoms()
)
def test_a_quantile_lies_in_its_interval_and_does_not_depend_on_order(
    samples: list[float], probability: float, rng: object
) -> None:
    found = statistics.quantile(samples, probability)
    shuffled = samples.copy()
    rng.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis hands in a random.Random
    assert statistics.quantile(shuffled, probability) == found
    if found is None:
        assert len(samples) < statistics.least_n(probability)
    else:
        assert found.low <= found.centre <= found.high  # type: ignore[operator]  # a quantile that is there has both
        assert found.centre in samples


def test_a_million_samples_rank_like_the_normal_approximation() -> None:
    found = statistics.quantile(np.arange(1.0, 1_000_001), 0.99)
    assert found is not None
    reach = 1.96 * math.sqrt(1e6 * 0.99 * 0.01)
    assert found.low == pytest.approx(990_000 - reach, abs=3)
    assert found.high == pytest.approx(990_000 + reach, abs=3)


def test_one_round_has_a_centre_and_no_interval() -> None:
    one = {1: 3.0}
    for found in (statistics.geometric_mean([3.0]), statistics.median([3.0])):
        assert found is not None
        assert (found.centre, found.low, found.high, found.n) == (pytest.approx(3.0), None, None, 1)
    ratio = statistics.paired_ratio(one, {1: 6.0})
    assert ratio is not None
    assert ratio.ratio == pytest.approx(2)
    assert (ratio.low, ratio.high, ratio.minimal_detectable_effect) == (None, None, None)
    assert not ratio.shows_difference
    unpaired = statistics.unpaired_ratio([3.0], [6.0, 7.0])
    assert unpaired is not None
    assert unpaired.low is None


def test_without_values_there_is_no_figure() -> None:
    assert statistics.geometric_mean([]) is None
    assert statistics.median([]) is None
    assert statistics.unpaired_ratio([], [1.0]) is None
    assert statistics.paired_ratio({1: 1.0}, {2: 1.0}) is None


def test_a_ratio_of_what_is_not_above_zero_is_no_figure() -> None:
    assert statistics.geometric_mean([0.0, 1.0]) is None
    assert statistics.paired_ratio({1: 0.0}, {1: 1.0}) is None
    assert statistics.unpaired_ratio([1.0], [0.0]) is None


def test_the_median_has_an_interval_from_six_values_on() -> None:
    five, six = statistics.median([1, 2, 3, 4, 5]), statistics.median([1, 2, 3, 4, 5, 6])
    assert five is not None
    assert six is not None
    assert (five.centre, five.low, five.high) == (3, None, None)
    assert (six.centre, six.low, six.high) == (3.5, 1, 6)


def test_an_unpaired_ratio_agrees_with_welch() -> None:
    a, b = [9.0, 10.0, 12.0, 11.0], [20.0, 24.0, 21.0]
    found = statistics.unpaired_ratio(a, b)
    assert found is not None
    interval = stats.ttest_ind(np.log(b), np.log(a), equal_var=False).confidence_interval(0.95)
    assert found.low == pytest.approx(math.exp(interval.low))
    assert found.high == pytest.approx(math.exp(interval.high))


@given(rounds)
def test_swapping_the_sides_inverts_a_paired_ratio(pairs: list[tuple[float, float]]) -> None:
    a, b = dict(enumerate(p[0] for p in pairs)), dict(enumerate(p[1] for p in pairs))
    there, back = statistics.paired_ratio(a, b), statistics.paired_ratio(b, a)
    assert there is not None
    assert back is not None
    assert math.log(there.ratio) == pytest.approx(-math.log(back.ratio), abs=1e-9)
    assert math.log(there.low or 0) == pytest.approx(-math.log(back.high or 0), abs=1e-6, rel=1e-9)


@given(st.lists(positive, min_size=2, max_size=12), st.floats(0.1, 10))
def test_a_shift_that_is_the_same_in_every_round_is_found_exactly(values: list[float], factor: float) -> None:
    """A round that is slow for both sides does not widen the interval: that is why rounds are paired."""
    a = dict(enumerate(values))
    found = statistics.paired_ratio(a, {number: value * factor for number, value in a.items()})
    assert found is not None
    assert found.low == pytest.approx(factor)
    assert found.high == pytest.approx(factor)


def test_only_rounds_that_both_sides_have_are_paired() -> None:
    found = statistics.paired_ratio({1: 1.0, 2: 1.0, 3: 50.0}, {1: 2.0, 2: 2.0, 4: 90.0})
    assert found is not None
    assert (found.ratio, found.n) == (pytest.approx(2), 2)


def test_the_minimal_detectable_effect_is_the_methods_formula() -> None:
    differences = np.array([0.01, 0.05, 0.03, 0.02, 0.04, 0.06])
    found = statistics.paired_ratio(dict.fromkeys(range(6), 1.0), dict(enumerate(np.exp(differences))))
    assert found is not None
    on_logs = (stats.t.ppf(0.975, 5) + stats.t.ppf(0.8, 5)) * differences.std(ddof=1) / math.sqrt(6)
    assert found.minimal_detectable_effect == pytest.approx(math.expm1(on_logs))


def test_paired_ratio_covers_the_truth_nineteen_times_in_twenty() -> None:
    """2 000 runs of six noisy rounds; the bounds are five standard errors around 95%."""
    rng = np.random.default_rng(20)
    truth, hits, runs = 1.3, 0, 2000
    for _ in range(runs):
        slow = rng.normal(0, 0.2, 6)
        a = dict(enumerate(np.exp(slow + rng.normal(0, 0.03, 6))))
        b = dict(enumerate(truth * np.exp(slow + rng.normal(0, 0.03, 6))))
        found = statistics.paired_ratio(a, b, bootstrap=False)
        assert found is not None
        hits += (found.low or math.inf) <= truth <= (found.high or -math.inf)
    assert 0.925 <= hits / runs <= 0.975


@pytest.mark.parametrize(("probability", "n"), [(0.5, 40), (0.95, 200), (0.99, 800)])
def test_order_statistics_cover_a_skewed_quantile_at_least_nineteen_times_in_twenty(
    probability: float, n: int
) -> None:
    rng = np.random.default_rng(21)
    truth, runs = -math.log(1 - probability), 2000
    hits = 0
    for samples in rng.exponential(1, (runs, n)):
        found = statistics.quantile(samples, probability)
        assert found is not None
        hits += (found.low or math.inf) <= truth <= (found.high or -math.inf)
    # ranks are whole, so the interval is a little wider than it need be, never narrower
    assert 0.935 <= hits / runs <= 0.99
