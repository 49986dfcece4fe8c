"""What waits because all clients are busy is held against the service; the driver's own lag is not hidden."""

from dataclasses import replace

import numpy as np
import pytest

from bench.load.client_pool import ClientPool
from bench.load.samples import Samples
from bench.load.window import WindowFigures, summarise
from bench.measure.plan import Objective
from bench.measure.steps.probe import judge_probe
from bench.measure.steps.trial import TrialStep, Tried
from bench.model import OUTCOMES, OpenLoad
from tests.bench.plans import trial
from tests.statistics.processes import Floats, samples_of

BEGIN_S, WINDOW_S, TIMEOUT = 5.0, 10.0, OUTCOMES.index("timeout")


def held_samples(pool: ClientPool, due: Floats, service_s: Floats, pause_s: float = 0.0) -> Samples:
    """Requests that each process gives, as they come due, to the client of its own that is free first."""
    sent, done = due.copy(), due.copy()
    for place in range(pool.workers):
        free = np.zeros(len(range(place, pool.clients, pool.workers)))
        for number in range(place, len(due), pool.workers):
            first = int(np.argmin(free))
            sent[number] = max(due[number], free[first])
            done[number] = sent[number] + service_s[number]
            free[first] = done[number] + pause_s
    order = np.argsort(done, kind="stable")
    samples = samples_of(due, done)
    samples.sent_ns[:] = (sent[order] * 1e9).astype(np.int64)
    return samples


def stalled(pool: ClientPool, rate: float = 200.0, stall_s: float = 3.0, at_s: float = 9.0) -> Samples:
    """A service of 5 ms that pauses once in mid-window, as long as the pool lets it see."""
    due = np.sort(np.random.default_rng(1).uniform(0, 20, int(20 * rate)))
    service = np.where((due > at_s) & (due < at_s + stall_s), at_s + stall_s - due, 0) + 0.005
    return held_samples(pool, due, service)


def judged(samples: Samples, pool: ClientPool | None) -> WindowFigures:
    return summarise(samples, None, BEGIN_S, WINDOW_S, pool=pool)


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_a_stall_with_more_requests_than_clients_is_no_late_driver(workers: int) -> None:
    pool = ClientPool(512, workers)
    samples = stalled(pool)
    figures = judged(samples, pool)
    assert {one.code: one.voids for one in figures.doubts} == {"clients_busy": False}
    assert figures.valid
    assert figures.late_sends == 0
    assert figures.lag_p99_ms == pytest.approx(0, abs=0.001)
    # response times count from due all the same
    assert figures.latency_ms.p99 == pytest.approx(2950, rel=0.03)
    assert "late_sends" in {one.code for one in judged(samples, None).doubts}, "as it was"


@pytest.mark.parametrize("pool", [ClientPool(512), None])
def test_a_search_counts_what_waited_for_a_client_as_late(pool: ClientPool | None) -> None:
    samples = stalled(ClientPool(512))
    figures = judged(samples, pool)
    step = TrialStep(
        strategy="fast", payload_class="seed", encoding="json", round=1, load=OpenLoad(200, BEGIN_S, WINDOW_S)
    )
    made = replace(
        trial(step), warmup_s=BEGIN_S, window_s=WINDOW_S, valid=figures.valid, doubts=figures.doubts
    )
    found = judge_probe(
        Objective(0.99, 100.0, warmup_s=BEGIN_S, window_s=WINDOW_S), 200.0, 1, Tried(made, samples, 1.0)
    )
    if pool is None:
        assert found is None, "as it was: a driver that is late tells nothing of a service"
    else:
        assert found is not None
        assert (found.held, found.known) == (False, True)
        assert "were not within 100 ms" in found.why_not


def test_a_driver_that_is_late_while_its_clients_are_busy_is_found_out() -> None:
    pool = ClientPool(512)
    samples = stalled(pool)
    waited = np.flatnonzero(pool.ready_ns(samples) > samples.due_ns)
    samples.sent_ns[waited] += 30_000_000
    samples.done_ns[waited] += 30_000_000
    assert "late_sends" in {one.code for one in judged(samples, pool).doubts}


def test_a_client_that_failed_pauses_and_that_is_not_the_drivers_lag() -> None:
    """Requests that wait for clients which all time out are sent a pause after that."""
    due = np.arange(0, 20, 0.01)
    samples = held_samples(ClientPool(10), due, np.full(len(due), 0.12), pause_s=0.011)
    samples = replace(samples, outcome=np.full(len(samples), TIMEOUT))
    assert judged(samples, ClientPool(10)).late_sends == 0


def test_a_closed_loop_has_no_pool_to_wait_for() -> None:
    pool = ClientPool(512)
    figures = summarise(stalled(pool), 4, BEGIN_S, WINDOW_S, pool=pool)
    assert "clients_busy" not in {one.code for one in figures.doubts}
