"""Queues show the textbook's waits: the driver those of its own schedule, the schedule those of the textbook.

A queue's waits are so correlated that a run of seconds cannot show a mean within 5% but by luck. So the claim
is shown in two steps. The driver's schedule is known before the run; Lindley's recursion gives from it, and
from the service times drawn, each request's exact wait, which the driver must have measured. And over a
million arrivals of the same generator, where chance is below 1%, the recursion gives the textbook's mean.
"""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from bench.model import ARRIVALS
from tests.calibration import experiments
from tests.calibration.claims import (
    WAIT_BOUND,
    close,
    exact_waits_ms,
    measured_waits_ms,
    queue_figures,
    textbook_figure,
)
from tests.calibration.experiments import QUEUE_RATE, QUEUE_SERVICE_MS, WARMUP_S, Run
from tests.calibration.trials import Trial
from tests.calibration.truths import Floats, exponential_ms, textbook_wait

Show = Callable[..., None]
SECONDS = 14.0
LONG, SEEDS, ARRIVALS_A_SEED = 1_000_000, 20, 10_000


@pytest.fixture(scope="module")
def queues(run: Run) -> Sequence[Trial]:
    """M/D/1 and M/M/1."""
    return [experiments.queue(run, SECONDS, variation) for variation in (0.0, 1.0)]


@pytest.fixture(scope="module")
def closed(run: Run) -> Trial:
    """The server of M/D/1 under one client."""
    return experiments.queue_closed(run, 2.0)


@pytest.fixture(scope="module")
def long_due_ns() -> NDArray[np.int64]:
    return np.asarray(ARRIVALS["poisson"].due_ns(QUEUE_RATE, LONG / QUEUE_RATE, 1))


def constant(n: int) -> Floats:
    return np.full(n, QUEUE_SERVICE_MS)


def poisson_p_values(gaps_s: Floats, rate_per_s: float) -> tuple[float, float, float]:
    """How likely a Poisson process is to be as far off: in its gaps, its counts a second, and their order."""
    n = len(gaps_s)
    of_gaps = stats.kstest(gaps_s, stats.expon(scale=1 / rate_per_s).cdf).pvalue
    counts = np.bincount(np.floor(np.cumsum(gaps_s)).astype(int))[:-1]
    dispersion = (len(counts) - 1) * counts.var(ddof=1) / counts.mean()
    below = stats.chi2(len(counts) - 1).cdf(dispersion)
    from_mean = gaps_s - gaps_s.mean()
    lags = [float((from_mean[k:] * from_mean[:-k]).sum() / (from_mean**2).sum()) for k in range(1, 11)]
    # Ljung and Box's sum of the squared correlations over ten lags
    box = n * (n + 2) * sum(r**2 / (n - k) for k, r in enumerate(lags, 1))
    return float(of_gaps), float(2 * min(below, 1 - below)), float(stats.chi2(10).sf(box))


def test_the_schedules_arrivals_are_poisson_in_gaps_counts_and_order() -> None:
    """Over twenty seeds the p-values of each test lie evenly, as they do where there is nothing to find."""
    seconds = ARRIVALS_A_SEED / 200
    found = [
        poisson_p_values(np.diff(ARRIVALS["poisson"].due_ns(200, seconds, seed), prepend=0) / 1e9, 200)
        for seed in range(SEEDS)
    ]
    for p_values in zip(*found, strict=True):
        assert min(p_values) > 0.01 / SEEDS
        assert stats.kstest(p_values, "uniform").pvalue > 0.01


@pytest.mark.parametrize("wrong", ["even gaps", "gaps of whole ms", "a burst each second", "sorted gaps"])
def test_arrivals_that_are_not_poisson_are_found_out(wrong: str) -> None:
    gaps_s = np.diff(ARRIVALS["poisson"].due_ns(200, ARRIVALS_A_SEED / 200, 1), prepend=0) / 1e9
    spoilt = {
        "even gaps": np.full(len(gaps_s), 1 / 200),
        "gaps of whole ms": np.round(gaps_s, 3),
        "a burst each second": gaps_s * (1 + 0.5 * np.sin(2 * np.pi * np.cumsum(gaps_s) / 10)),
        "sorted gaps": np.sort(gaps_s),
    }
    assert min(poisson_p_values(gaps_s, 200)) > 0.01
    assert min(poisson_p_values(spoilt[wrong], 200)) < 1e-6


