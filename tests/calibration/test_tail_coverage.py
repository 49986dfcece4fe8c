"""A bound on p99 is confirmed wrongly at most once in a hundred, over queues whose truth is known."""

import numpy as np
import pytest

from bench.statistics import weigh
from tests.calibration.noise import at_most
from tests.calibration.tail_coverage import Design, Queue, Service, coverage, grid, pooled

RUNS = 150
BUSY = Design(rounds=12, window_s=5.0)


@pytest.mark.parametrize("service", ["constant", "exponential"])
def test_a_bound_below_the_truth_is_confirmed_at_most_once_in_a_hundred(service: Service) -> None:
    """To take requests for independent is broken on purpose."""
    rng, found = np.random.default_rng(16), []
    for load in (0.5, 0.7, 0.9):
        queue = Queue(service, load, 300.0)
        found.append(coverage(queue, BUSY, RUNS, rng))
        broken = coverage(queue, BUSY, RUNS, rng, pooled)
        assert broken.wrong > at_most(0.01, RUNS), queue
        assert broken.bound_below > at_most(0.01, RUNS), queue
    for share in ("wrong", "bound_below"):
        each = [getattr(one, share) for one in found]
        assert max(each) <= at_most(0.01, RUNS), each
        assert np.mean(each) <= at_most(0.01, 3 * RUNS), each


def test_what_keeps_its_bound_by_half_is_confirmed_in_six_rounds_of_an_easy_load() -> None:
    """300 requests/s at half of the capacity, for ten seconds a round."""
    rng, design = np.random.default_rng(17), Design(rounds=6, window_s=10.0)
    assert coverage(Queue("exponential", 0.5, 600.0), design, 60, rng).at_one_and_half >= 0.8
    assert coverage(Queue("constant", 0.5, 600.0), design, 60, rng).at_one_and_half >= 0.8


def test_independent_requests_confirm_nearly_what_the_binomial_would() -> None:
    rng, truth = np.random.default_rng(18), np.log(100)
    runs = [weigh([rng.exponential(1.0, 1000) for _ in range(6)]) for _ in range(300)]
    assert np.mean([one.confirm(1.5 * truth).confirmed for one in runs]) >= 0.95
    assert np.mean([one.confirm(0.999 * truth).confirmed for one in runs]) <= at_most(0.01, 300)
    assert np.median([one.least_bound() or np.inf for one in runs]) < 1.2 * truth


def test_windows_that_are_short_against_the_queues_memory_confirm_nothing_in_however_many_rounds() -> None:
    """At 45 requests/s of 50 a queue remembers for eight seconds, and three of warm-up do not fill it."""
    rng, design = np.random.default_rng(19), Design(rounds=150, window_s=5.0)
    found = coverage(Queue("exponential", 0.9, 50.0), design, 20, rng)
    assert found.wrong == found.bound_below == 0
    assert coverage(Queue("exponential", 0.9, 50.0), design, 20, rng, pooled).wrong > 0.5


@pytest.mark.nightly
@pytest.mark.slow
@pytest.mark.parametrize("load", [0.5, 0.6, 0.7, 0.8, 0.9])
@pytest.mark.parametrize("service", ["constant", "exponential"])
def test_the_whole_grid_errs_at_most_once_in_a_hundred(service: Service, load: float) -> None:
    """Three, six and twelve rounds, windows of 5 to 30 s, 50 to 1 000 requests/s of capacity."""
    rng, wrong, runs = np.random.default_rng(int(100 * load)), 0.0, 0
    for queue, design, number in grid(service, load, 400):
        found = coverage(queue, design, number, rng)
        assert max(found.wrong, found.bound_below) <= at_most(0.01, number) + 1 / number, (
            queue,
            design,
            found,
        )
        wrong += max(found.wrong, found.bound_below) * number
        runs += number
    assert wrong / runs <= 0.01
