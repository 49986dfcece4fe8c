"""A steady queue is called cut at most once in a hundred windows, and a stall across the end is found."""

import numpy as np
import pytest

from tests.calibration.noise import at_most
from tests.calibration.window_cuts import RATES, Steady, called_cut, steady_queues

RUNS = 60


@pytest.mark.parametrize("rate", RATES)
def test_a_steady_queue_is_seldom_called_cut(rate: float) -> None:
    shares = [called_cut(queue, RUNS) for queue in steady_queues(rate)]
    assert max(shares) <= at_most(0.01, RUNS), shares
    assert np.mean(shares) <= 0.01


@pytest.mark.parametrize(("rate", "least"), [(5, 0.5), (10, 0.9), (20, 0.99), (33, 0.99), (100, 0.99)])
def test_a_stall_across_the_end_is_found_at_low_rates_too(rate: float, least: float) -> None:
    """It lasts three seconds and begins 1.2 s before the end of a window of 10 s."""
    quick = Steady("constant", 0.005, rate)
    assert called_cut(quick, RUNS, ahead_s=1.2) >= least
    if rate <= 20:
        # broken on purpose: with forty requests as the least, as it was, nothing is found
        assert called_cut(quick, RUNS, ahead_s=1.2, least=40) == 0


@pytest.mark.parametrize("rate", [20, 100, 200])
def test_a_hiccup_across_the_end_voids_nothing(rate: float) -> None:
    """A fifth of a second before the end is no stall that a window of 10 s must be void for."""
    assert called_cut(Steady("constant", 0.005, rate), RUNS, ahead_s=0.15) <= at_most(0.01, RUNS)


@pytest.mark.nightly
@pytest.mark.slow
@pytest.mark.parametrize("window_s", [5.0, 20.0, 60.0])
@pytest.mark.parametrize("rate", RATES)
def test_windows_of_other_lengths_are_called_cut_as_seldom(rate: float, window_s: float) -> None:
    shares = [called_cut(queue, 300, window_s=window_s) for queue in steady_queues(rate)]
    assert max(shares) <= at_most(0.01, 300), shares