def test_over_a_long_schedule_the_waits_are_the_textbooks(long_due_ns: NDArray[np.int64], show: Show) -> None:
    n = len(long_due_ns)
    drawn = exponential_ms(n, QUEUE_SERVICE_MS, 1)
    show(
        [
            textbook_figure(
                name, long_due_ns, service, textbook_wait(QUEUE_RATE, QUEUE_SERVICE_MS, variation)
            )
            for name, service, variation in (("M/D/1", constant(n), 0.0), ("M/M/1", drawn, 1.0))
        ]
    )


def test_even_arrivals_or_the_wrong_service_times_fail_the_textbook(long_due_ns: NDArray[np.int64]) -> None:
    truth_ms, n = textbook_wait(QUEUE_RATE, QUEUE_SERVICE_MS, 0.0), len(long_due_ns)
    even = ARRIVALS["constant"].due_ns(QUEUE_RATE, LONG / QUEUE_RATE, 1)
    assert not textbook_figure("D/D/1", even, constant(len(even)), truth_ms).holds
    drawn = exponential_ms(n, QUEUE_SERVICE_MS, 1)
    assert not textbook_figure("M/M/1", long_due_ns, drawn, truth_ms).holds
    slower = 1.03 * constant(n)
    assert not textbook_figure("M/D/1, served 3% slower", long_due_ns, slower, truth_ms).holds


def test_the_driver_sends_the_very_schedule_that_was_computed_beforehand(queues: Sequence[Trial]) -> None:
    computed = ARRIVALS["poisson"].due_ns(QUEUE_RATE, WARMUP_S + SECONDS, 1).tolist()
    for trial in queues:
        assert trial.requests.due_ns.tolist() == computed


def test_what_reaches_the_server_has_the_gaps_of_the_schedule(queues: Sequence[Trial]) -> None:
    for trial in queues:
        arrived, due = (
            np.diff(np.sort(ns / 1e9)) for ns in (trial.requests.arrived_ns, trial.requests.due_ns)
        )
        assert stats.ks_2samp(arrived, due).pvalue > 0.05


def test_what_reaches_the_server_from_a_closed_client_has_not(queues: Sequence[Trial], closed: Trial) -> None:
    arrived, due = (np.diff(trial.requests.arrived_ns) / 1e9 for trial in (closed, queues[0]))
    assert stats.ks_2samp(arrived, due).pvalue < 1e-6


def test_the_driver_measures_the_waits_of_its_schedule_at_a_constant_server(
    queues: Sequence[Trial], show: Show
) -> None:
    waits_ms, _ = measured_waits_ms(queues[0])
    show(queue_figures("M/D/1", queues[0], waits_ms), queues[0])


def test_the_driver_measures_the_waits_of_its_schedule_at_an_exponential_server(
    queues: Sequence[Trial], show: Show
) -> None:
    waits_ms, _ = measured_waits_ms(queues[1])
    show(queue_figures("M/M/1", queues[1], waits_ms), queues[1])


def test_a_driver_that_sends_only_when_answered_hides_the_queue(
    queues: Sequence[Trial], closed: Trial
) -> None:
    """One closed client keeps the same server busier than the open loop does, and sees no wait at all."""
    assert closed.figures.throughput_rps > queues[0].figures.throughput_rps
    waits_ms, inside = measured_waits_ms(closed)
    truth_ms = textbook_wait(QUEUE_RATE, QUEUE_SERVICE_MS, 0.0)
    assert not close("wait", truth_ms, float(waits_ms[inside].mean()), WAIT_BOUND, int(inside.sum())).holds
    beyond_ms = (closed.requests.response_ms - closed.requests.asked_ms)[inside]
    assert np.median(beyond_ms) < 0.2 * truth_ms


def test_waits_that_a_driver_shifts_among_requests_fail_each_wait(queues: Sequence[Trial]) -> None:
    """The mean is right where answers are taken for those of other requests; the single waits are not."""
    waits_ms, _ = measured_waits_ms(queues[0])
    figures = queue_figures("M/D/1", queues[0], np.roll(waits_ms, 1))
    assert [figure.holds for figure in figures if "one wait" in figure.claim] == [False]


def test_a_queue_of_which_a_tenth_is_lost_fails_the_mean(queues: Sequence[Trial]) -> None:
    """As where the driver begins to count when it sends, and is held back while the queue is long."""
    waits_ms, _ = measured_waits_ms(queues[0])
    held_back = np.minimum(waits_ms, np.quantile(exact_waits_ms(queues[0].requests), 0.8))
    figures = queue_figures("M/D/1", queues[0], held_back)
    assert [figure.holds for figure in figures if "of its schedule" in figure.claim] == [False]
