"""A window is void where its figures would mislead, and each reason has its figure, bound and remedy."""

import dataclasses
from typing import Any

import numpy as np
import pytest
from scipy import stats

from bench.load.samples import Samples
from bench.load.window import Bounds, WindowFigures, summarise
from bench.model import OUTCOMES, in_words
from tests.statistics.processes import queue, samples_of

CLIENTS, WARMUP_S, WINDOW_S = 10, 2.0, 10.0
WRONG, HTTP_ERROR, REFUSED = (OUTCOMES.index(name) for name in ("wrong_answer", "http_error", "refused"))


def closed(rng_seed: int = 1, seconds: float = 12.0, clients: int = CLIENTS) -> Samples:
    """Clients that are answered after 20 to 80 ms and send anew at once."""
    rng = np.random.default_rng(rng_seed)
    due, done = [], []
    for _ in range(clients):
        ends = np.cumsum(rng.uniform(0.02, 0.08, int(seconds / 0.02)))
        starts = np.concatenate(([0.0], ends[:-1]))
        sent = starts < seconds
        due.append(starts[sent])
        done.append(ends[sent])
    return samples_of(np.concatenate(due), np.concatenate(done))


def opened(load: float, capacity: float = 300.0, seed: int = 2) -> Samples:
    return samples_of(*queue(np.random.default_rng(seed), load, capacity))


def judged(samples: Samples, clients: int | None = CLIENTS, **bounds: float) -> WindowFigures:
    return summarise(samples, clients, WARMUP_S, WINDOW_S, Bounds(**bounds))


def only(samples: Samples, kept: Any) -> Samples:
    return Samples(*(getattr(samples, name)[kept] for name in Samples.__slots__))


def reason(figures: WindowFigures) -> str:
    """The one reason that there is."""
    assert not figures.valid
    (only,) = figures.doubts
    assert only.voids
    return in_words(only)


def test_a_clean_closed_loop_has_every_figure_and_no_warning() -> None:
    samples = closed()
    samples.sent_ns[:] += 1_000_000
    figures = judged(samples)
    assert figures.valid
    assert figures.doubts == ()
    latency, service = figures.latency_ms, figures.service_ms
    truth = stats.uniform(20, 60)
    for found, q in ((latency.p50, 0.5), (latency.p90, 0.9), (latency.p95, 0.95), (latency.p99, 0.99)):
        assert found == pytest.approx(truth.ppf(q), abs=3)
    assert latency.p50 is not None
    # 2 000 answers cannot tell the slowest thousandth
    assert (latency.p999, service.p999) == (None, None)
    assert service.p50 == pytest.approx(latency.p50 - 1)
    assert (figures.late_sends, figures.lag_p99_ms) == (0.0, 1.0)


def test_enough_answers_tell_the_slowest_thousandth() -> None:
    figures = judged(closed(clients=40), 40)
    assert figures.ok > 3688
    assert figures.latency_ms.p999 == pytest.approx(79.9, abs=0.2)


def test_an_open_loop_below_saturation_is_valid_at_any_load() -> None:
    for load in (0.3, 0.5, 0.7, 0.9):
        figures = judged(opened(load), None)
        assert figures.valid, figures.doubts


def test_an_overloaded_open_loop_is_no_void_and_says_how_response_times_grow() -> None:
    figures = judged(opened(1.2), None)
    (why,) = figures.doubts
    assert figures.valid
    assert why.text.startswith("overloaded: response times grow from")
    assert (why.code, why.remedy, why.cause, why.voids) == ("overloaded", "lower the rate", "service", False)


