"""The tail's confirmation: what rounds are worth, what they confirm, and what they refuse."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from bench.statistics import confirm_tail, tail_bound, weigh
from bench.statistics.tail_bounds import LEAST_IN_ROUND, LEAST_ROUNDS, clustering

Floats = NDArray[np.float64]


def independent(rounds: int, n: int, seed: int = 1) -> list[Floats]:
    """Rounds of n response times in ms that do not depend on each other."""
    rng = np.random.default_rng(seed)
    return [rng.exponential(10.0, n) for _ in range(rounds)]


def in_bursts(rounds: int, n: int, size: int, seed: int = 1) -> list[Floats]:
    """The same, but each response time is that of so many requests in a row."""
    return [np.repeat(values, size)[:n] for values in independent(rounds, -(-n // size), seed)]


def test_independent_requests_count_nearly_in_full_and_requests_in_bursts_once_for_each_burst() -> None:
    assert 1 <= clustering(independent(6, 5000)) < 3
    assert 15 < clustering(in_bursts(6, 5000, 20)) < 60


def test_a_round_that_differs_from_the_others_makes_all_count_for_less() -> None:
    rounds = independent(6, 2000)
    before = clustering(rounds)
    rounds[3] = rounds[3] * 1.5
    assert clustering(rounds) > 2 * before


def test_six_rounds_that_keep_a_bound_by_far_confirm_it_and_need_no_more() -> None:
    found = confirm_tail(independent(6, 1000), 80.0)
    assert (found.confirmed, found.refuted, found.more_rounds, found.times_as_long) == (True, False, 0, 1.0)


def test_a_bound_that_the_sample_breaks_is_refuted_and_no_number_of_rounds_confirms_it() -> None:
    found = confirm_tail(independent(6, 1000), 30.0)
    assert (found.confirmed, found.refuted, found.more_rounds) == (False, True, None)
    assert found.share_over == pytest.approx(math.exp(-3), rel=0.1)


@given(
    rounds=st.integers(3, 8),
    n=st.integers(100, 1200),
    size=st.sampled_from([1, 4, 15]),
    seed=st.integers(0, 99),
)
@settings(max_examples=50, deadline=None)
def test_the_rounds_that_are_said_to_be_missing_are_enough_and_no_more(
    rounds: int, n: int, size: int, seed: int
) -> None:
    """Enough if they are like these: worth as much, with as large a share over the bound."""
    weighed = weigh(in_bursts(rounds, n, size, seed))
    found = weighed.confirm(60.0)
    assert found.confirmed == (found.more_rounds == 0)
    assert found.refuted == (found.more_rounds is None)
    if not found.more_rounds:
        return
    each = weighed.worth / rounds * found.times_as_long
    assert each >= LEAST_IN_ROUND * 0.999
    enough = [
        weighed._is_enough((rounds + more) * each, found.share_over) and rounds + more >= LEAST_ROUNDS
        for more in (found.more_rounds, found.more_rounds - 1)
    ]
    assert enough[0]
    assert not enough[1] or found.more_rounds == 1


@pytest.mark.parametrize("rounds", [0, 1, 2])
def test_fewer_than_three_rounds_confirm_nothing_however_many_requests_they_have(rounds: int) -> None:
    few = independent(rounds, 20_000)
    found = confirm_tail(few, 1e9)
    assert (found.confirmed, found.refuted) == (False, False)
    assert found.more_rounds is not None
    assert found.more_rounds >= 1
    assert tail_bound(few) is None


def test_windows_that_are_short_against_the_bursts_confirm_nothing_however_many_rounds() -> None:
    rounds = in_bursts(400, 200, 50)
    found = confirm_tail(rounds, 1e9)
    assert not found.confirmed
    assert found.times_as_long > 1
    assert tail_bound(rounds) is None


def test_a_request_without_a_right_answer_is_over_every_bound() -> None:
    rounds = independent(6, 1000)
    for values in rounds:
        values[::50] = np.inf
    found = confirm_tail(rounds, 1e9)
    assert (found.confirmed, found.refuted) == (False, True)
    assert found.share_over == pytest.approx(0.02)
    assert tail_bound(rounds) == math.inf
    # a few are allowed, as a few late ones are
    rounds = independent(6, 1000)
    rounds[0][500] = np.inf
    assert math.isfinite(tail_bound(rounds) or math.inf)


@given(rounds=st.integers(3, 8), n=st.integers(300, 2000), seed=st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_the_least_bound_is_confirmed_and_none_below_it_is(rounds: int, n: int, seed: int) -> None:
    values = independent(rounds, n, seed)
    bound = tail_bound(values)
    if bound is None:
        assert not confirm_tail(values, max(map(np.max, values))).confirmed
        return
    assert bound in np.concatenate(values)
    assert confirm_tail(values, bound).confirmed
    assert not confirm_tail(values, np.nextafter(bound, 0)).confirmed


def test_what_is_no_number_and_no_probability_is_refused() -> None:
    with pytest.raises(ValueError, match="not a number"):
        confirm_tail([[1.0, math.nan]], 5.0)
    for probability in (0.0, 1.0, math.nan):
        with pytest.raises(ValueError, match="between 0 and 1"):
            confirm_tail([[1.0]], 5.0, probability)
        with pytest.raises(ValueError, match="between 0 and 1"):
            tail_bound([[1.0]], 0.99, probability)
