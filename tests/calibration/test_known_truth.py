"""Service times that are known are recovered, in open and closed loops; and each bound fails a wrong method.

The truth servers are processes on the other core than the driver's. A share of the requests asks for no
service time: what these take is the HTTP overhead, of the same minute and under the same noise, and is taken
off. Quantiles are compared by their order-statistic intervals.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from bench.model import Arrivals
from tests.calibration import experiments
from tests.calibration.claims import (
    Figure,
    constant_figures,
    exponential_figures,
    little_figure,
    overhead_figure,
    throughput_figure,
)
from tests.calibration.experiments import Run
from tests.calibration.trials import Trial
from tests.calibration.truths import as_locust_rounds

Show = Callable[..., None]
SECONDS = 6.0
# the upper edges that a metrics library takes for response times, in ms
BUCKETS_MS = np.array([5, 10, 25, 50, 75, 100, 250, 500, 750, 1000, 2500])


@pytest.fixture(scope="module")
def closed(run: Run) -> Trial:
    return experiments.constant_closed(run, SECONDS)


@pytest.fixture(scope="module")
def exponential(run: Run) -> Trial:
    return experiments.exponential_open(run, SECONDS + 1)


def failing(figures: Sequence[Figure], part: str) -> bool:
    """Whether every figure whose claim has the part in it fails; there must be one."""
    found = [figure for figure in figures if part in figure.claim]
    assert found, part
    return not any(figure.holds for figure in found)


@pytest.mark.parametrize("arrivals", ["poisson", "constant"])
def test_constant_service_times_are_recovered_in_an_open_loop(
    run: Run, arrivals: Arrivals, show: Show
) -> None:
    trial = experiments.constant_open(run, SECONDS, arrivals)
    gaps_ms = np.diff(trial.requests.due_ns) / 1e6
    assert (gaps_ms.std() < 0.001) == (arrivals == "constant")
    show(constant_figures(trial, trial.requests.response_ms), trial)


def test_constant_service_times_are_recovered_in_a_closed_loop(closed: Trial, show: Show) -> None:
    show(constant_figures(closed, closed.requests.response_ms), closed)


def test_a_closed_loop_answers_clients_over_service_time_and_keeps_littles_law(
    closed: Trial, show: Show
) -> None:
    show([throughput_figure(closed, closed.figures.throughput_rps), little_figure(closed)], closed)
    assert closed.figures.valid, closed.figures.doubts


def test_times_rounded_as_locust_rounds_them_fail_the_means_and_the_quantiles(closed: Trial) -> None:
    figures = constant_figures(closed, as_locust_rounds(closed.requests.response_ms))
    assert failing(figures, "constant 105 ms, mean")
    assert failing(figures, "constant 105 ms, p50")
    assert failing(figures, "45 ms and 60 more, p50")


def test_a_driver_that_looks_for_answers_every_10_ms_only_fails_the_overhead(closed: Trial) -> None:
    """The same delay in all means is taken off with the overhead, so that has a bound of its own."""
    response_ms = np.ceil(closed.requests.response_ms / 10) * 10
    inside, asked = closed.requests.inside, closed.requests.asked_ms
    assert not overhead_figure(response_ms[inside & (asked == 0)]).holds


def test_a_throughput_that_counts_the_warm_up_and_the_drain_fails(closed: Trial) -> None:
    counted = len(closed.requests.due_ns) / closed.load.window_s
    assert not throughput_figure(closed, counted).holds


def test_exponential_service_times_are_recovered_in_an_open_loop(exponential: Trial, show: Show) -> None:
    """Against the theory and the draw: it takes one from each stratum of the distribution."""
    show(
        exponential_figures(exponential, exponential.requests.response_ms, experiments.EXPONENTIAL_MEAN_MS),
        exponential,
    )


def test_exponential_service_times_are_recovered_in_a_closed_loop(run: Run, show: Show) -> None:
    """Against what was drawn: the clients do not get through whole passes of the strata."""
    trial = experiments.exponential_closed(run, SECONDS + 1)
    show([*exponential_figures(trial, trial.requests.response_ms, None), little_figure(trial)], trial)


def test_a_driver_that_leaves_slow_requests_unrecorded_fails_the_mean_and_the_tail(
    exponential: Trial,
) -> None:
    """As one does that ends what is in flight, or keeps time-outs out of its latency."""
    requests = exponential.requests
    recorded = replace(requests, inside=requests.inside & (requests.response_ms < 150))
    figures = exponential_figures(
        replace(exponential, requests=recorded),
        requests.response_ms,
        experiments.EXPONENTIAL_MEAN_MS,
    )
    assert failing(figures, "mean, of theory")
    assert failing(figures, "p99, of theory")


def test_quantiles_read_from_a_histograms_buckets_fail(exponential: Trial) -> None:
    response_ms = exponential.requests.response_ms
    edges = BUCKETS_MS[np.searchsorted(BUCKETS_MS, response_ms)].astype(np.float64)
    figures = exponential_figures(exponential, edges, experiments.EXPONENTIAL_MEAN_MS)
    assert failing(figures, "mean, of theory")
    assert failing(figures, "p50, of theory")