def test_a_few_requests_that_are_refused_are_no_queue_that_grows() -> None:
    samples = opened(0.5)
    samples.outcome[len(samples.outcome) // 2] = OUTCOMES.index("refused")
    figures = judged(samples, None)
    assert [(one.code, one.voids) for one in figures.doubts] == [("refusing", False)]


@pytest.mark.parametrize(("bound", "valid"), [(0.0, False), (0.001, False), (0.01, True)])
@pytest.mark.parametrize(("outcome", "name"), [(WRONG, "wrong_answers"), (HTTP_ERROR, "errors")])
def test_faults_void_above_their_bound_and_below_it_the_quantiles_are_told_to_leave_them_out(
    outcome: int, name: str, bound: float, valid: bool
) -> None:
    samples = closed()
    samples.outcome[1000:1010] = outcome
    figures = judged(samples, **{name: bound})
    assert figures.valid is valid
    share = f"{10 / figures.requests:.2%}"
    expected = "the quantiles leave them out" if valid else f"({share}, at most {bound:.2%} may be)"
    assert expected in figures.doubts[0].text
    # the other fault's bound is its own
    other = "errors" if name == "wrong_answers" else "wrong_answers"
    assert not judged(samples, **{other: 1.0}).valid


def test_a_bound_that_is_no_number_lets_nothing_pass() -> None:
    nan = float("nan")
    samples = closed()
    samples.outcome[1000] = HTTP_ERROR
    assert len(judged(samples, errors=nan, late_sends=nan, little=nan).doubts) == 3


@pytest.mark.parametrize("clients", [CLIENTS, None])
def test_no_samples_at_all_are_no_pass_and_have_no_figures(clients: int | None) -> None:
    figures = judged(only(closed(), []), clients)
    assert "no request was answered correctly" in reason(figures)
    assert (
        figures.latency_ms.p50 is figures.service_ms.p50 is figures.lag_p99_ms is figures.late_sends is None
    )


def test_too_few_answers_to_see_whether_it_was_steady_are_no_pass() -> None:
    few = samples_of(np.arange(0, 12, 1.0), np.arange(0, 12, 1.0) + 1.0)
    assert reason(judged(few, 1)).startswith("10 answers are too few")


def test_late_sends_are_a_figure_and_void_above_their_bound() -> None:
    samples = closed()
    inside = np.flatnonzero((samples.due_ns >= 2e9) & (samples.due_ns < 12e9))
    late = inside[:: len(inside) // 40][:40]
    samples.sent_ns[late] += 15_000_000
    figures = judged(samples)
    assert figures.late_sends == pytest.approx(40 / len(inside))
    assert "the driver was late: 2.0%" in reason(figures)
    assert judged(samples, late_sends=0.03).valid


def test_a_rate_that_drops_is_void_in_a_closed_loop() -> None:
    """From the eighth second on every answer takes half as long again."""
    whole = closed(seconds=13.0)
    stretched = [t + np.maximum(0, t - 8e9) / 2 for t in (whole.due_ns, whole.done_ns)]
    slower = samples_of(*(instants / 1e9 for instants in stretched))
    slower = only(slower, slower.due_ns < 12e9)
    assert reason(judged(slower)).startswith("not steady: the window's thirds hold")
    # by more than they change: response times by half, and what is found of that is a little less or more
    assert judged(slower, steady=0.6).valid


def test_a_rate_that_creeps_is_void_though_no_third_of_it_says_so() -> None:
    due = np.cumsum(1 / np.linspace(190, 217, 2600))
    creeping = samples_of(due, due + 0.01)
    assert reason(judged(creeping, None)).startswith("not steady: the rate changes by +1")


def test_a_driver_that_stalls_between_answer_and_next_request_is_found_out() -> None:
    """For 0.2 s of 10 nothing new is sent: less than Little's law allows over the whole window."""
    samples = closed()
    figures = judged(only(samples, (samples.due_ns <= 6.0e9) | (samples.due_ns >= 6.2e9)))
    assert reason(figures).startswith("in a tenth of the window only 7.9 of 10 clients")


def test_a_driver_that_ended_early_is_found_out() -> None:
    samples = closed()
    figures = judged(only(samples, samples.due_ns < 11.7e9))
    assert any(one.code == "idle_clients" for one in figures.doubts)


def test_a_service_that_stalls_is_no_fault_of_the_driver() -> None:
    """A stall of 1.4 s is what is to be measured: clients wait for it, and the trial stands."""
    samples = closed(seconds=10.6)
    shifted = [np.where(t > 6e9, t + 1_400_000_000, t) / 1e9 for t in (samples.due_ns, samples.done_ns)]
    figures = judged(samples_of(*shifted))
    assert figures.valid, figures.doubts


def test_clocks_that_disagree_are_found_out() -> None:
    samples = closed()
    samples.sent_ns[500:520] -= 3_000_000
    assert "20 requests were sent before they were due" in judged(samples).doubts[0].text
    samples = closed()
    samples.sent_ns[500] = samples.done_ns[500] + 1
    assert "clocks disagree" in judged(samples).doubts[0].text


@pytest.mark.parametrize(("kept", "valid"), [(1, True), (0.75, False)])
def test_a_schedule_that_was_not_kept_whole_is_found_out(kept: float, valid: bool) -> None:
    """A worker's quarter that is missing leaves an open loop that looks like any other of a lower rate."""
    samples = opened(0.5)
    planned = int(((samples.due_ns >= 2e9) & (samples.due_ns < 12e9)).sum())
    rest = only(samples, np.arange(len(samples)) % 4 < 4 * kept)
    assert summarise(rest, None, WARMUP_S, WINDOW_S).valid
    figures = summarise(rest, None, WARMUP_S, WINDOW_S, scheduled=planned)
    assert figures.valid is valid
    if not valid:
        assert f"where its schedule has {planned}" in reason(figures)
    doubled = Samples(*(np.repeat(getattr(samples, name), 2) for name in Samples.__slots__))
    assert not summarise(doubled, None, WARMUP_S, WINDOW_S, scheduled=planned).valid


def test_samples_that_were_merged_twice_break_littles_law() -> None:
    doubled = Samples(*(np.repeat(getattr(closed(), name), 2) for name in Samples.__slots__))
    (law,) = [one for one in judged(doubled).doubts if one.code == "littles_law"]
    assert "is off by 100" in law.text or "is off by 9" in law.text


def test_requests_that_a_full_service_refuses_are_no_errors_of_an_open_loop() -> None:
    samples = opened(0.5)
    samples.outcome[::10] = REFUSED
    figures = judged(samples, None)
    assert figures.valid, figures.doubts
    assert figures.refused
    assert figures.errors == 0


@pytest.mark.parametrize("length", [0.0, -1.0, float("nan"), float("inf")])
def test_a_window_without_length_is_refused(length: float) -> None:
    with pytest.raises(ValueError, match="has no figures"):
        summarise(closed(), CLIENTS, WARMUP_S, length)


def test_every_reason_is_one_line() -> None:
    spoiled = closed()
    spoiled.outcome[:50], spoiled.outcome[50:90] = WRONG, HTTP_ERROR
    spoiled.sent_ns[500:600] += 20_000_000
    for doubt in judged(only(spoiled, np.arange(len(spoiled)) % 3 > 0), 20).doubts:
        assert "\n" not in in_words(doubt)
        assert len(in_words(doubt)) < 220
        assert doubt.remedy
    assert dataclasses.astuple(Bounds()) == (0.0, 0.0, 0.01, 0.03, 0.10, 0.05)
