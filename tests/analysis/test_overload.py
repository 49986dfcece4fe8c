"""Overload is judged by load: its trials count all or none."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import pytest

from bench.analysis.doubt_counts import doubts
from bench.analysis.overload import judged_by_load
from bench.analysis.summary import Row, summarise
from bench.load.samples import Samples
from bench.model import OUTCOMES, Doubt, Trial
from tests.analysis.simulated import judged, run_with, voided
from tests.running.doubts import doubt
from tests.statistics.processes import queue, samples_of

CAPACITY, ROUNDS = 300.0, 6
TIMEOUT, NO_CONNECTION = (OUTCOMES.index(name) for name in ("timeout", "connection_error"))


def rounds(load: float, seed: int, *, exponential: bool = True) -> list[Trial]:
    """Six rounds of one server at a share of its capacity, each judged alone."""
    rng = np.random.default_rng(seed)
    return [
        judged(samples_of(*queue(rng, load, CAPACITY, exponential=exponential)), number, load * CAPACITY)
        for number in range(1, ROUNDS + 1)
    ]


def row_of(trials: Sequence[Trial]) -> Row:
    (row,) = summarise(run_with(trials)).rows.values()
    return row


def impatient(samples: Samples, patience_s: float) -> Samples:
    """The same requests, if the driver gives up on each after a time."""
    late = samples.done_ns - samples.due_ns > patience_s * 1e9
    samples.done_ns[late] = samples.due_ns[late] + int(patience_s * 1e9)
    samples.outcome[late] = TIMEOUT
    order = np.argsort(samples.done_ns, kind="stable")
    return Samples(*(getattr(samples, name)[order] for name in Samples.__slots__))


@pytest.mark.parametrize(
    ("load", "exponential", "least"), [(1.02, False, 2), (1.05, True, 4), (1.05, False, 1)]
)
def test_at_a_load_just_above_capacity_all_rounds_count(load: float, exponential: bool, least: int) -> None:
    """In `least` of 25 runs or more, some rounds alone would be void and others not."""
    mixed = 0
    for seed in range(25):
        trials = rounds(load, seed, exponential=exponential)
        row = row_of(trials)
        if row.overloaded:
            assert (row.valid_trials, row.invalid_trials) == (ROUNDS, 0)
            p50 = [one.latency_ms.p50 for one in trials]
            spread = row.spread("p50")
            assert spread is not None
            assert (spread.least, spread.most, spread.n) == (min(p50), max(p50), ROUNDS)  # type: ignore[type-var]  # each has one
            assert row.estimates["p50"] is not None
            assert row.estimates["p50"].low is None
        # broken on purpose: each trial judged alone, of which only some count
        mixed += row.overloaded and not all(one.valid for one in trials)
    assert mixed >= least


def test_a_load_below_capacity_is_judged_as_before() -> None:
    for seed in range(10):
        trials = rounds(0.7, seed)
        run = run_with(trials)
        assert not any(one.overloaded for one in trials)
        assert judged_by_load(run) is run


def test_requests_that_wait_too_long_for_the_driver_take_no_round_out_of_an_overloaded_load() -> None:
    rng, trials = np.random.default_rng(5), []
    for number in range(1, ROUNDS + 1):
        samples = impatient(samples_of(*queue(rng, 1.3, CAPACITY)), 2.0)
        trials.append(judged(samples, number, 1.3 * CAPACITY))
    assert all("timed_out" in {one.code for one in trial.doubts} for trial in trials)
    assert any(one.overloaded for one in trials)
    row = row_of(trials)
    assert (row.valid_trials, row.invalid_trials) == (ROUNDS, 0)
    assert row.spread("p99_with_failures") is not None
    # told as warnings, since they void nothing
    (told,) = [one for one in doubts(run_with(trials)) if one.code == "timed_out"]
    assert (told.invalid, told.valid) == (0, ROUNDS)
    assert not told.example.voids


def test_timeouts_where_no_round_is_overloaded_void_as_before() -> None:
    """A service that hangs for some of its requests, at a load that it can answer."""
    trials = rounds(0.5, 6)
    due, done = queue(np.random.default_rng(7), 0.5, CAPACITY)
    done[::50] = due[::50] + 8.0
    trials[0] = judged(impatient(samples_of(due, done), 5.0), 1, 0.5 * CAPACITY)
    assert [one.code for one in trials[0].doubts if one.voids] == ["timed_out"]
    row = row_of(trials)
    assert (row.valid_trials, row.overloaded_trials) == (ROUNDS - 1, 0)


@pytest.mark.parametrize(
    "spoiled",
    [
        doubt("9% used by others", "other_cpu"),
        doubt("late", "late_sends", cause="driver"),
        doubt("exited with -9", "exited", cause="service"),
        doubt("12 wrong answers", "wrong_answers", cause="service"),
        doubt("3 answers are too few", "too_few_answers", cause="harness"),
    ],
    ids=lambda one: one.code,
)
def test_what_no_overload_brings_voids_a_round_of_an_overloaded_load_too(spoiled: Doubt) -> None:
    trials = rounds(1.3, 8)
    unsteady = doubt("not steady", "not_steady", cause="service")
    trials[2] = voided(trials[2], unsteady, spoiled)
    run = judged_by_load(run_with(trials))
    assert [one.valid for one in run.trials] == [number != 2 for number in range(ROUNDS)]
    assert [one.code for one in run.trials[2].doubts if one.voids] == [spoiled.code]


def test_failures_that_are_no_timeouts_void_a_round_of_an_overloaded_load() -> None:
    due, done = queue(np.random.default_rng(9), 1.3, CAPACITY)
    samples = impatient(samples_of(due, done), 2.0)
    samples.outcome[::100] = NO_CONNECTION
    trial = judged(samples, 1, 1.3 * CAPACITY)
    assert {"failed_requests"} == {one.code for one in trial.doubts if one.voids}
    assert row_of([trial]).valid_trials == 0


def test_a_round_that_could_not_be_measured_stays_out() -> None:
    trials = rounds(1.3, 10)
    failed = doubt("did not start", "start_failed", cause="service")
    trials[1] = dataclasses.replace(trials[1], valid=False, doubts=(), error=failed)
    assert row_of(trials).valid_trials == ROUNDS - 1


def test_a_round_in_which_nothing_is_answered_counts_if_the_load_is_overloaded() -> None:
    """The worst round of all has no p50, and its p50 with failures never ends."""
    trials = rounds(1.3, 11)
    due, done = queue(np.random.default_rng(12), 1.3, CAPACITY)
    trials[3] = judged(impatient(samples_of(due, done + 30.0), 20.0), 4, 1.3 * CAPACITY)
    assert {"timed_out", "nothing_answered"} == {one.code for one in trials[3].doubts if one.voids}
    row = row_of(trials)
    assert row.valid_trials == ROUNDS
    spread, endless = row.spread("throughput"), row.spread("p50_with_failures")
    assert spread is not None
    assert endless is not None
    assert (spread.least, endless.most) == (0.0, np.inf)


def test_other_loads_of_the_run_are_judged_by_themselves() -> None:
    over, quiet = rounds(1.3, 13), rounds(0.5, 14)
    unsteady = doubt("not steady", "not_steady", cause="service")
    quiet[0] = voided(quiet[0], unsteady)
    over[0] = voided(over[0], unsteady)
    rows = summarise(run_with([*over, *quiet])).rows.values()
    assert {row.case.size: row.valid_trials for row in rows} == {1.3 * CAPACITY: 6, 0.5 * CAPACITY: 5}
