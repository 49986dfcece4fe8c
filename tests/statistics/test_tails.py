"""The tail's confirmation: MLPerf's table, and what it refuses."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from bench.statistics import TailConfirmation, confirm_tail, tail_bound


@pytest.mark.parametrize(("over", "n"), [(0, 459), (1, 662), (2, 838), (3, 1001)])
def test_the_least_number_of_requests_for_each_number_over_the_bound(over: int, n: int) -> None:
    assert confirm_tail(n, over) == TailConfirmation(True, 0)
    assert confirm_tail(n - 1, over) == TailConfirmation(False, 1)
    assert stats.binom.cdf(over, n, 0.01) <= 0.01 < stats.binom.cdf(over, n - 1, 0.01)


@given(st.integers(0, 3000), st.integers(0, 60), st.sampled_from([0.9, 0.95, 0.99]))
def test_the_requests_that_are_said_to_be_missing_are_enough_and_no_more(
    n: int, over: int, probability: float
) -> None:
    over = min(over, n)
    found = confirm_tail(n, over, probability, 0.95)
    assert found.confirmed == (found.needs_more == 0)
    assert confirm_tail(n + found.needs_more, over, probability, 0.95).confirmed
    if found.needs_more:
        assert not confirm_tail(n + found.needs_more - 1, over, probability, 0.95).confirmed


def test_no_request_confirms_nothing() -> None:
    assert confirm_tail(0, 0) == TailConfirmation(False, 459)


def test_what_is_no_count_and_no_probability_is_refused() -> None:
    for n, over in ((5, 6), (5, -1)):
        with pytest.raises(ValueError, match="cannot be over"):
            confirm_tail(n, over)
    for probability in (0.0, 1.0, math.nan):
        with pytest.raises(ValueError, match="between 0 and 1"):
            confirm_tail(500, 0, probability)
        with pytest.raises(ValueError, match="between 0 and 1"):
            tail_bound([1.0], 0.99, probability)


@pytest.mark.parametrize(("n", "over"), [(459, 0), (661, 0), (662, 1), (837, 1), (838, 2), (100_000, 927)])
def test_the_least_bound_is_that_above_which_lie_as_many_as_are_allowed(n: int, over: int) -> None:
    samples = np.random.default_rng(1).permutation(np.arange(1.0, n + 1))
    bound = tail_bound(samples)
    assert bound == n - over
    assert confirm_tail(n, over).confirmed
    assert not confirm_tail(n, over + 1).confirmed


def test_too_few_samples_or_one_that_is_no_number_confirm_no_bound() -> None:
    assert tail_bound(np.ones(458)) is None
    assert tail_bound([]) is None
    assert tail_bound(np.append(np.ones(600), np.nan)) is None
    # a request that was never answered is above every bound
    assert tail_bound(np.append(np.ones(661), np.inf)) == 1
    assert tail_bound(np.append(np.ones(458), np.inf)) == math.inf
