"""The real driver against a truth server's own log, by bounds that hold however busy the machine is.

A disturbance delays the server, the driver, or both, and each notes when. So every request is judged by the
two logs of that request: neither a queue nor a late process can break what is claimed here. What a right
driver measures on a quiet machine is the other files' subject; they measure at night.
"""

import itertools

import numpy as np
import pytest

from bench.load.window import LEAST_N
from bench.model import ARRIVALS, ClosedLoad
from tests.calibration import experiments
from tests.calibration.apparatus import run_once
from tests.calibration.claims import OVERHEAD_MS
from tests.calibration.experiments import CONSTANT_CLIENTS, CONSTANT_RATE, WARMUP_S
from tests.calibration.trials import Setting, Trial

SECONDS = 2.0


def once(*settings: Setting) -> tuple[Trial, ...]:
    """Run each experiment one time, whatever else the machine does."""
    return run_once(settings)


@pytest.fixture(scope="module")
def open_() -> Trial:
    return experiments.constant_open(once, SECONDS, "poisson")


@pytest.fixture(scope="module")
def closed() -> Trial:
    return experiments.constant_closed(once, SECONDS)


@pytest.fixture(params=["open_", "closed"])
def trial(request: pytest.FixtureRequest) -> Trial:
    found: Trial = request.getfixturevalue(request.param)
    return found


def test_the_driver_sends_the_schedule_that_was_computed_beforehand(open_: Trial) -> None:
    due = ARRIVALS["poisson"].due_ns(CONSTANT_RATE, WARMUP_S + SECONDS, 1).tolist()
    assert open_.requests.due_ns.tolist() == due


def test_each_request_goes_through_its_instants_in_their_order(trial: Trial) -> None:
    """Due, sent, arrived, begun, ended, replied, done: on one clock, by whichever process notes it.

    Requests of one service time that are under way together may be taken for each other as the logs are
    joined. So those of a service time are ordered by each instant: the n-th is never before the n-th of the
    instant before, whichever request it belongs to.
    """
    requests = trial.requests
    instants = (
        requests.due_ns,
        requests.sent_ns,
        requests.arrived_ns,
        requests.begun_ns,
        requests.ended_ns,
        requests.replied_ns,
        requests.done_ns,
    )
    for asked_ns in np.unique(requests.asked_ns):
        ordered = [np.sort(instant[requests.asked_ns == asked_ns]) for instant in instants]
        for earlier, later in itertools.pairwise(ordered):
            assert (earlier <= later).all()


def test_no_request_is_measured_shorter_than_it_asked_for(trial: Trial) -> None:
    assert (trial.requests.response_ms >= trial.requests.asked_ms).all()


def test_what_the_driver_adds_to_the_servers_time_is_small_for_the_least_disturbed(trial: Trial) -> None:
    """Polling or a coarse clock would delay nearly all; what else runs delays some."""
    requests = trial.requests
    added_ms = (requests.done_ns - requests.replied_ns + requests.arrived_ns - requests.sent_ns) / 1e6
    assert np.quantile(added_ms, 0.1) < OVERHEAD_MS
    # broken on purpose: a driver that looks for answers every 100 ms
    polled_ms = np.ceil(requests.done_ns / 1e8) * 1e2 - requests.replied_ns / 1e6
    assert np.quantile(polled_ms, 0.1) > OVERHEAD_MS


def test_the_figures_of_the_window_are_those_of_its_requests(trial: Trial) -> None:
    figures, inside = trial.figures, trial.requests.inside
    assert (figures.ok, figures.errors, figures.wrong_answers) == (inside.sum(), 0, 0)
    done_s = trial.requests.done_ns / 1e9
    assert figures.throughput_rps == ((done_s >= WARMUP_S) & (done_s < WARMUP_S + SECONDS)).sum() / SECONDS
    response_ms = np.sort(trial.requests.response_ms[inside])
    for q, measured in ((0.5, figures.latency_ms.p50), (0.9, figures.latency_ms.p90)):
        assert len(response_ms) >= LEAST_N[q]
        assert measured == response_ms[int(np.ceil(q * len(response_ms) - 1e-9)) - 1]


def test_a_closed_loop_counts_the_answers_that_the_server_gave_in_the_window(closed: Trial) -> None:
    """At each end of the window no client has more than one answer on its way."""
    assert isinstance(closed.load, ClosedLoad)
    replied_ns, begin_ns = closed.requests.replied_ns, WARMUP_S * 1e9
    gave = ((begin_ns <= replied_ns) & (replied_ns < begin_ns + SECONDS * 1e9)).sum()
    assert abs(int(gave) - closed.figures.ok) <= CONSTANT_CLIENTS


def test_a_closed_loop_has_one_request_of_each_client_under_way(closed: Trial) -> None:
    due, done = np.sort(closed.requests.due_ns), np.sort(closed.requests.done_ns)
    under_way = np.searchsorted(due, due, side="right") - np.searchsorted(done, due, side="right")
    assert under_way.max() <= CONSTANT_CLIENTS
