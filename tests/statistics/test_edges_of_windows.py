"""An open window counts what came due in it, and tells a change of response times from a steady queue."""

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from bench.analysis.metrics import METRICS, with_failures_ms
from bench.load.samples import Samples
from bench.load.window import Bounds, WindowFigures, summarise
from bench.model import OUTCOMES, Doubt, LatencyMs, OpenLoad, Trial, in_words
from bench.model.doubts import gravest_first
from bench.statistics import endless_median, shifts
from tests.statistics.processes import queue, samples_of

Floats = NDArray[np.float64]
BEGIN_S, WINDOW_S = 5.0, 10.0
WRONG, HTTP_ERROR, REFUSED = (OUTCOMES.index(name) for name in ("wrong_answer", "http_error", "refused"))


def judged(samples: Samples, window_s: float = WINDOW_S, **bounds: float) -> WindowFigures:
    return summarise(samples, None, BEGIN_S, window_s, Bounds(**bounds))


def codes(figures: WindowFigures) -> set[str]:
    return {one.code for one in figures.doubts if one.voids}


def stalling(stall_at_s: float, stall_s: float = 3.0, rate: float = 100.0, seed: int = 1) -> Samples:
    """Answers after 5 ms, but for one stall of the whole service."""
    due = np.sort(np.random.default_rng(seed).uniform(0, 20, int(20 * rate)))
    done, over = due + 0.005, stall_at_s + stall_s
    held = (done > stall_at_s) & (due < over)
    return samples_of(due, np.where(held, over + 0.005, done))


def true_p99_ms(samples: Samples) -> float:
    due = samples.due_ns / 1e9
    inside = (due >= BEGIN_S) & (due < BEGIN_S + WINDOW_S)
    ordered = np.sort((samples.done_ns - samples.due_ns)[inside]) / 1e6
    return float(ordered[int(np.ceil(0.99 * len(ordered))) - 1])


@pytest.mark.parametrize("at_s", [13.8, 14.8, 3.2, 4.9, 9.0])
def test_a_stall_anywhere_is_in_the_figures_of_the_requests_that_were_due(at_s: float) -> None:
    samples = stalling(at_s)
    assert judged(samples).latency_ms.p99 == pytest.approx(true_p99_ms(samples))


def test_counted_by_their_end_the_stall_vanishes() -> None:
    """Broken on purpose: the answers that ended in the window know nothing of a stall at its end."""
    samples = stalling(13.8)
    done = samples.done_ns / 1e9
    ended = (done >= BEGIN_S) & (done < BEGIN_S + WINDOW_S)
    by_end = np.quantile((samples.done_ns - samples.due_ns)[ended] / 1e6, 0.99)
    assert by_end < 10 < 2500 < true_p99_ms(samples)


@pytest.mark.parametrize("at_s", [13.8, 2.5])
def test_a_window_with_a_long_queue_at_one_end_is_void(at_s: float) -> None:
    assert "window_cut" in codes(judged(stalling(at_s)))


@pytest.mark.slow
@pytest.mark.parametrize("exponential", [True, False])
@pytest.mark.parametrize("load", [0.5, 0.7, 0.9])
@pytest.mark.parametrize(("rate", "window_s"), [(20, 10), (100, 5), (100, 20), (300, 10), (1000, 10)])
def test_a_steady_queue_is_seldom_called_cut_or_shifted(
    exponential: bool, load: float, rate: int, window_s: float
) -> None:
    rng, runs, void = np.random.default_rng(3), 60, 0
    for _ in range(runs):
        due, done = queue(rng, load, rate / load, BEGIN_S + window_s, exponential=exponential)
        inside = (due >= BEGIN_S) & (due < BEGIN_S + window_s)
        found = shifts(due[inside], done[inside], BEGIN_S, BEGIN_S + window_s)
        void += "window_cut" in codes(judged(samples_of(due, done), window_s))
        void += any(one.beyond(0.1) for one in found)
    # one or two in a hundred, and what chance makes of that
    assert void <= 4


Change = Callable[[np.random.Generator], tuple[Floats, Floats]]


