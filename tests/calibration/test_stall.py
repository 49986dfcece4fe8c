"""A server that pauses for 1.4 s every 10 s: an open loop tells of it, and a closed one hides it.

This is coordinated omission (Tene, "How NOT to Measure Latency"). A pause delays everyone who comes during
it: 14% of all requests here, evenly between nothing and 1.4 s, so that 1% of all wait longer than 1.3 s.
Open arrivals come on regardless, and each is counted from when it was due. A closed client waits with the
server: in a pause it has one request under way and sends no other, so four clients record four slow requests
among thousands, far beyond the p99. Nobody measured falsely; the requests that would have waited were never
sent. The same happens in an open loop that cannot send, for want of connections, where time runs from sent.
"""

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from bench.load.window import summarise
from tests.calibration import experiments
from tests.calibration.claims import (
    MEAN_BOUND,
    Figure,
    close,
    exact_stall_ms,
    hidden_stall_figure,
    visible_stall_figures,
)
from tests.calibration.experiments import (
    STALL_CLIENTS,
    STALL_EVERY_S,
    STALL_RATE,
    STALL_S,
    STALL_SERVICE_MS,
    Run,
)
from tests.calibration.trials import Trial
from tests.calibration.truths import Floats

Show = Callable[..., None]


@pytest.fixture(scope="module")
def stalled(run: Run) -> Sequence[Trial]:
    """An open loop, a closed one and a starved open one, at the same time at the same server."""
    trials = experiments.stalled(run, STALL_EVERY_S)
    for trial in trials:
        begin_ns, end_ns = trial.load.warmup_s * 1e9, (trial.load.warmup_s + trial.load.window_s) * 1e9
        begun_ns, over_ns = trial.stalls_ns[0]
        assert begin_ns < begun_ns
        assert over_ns + 1e9 < end_ns
        assert all(begun > end_ns for begun, _ in trial.stalls_ns[1:])
    return trials


def visible(trial: Trial, response_ms: Floats) -> list[Figure]:
    return visible_stall_figures(trial, response_ms, STALL_EVERY_S, STALL_S)


def test_an_open_loops_p99_shows_the_stall_as_arithmetic_predicts(
    stalled: Sequence[Trial], show: Show
) -> None:
    open_ = stalled[0]
    show(visible(open_, open_.requests.response_ms), open_)


def test_a_closed_loops_p99_hides_the_stall(stalled: Sequence[Trial], show: Show) -> None:
    closed = stalled[1]
    show([hidden_stall_figure(closed, STALL_S)], closed)
    slow = closed.requests.response_ms > 500 * STALL_S
    assert slow.sum() == STALL_CLIENTS
    assert closed.requests.response_ms.max() > 950 * STALL_S


def test_an_open_loops_p99_is_not_taken_for_hidden(stalled: Sequence[Trial]) -> None:
    assert not hidden_stall_figure(stalled[0], STALL_S).holds


def test_a_closed_loops_times_fail_the_arithmetic_of_the_stall(stalled: Sequence[Trial]) -> None:
    closed = stalled[1]
    assert not visible(closed, closed.requests.response_ms)[0].holds


def test_counted_from_due_a_starved_driver_still_shows_the_stall_and_says_that_requests_waited(
    stalled: Sequence[Trial],
) -> None:
    starved = stalled[2]
    p99 = starved.figures.latency_ms.p99
    assert p99 is not None
    assert p99 > 900 * (STALL_S - 0.01 * STALL_EVERY_S)
    codes = {one.code for one in starved.figures.doubts}
    assert "clients_busy" in codes
    assert "late_sends" not in codes


def test_counted_from_sent_a_starved_driver_hides_the_stall(stalled: Sequence[Trial]) -> None:
    starved = stalled[2]
    service_ms = (starved.requests.done_ns - starved.requests.sent_ns) / 1e6
    assert not any(figure.holds for figure in visible(starved, service_ms))
    p99 = starved.figures.service_ms.p99
    assert p99 is not None
    assert p99 < 50 * STALL_S


def test_throughput_is_of_the_declared_window_and_not_from_the_first_answer_to_the_last(
    stalled: Sequence[Trial], show: Show
) -> None:
    """The window is made to end as the stall does: the last answer in it came as the stall began.

    The truth is how many answers the server says that it gave in the window.
    """
    closed = stalled[1]
    begin_s = closed.load.warmup_s
    window_s = closed.stalls_ns[0][1] / 1e9 - 0.01 - begin_s
    figures = summarise(closed.driven.samples, STALL_CLIENTS, begin_s, window_s)
    done_ns, replied_ns = closed.requests.done_ns, closed.requests.replied_ns
    begin_ns, end_ns = begin_s * 1e9, (begin_s + window_s) * 1e9
    truth_rps = float(((replied_ns >= begin_ns) & (replied_ns < end_ns)).sum()) / window_s
    inside = (done_ns >= begin_ns) & (done_ns < end_ns)
    n = int(inside.sum())
    claim = "stall at the window's end, requests/s"
    show([close(claim, truth_rps, figures.throughput_rps, MEAN_BOUND, n)], closed)
    first_to_last_s = float(np.ptp(done_ns[inside])) / 1e9
    assert not close("first to last", truth_rps, n / first_to_last_s, MEAN_BOUND, n).holds


def test_the_arithmetic_of_the_schedule_has_the_share_that_comes_due_in_the_stall(
    stalled: Sequence[Trial],
) -> None:
    """14% of even arrivals, and the one that was being served as the stall began."""
    open_ = stalled[0]
    due_s, exact = open_.requests.due_ns / 1e9, exact_stall_ms(open_)
    begin_s, end_s = open_.load.warmup_s, open_.load.warmup_s + open_.load.window_s
    waiting = (begin_s <= due_s) & (due_s < end_s) & (exact > STALL_SERVICE_MS + 1)
    assert waiting.sum() == pytest.approx(STALL_RATE * STALL_S, abs=3)
