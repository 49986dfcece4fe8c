"""Ratios over rounds: the tests beside the interval, families, and how many rounds an effect needs."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from bench import statistics
from bench.statistics import Comparison, holm, paired_ratio, rounds_needed
from bench.statistics.resampling import bca_interval, sign_flip_p

logs = st.lists(st.floats(-2, 2), min_size=2, max_size=10)
p_values = st.lists(st.one_of(st.none(), st.floats(0, 1)), max_size=12)


def of_logs(differences: list[float]) -> Comparison:
    found = paired_ratio(
        dict.fromkeys(range(len(differences)), 1.0), dict(enumerate(map(math.exp, differences)))
    )
    assert found is not None
    return found


def test_a_comparison_can_be_made_of_what_it_always_had() -> None:
    plain = Comparison(1.2, 1.1, 1.3, 6, 0.05)
    assert plain.shows_difference
    assert (plain.p_value, plain.t_p_value, plain.bootstrap, plain.spread) == (None, None, None, None)


def test_an_interval_that_is_no_number_shows_no_difference() -> None:
    assert not Comparison(math.nan, math.nan, math.nan, 6, None).shows_difference


@pytest.mark.parametrize("bad", [math.nan, math.inf, 0.0, -1.0])
def test_a_round_without_a_figure_gives_no_comparison(bad: float) -> None:
    good = {1: 1.0, 2: 1.1}
    assert paired_ratio(good, {1: 1.0, 2: bad}) is None
    assert statistics.unpaired_ratio([1.0, bad], [1.0, 2.0]) is None
    assert statistics.geometric_mean([1.0, bad]) is None


def test_a_median_of_what_is_no_number_is_no_figure() -> None:
    assert statistics.median([1.0, math.nan]) is None
    assert statistics.quantile([*range(100), math.nan], 0.5) is None


# sums that differ by less than rounding count as equal, to each library by a bound of its own
resolved = st.lists(st.floats(-2, 2).map(lambda value: round(value, 6)), min_size=2, max_size=10)


@settings(deadline=None, max_examples=50)
@given(resolved)
def test_sign_flips_agree_with_scipys_permutation_test(differences: list[float]) -> None:
    values = np.array(differences)
    scipys = stats.permutation_test(
        (values,),
        lambda flipped: abs(float(flipped.sum())),
        permutation_type="samples",
        n_resamples=np.inf,
        alternative="greater",
    )
    # equal sums that differ in their last bits are equally extreme to both, at most a flip or two apart
    assert sign_flip_p(values) == pytest.approx(float(scipys.pvalue), abs=2 / 2 ** len(values))


@pytest.mark.parametrize(("rounds", "least"), [(2, 0.5), (4, 0.125), (5, 0.0625), (6, 0.03125), (16, 2**-15)])
def test_the_least_p_value_of_sign_flips_is_two_in_all_flips(rounds: int, least: float) -> None:
    assert sign_flip_p(np.linspace(0.1, 0.2, rounds)) == least


def test_the_sign_flips_of_three_rounds_by_hand() -> None:
    # |±1 ±2 ±4| reaches the observed |1 - 2 + 4| = 3 but for the two flips that give ±1
    assert sign_flip_p(np.array([1.0, -2.0, 4.0])) == 6 / 8


def test_beyond_sixteen_rounds_flips_are_drawn_and_always_the_same_ones() -> None:
    values = np.random.default_rng(1).normal(0.03, 0.1, 20)
    drawn = sign_flip_p(values)
    assert drawn == sign_flip_p(values)
    assert drawn == pytest.approx(float(stats.ttest_1samp(values, 0).pvalue), abs=0.03)
    assert (sign_flip_p(np.full(20, 0.1)) or 0) >= 2**-16


@given(logs)
def test_the_p_value_of_t_is_below_a_twentieth_exactly_where_the_interval_excludes_one(
    differences: list[float],
) -> None:
    found = of_logs(differences)
    assert found.t_p_value is not None
    if abs(found.t_p_value - 0.05) > 1e-6 and (found.spread or 0) > 1e-9:
        assert (found.t_p_value < 0.05) == found.shows_difference
        assert found.t_p_value == pytest.approx(float(stats.ttest_1samp(differences, 0).pvalue), abs=1e-6)


def test_one_round_has_no_test() -> None:
    found = of_logs([0.3])
    assert (found.p_value, found.t_p_value, found.bootstrap, found.spread) == (None, None, None, None)


def test_the_bootstrap_is_the_same_every_time_and_lies_about_the_ratio() -> None:
    found = of_logs([0.1, 0.12, 0.08, 0.11, 0.3, 0.09])
    assert found.bootstrap == of_logs([0.1, 0.12, 0.08, 0.11, 0.3, 0.09]).bootstrap
    assert found.bootstrap is not None
    low, high = found.bootstrap
    assert low < found.ratio < high
    # one round carries the difference: the bootstrap leans to its side, which a t-interval cannot
    assert math.log(high / found.ratio) > 1.5 * math.log(found.ratio / low)


def test_too_few_rounds_have_no_bootstrap_and_equal_ones_one_without_width() -> None:
    assert bca_interval(np.array([0.1, 0.2, 0.3])) is None
    assert bca_interval(np.full(6, 0.1)) == (0.1, 0.1)
    assert paired_ratio({1: 1.0, 2: 2.0}, {1: 1.0, 2: 3.0}, bootstrap=False).bootstrap is None  # type: ignore[union-attr]  # there is one


@pytest.mark.slow
def test_the_bootstrap_is_too_narrow_at_six_rounds_by_as_much_as_its_description_says() -> None:
    rng, runs = np.random.default_rng(4), 500
    covered, widths = 0, []
    for _ in range(runs):
        values = rng.normal(0.1, 0.05, 6)
        low, high = bca_interval(values) or (math.nan, math.nan)
        covered += low <= 0.1 <= high
        widths.append((high - low) / (2 * stats.t.ppf(0.975, 5) * stats.sem(values)))
    assert 0.82 <= covered / runs <= 0.90
    assert np.mean(widths) == pytest.approx(0.7, abs=0.03)


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, None, 0.03]) == [0.03, 0.06, None, 0.06]
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []
    assert holm([None]) == [None]


@given(p_values)
def test_holm_never_lowers_a_p_value_keeps_their_order_and_is_at_most_bonferroni(
    family: list[float | None],
) -> None:
    adjusted = holm(family)
    pairs = sorted((p, q) for p, q in zip(family, adjusted, strict=True) if p is not None and q is not None)
    assert [q is None for q in adjusted] == [p is None for p in family]
    assert all(p <= q <= min(1.0, len(pairs) * p) or q == p for p, q in pairs)
    assert [q for _, q in pairs] == sorted(q for _, q in pairs)


@pytest.mark.parametrize("bad", [-0.1, 1.1, math.nan])
def test_holm_refuses_what_is_no_probability(bad: float) -> None:
    with pytest.raises(ValueError, match="from 0 to 1"):
        holm([0.5, bad])


def test_rounds_needed_agree_with_the_power_of_the_t_test() -> None:
    for spread, effect in [(0.03, 0.1), (0.05, 0.1), (0.0846, -0.1), (0.1, 0.02)]:
        rounds = rounds_needed(spread, effect)
        power = [
            stats.nct.sf(stats.t.ppf(0.975, r - 1), r - 1, abs(math.log1p(effect)) * math.sqrt(r) / spread)
            for r in (rounds - 1, rounds)
        ]
        assert power[0] < 0.8 <= power[1]


def test_rounds_needed_and_the_minimal_detectable_effect_say_the_same_but_for_a_round() -> None:
    """The method's formula leaves out what the noncentral t has beyond it: under 1% at six rounds."""
    found = of_logs([0.01, 0.05, 0.03, 0.02, 0.04, 0.06])
    assert found.spread is not None
    assert found.minimal_detectable_effect is not None
    assert rounds_needed(found.spread, found.minimal_detectable_effect) in (6, 7)


def test_no_noise_needs_two_rounds_and_no_number_of_rounds_is_endless() -> None:
    assert rounds_needed(0.0, 0.1) == 2
    assert rounds_needed(1.0, 1e-6) == 10_000
    for none in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(ValueError, match="none to look for"):
            rounds_needed(0.1, none)