def changing(first_ms: float, last_ms: float, rate: float, at_s: float = 5.0) -> Change:
    """Response times that scatter by a fifth and change in the window from one level to another."""

    def made(rng: np.random.Generator) -> tuple[Floats, Floats]:
        due = np.sort(rng.uniform(0, 15, int(15 * rate)))
        level = np.where(due < BEGIN_S + at_s, first_ms, last_ms) / 1e3
        return due, level * np.exp(rng.normal(0, 0.2, len(due)))

    return made


@pytest.mark.parametrize("rate", [20, 100, 400])
@pytest.mark.parametrize("at_s", [2.0, 4.0, 5.0, 6.3, 8.0])
@pytest.mark.parametrize(("first", "last"), [(5, 50), (5, 10), (10, 5)])
def test_a_change_within_the_window_is_always_found(
    rate: float, at_s: float, first: float, last: float
) -> None:
    rng = np.random.default_rng(4)
    for _ in range(20):
        due, response = changing(first, last, rate, at_s)(rng)
        figures = judged(samples_of(due, due + response))
        (why,) = [one for one in figures.doubts if one.voids]
        assert why.code == "not_steady"
        assert "response times change to" in why.text


@pytest.mark.parametrize("at_s", [2.0, 5.0, 8.0])
@pytest.mark.parametrize("rate", [100, 400])
def test_a_fifth_of_the_requests_that_gets_slower_is_found_by_the_slowest_tenth(
    rate: float, at_s: float
) -> None:
    """A fifth takes five times as long; by medians alone, broken on purpose, it is unseen."""
    rng, found, by_median = np.random.default_rng(6), 0, 0
    for _ in range(20):
        due, response = changing(5, 5, rate)(rng)
        slow = (due > BEGIN_S + at_s) & (rng.random(len(due)) < 0.2)
        done = due + np.where(slow, 5 * response, response)
        figures = judged(samples_of(due, done))
        found += any(one.text.startswith("not steady: the slowest tenth") for one in figures.doubts)
        every = shifts(due, done, BEGIN_S, BEGIN_S + WINDOW_S)
        by_median += any(one.of == "median" and one.beyond() for one in every)
    assert found >= 17
    assert by_median <= 5


@pytest.mark.parametrize("stall_s", [0.7, 1.4, 2.0])
def test_a_stall_is_no_change_of_response_times_wherever_it_is(stall_s: float) -> None:
    """It fills the first or the last fifth of the window: what its silence held back is left out."""
    for place, at_s in enumerate(np.linspace(BEGIN_S - stall_s / 2, BEGIN_S + WINDOW_S - stall_s / 2, 25)):
        figures = judged(stalling(float(at_s), stall_s, seed=place))
        assert "not_steady" not in {one.code for one in figures.doubts}, at_s


def test_a_stall_that_comes_again_and_again_from_mid_window_on_is_a_change() -> None:
    """Every half second the service pauses for 0.2 s: two in five requests wait, and the median does not."""
    due = np.sort(np.random.default_rng(7).uniform(0, 15, 15 * 200))
    into = (due - 10.0) % 0.5
    paused = (due > 10.0) & (into < 0.2)
    figures = judged(samples_of(due, due + 0.005 + np.where(paused, 0.2 - into, 0.0)))
    (why,) = [one for one in figures.doubts if one.voids]
    assert why.text.startswith("not steady: the slowest tenth of responses changes to")


def test_a_change_below_the_tolerance_and_a_rate_alone_say_nothing() -> None:
    """Broken on purpose: steadiness of throughput alone, as it was, finds no change of response times."""
    rng = np.random.default_rng(5)
    due, response = changing(5, 5.2, 100)(rng)
    assert judged(samples_of(due, due + response)).valid
    due, response = changing(5, 50, 100)(rng)
    assert judged(samples_of(due, due + response), steady=20.0).valid


def test_too_few_requests_have_no_shift() -> None:
    assert shifts([1.0] * 14, [2.0] * 14, 0, 10) == ()


def faulty(outcome: int, where: Callable[[Floats], NDArray[np.bool_]]) -> Samples:
    due = np.arange(0, 20, 0.01)
    samples = samples_of(due, due + 0.005)
    samples.outcome[where(samples.due_ns / 1e9)] = outcome
    return samples


def test_numerator_and_denominator_of_every_share_are_the_same_requests() -> None:
    """A fault in the warm-up is no part of the window's share, which is that of the window's requests."""
    samples = faulty(WRONG, lambda due: np.arange(len(due)) % 11 == 0)
    figures = judged(samples, wrong_answers=1.0)
    share = figures.wrong_answers / figures.requests
    assert figures.requests == 1000
    assert share == pytest.approx(1 / 11, abs=0.001)
    # as it was: all wrong answers over the window's requests
    before = (figures.wrong_answers + figures.wrong_answers_outside) / figures.requests
    assert before > 0.15
    assert figures.requests == figures.ok + figures.wrong_answers + figures.errors + (figures.refused or 0)


@pytest.mark.parametrize("outcome", [WRONG, HTTP_ERROR])
def test_faults_outside_the_window_are_told_and_void_by_the_share_of_the_whole_trial(outcome: int) -> None:
    samples = faulty(outcome, lambda due: due < 1)
    figures = judged(samples)
    assert (figures.errors, figures.wrong_answers) == (0, 0)
    assert figures.errors_outside + figures.wrong_answers_outside == 100
    assert not figures.valid
    assert "100 outside the window" in figures.doubts[0].text
    assert judged(samples, errors=0.06, wrong_answers=0.06).valid


@pytest.mark.parametrize(("share", "endless"), [(0.005, set()), (0.02, {"p99"}), (0.6, {"p50", "p99"})])
@pytest.mark.parametrize("outcome", [WRONG, HTTP_ERROR, REFUSED])
def test_requests_without_a_right_answer_stand_at_infinity(
    share: float, endless: set[str], outcome: int
) -> None:
    samples = faulty(outcome, lambda due: np.arange(len(due)) % 1000 < 1000 * share)
    figures = judged(samples, errors=1.0, wrong_answers=1.0)
    found = figures.with_failures_ms
    assert {name for name in ("p50", "p99") if getattr(found, name) is None} == endless
    assert figures.latency_ms.p99 == pytest.approx(5)


def trial(requests: int, p50: float | None, p99: float | None) -> Trial:
    none = LatencyMs(None, None, None)
    load = OpenLoad(100.0, 5.0, 10.0)
    base = Trial(
        "onnx", 1, "small", "json", load, 10.0, 5.0, requests, 0, 0, 0, None, none, None, None, None, (),
        True, None,
    )  # fmt: skip
    return dataclasses.replace(base, with_failures_ms=LatencyMs(p50, None, p99))


def test_a_quantile_that_never_ends_is_infinite_and_not_missing() -> None:
    assert with_failures_ms(trial(1000, 5.0, None), 0.99) == np.inf
    assert with_failures_ms(trial(1000, 5.0, None), 0.50) == 5.0
    assert with_failures_ms(trial(100, 5.0, None), 0.99) is None, "too few requests"
    found = METRICS["p99_with_failures"].over_rounds([5.0, 6.0, np.inf])
    assert found is not None
    assert found.centre == 6.0
    most = endless_median([5.0, np.inf, np.inf])
    assert most is not None
    assert most.centre == np.inf


def test_any_refusal_overloads_and_voids_nothing() -> None:
    figures = judged(faulty(REFUSED, lambda due: np.arange(len(due)) % 500 == 0))
    assert figures.valid
    assert figures.refused == 2
    assert [(one.code, one.voids) for one in figures.doubts] == [("refusing", False)]


def test_what_ended_a_service_stands_before_what_followed_from_it() -> None:
    def doubt(code: str, *, voids: bool = True) -> Doubt:
        return Doubt(code, code, "", voids, "service")  # type: ignore[arg-type]  # codes of the table

    given = [
        doubt("driver_busy", voids=False),
        doubt("not_steady"),
        doubt("failed_requests"),
        doubt("exited"),
    ]
    assert [one.code for one in gravest_first(given)] == [
        "exited", "failed_requests", "not_steady", "driver_busy",
    ]  # fmt: skip
    assert in_words(gravest_first(given)[0]) == "exited"
