"""What was asked for and has no valid measurement is named, whatever else the run measured."""

import dataclasses
from collections.abc import Callable

import pytest

from bench.analysis.unmeasured import Asked, Unmeasured, unmeasured
from bench.model import Doubt, Run, Trial
from bench.report.unmeasured_sentence import not_measured
from tests.report.full_run import full
from tests.report.searched_run import searched
from tests.running.doubts import doubt

NOTHING_BESIDE = Asked()


def void(run: Run, where: Callable[[Trial], bool]) -> Run:
    """The run with these trials void."""
    trials = tuple(
        dataclasses.replace(one, valid=False, doubts=(doubt("gone", "exited"),)) if where(one) else one
        for one in run.trials
    )
    return dataclasses.replace(run, trials=trials)


def parts(found: tuple[Unmeasured, ...]) -> list[tuple[str, str, str]]:
    return [(one.strategy, one.part, one.case.payload_class if one.case else "") for one in found]


def test_a_run_of_which_every_load_has_a_valid_trial_lacks_nothing(run: Run) -> None:
    assert unmeasured(run, NOTHING_BESIDE) == ()
    assert unmeasured(void(run, lambda one: one.round > 1), NOTHING_BESIDE) == ()


def test_a_strategy_whose_every_trial_failed_is_named_with_each_of_its_loads(run: Run) -> None:
    found = unmeasured(void(run, lambda one: one.strategy == "onnx"), NOTHING_BESIDE)
    assert parts(found) == [("onnx", "load", "small"), ("onnx", "load", "seed")]
    assert not_measured(found) == (
        "asked for and not measured: "
        "onnx small, json, 50 clients (all 6 trials are void: the service exited); "
        "onnx seed, json, 50 clients (all 6 trials are void: the service exited)"
    )


def test_of_a_quick_run_a_trial_that_only_the_host_spoiled_is_enough(run: Run) -> None:
    def spoiled(*why: Doubt, quick: bool) -> Run:
        trials = tuple(
            dataclasses.replace(one, valid=False, doubts=why) if one.strategy == "onnx" else one
            for one in run.trials
        )
        return dataclasses.replace(run, trials=trials, quick=quick)

    assert unmeasured(spoiled(doubt("stolen"), quick=True), NOTHING_BESIDE) == ()
    assert len(unmeasured(spoiled(doubt("stolen"), quick=False), NOTHING_BESIDE)) == 2
    failed = doubt("the service exited", "exited", cause="service")
    assert len(unmeasured(spoiled(failed, quick=True), NOTHING_BESIDE)) == 2
    assert len(unmeasured(spoiled(doubt("stolen"), failed, quick=True), NOTHING_BESIDE)) == 2
    assert len(unmeasured(spoiled(quick=True), NOTHING_BESIDE)) == 2


def test_one_load_of_two_that_is_wholly_void_is_named(run: Run) -> None:
    lone = void(run, lambda one: (one.strategy, one.payload_class) == ("torch", "seed"))
    assert parts(unmeasured(lone, NOTHING_BESIDE)) == [("torch", "load", "seed")]


def test_a_load_that_a_strategy_alone_lacks_is_named(with_trials: Callable[..., Run]) -> None:
    some = with_trials(lambda one: (one.strategy, one.payload_class) != ("batched", "seed"))
    (found,) = unmeasured(some, NOTHING_BESIDE)
    assert (found.strategy, found.trials, found.why) == ("batched", 0, None)


def test_a_load_that_was_too_much_is_measured(run: Run) -> None:
    """Overload is an answer, which the report gives; what it brings voids no trial of the load."""
    brought = (
        doubt("too much", "overloaded", voids=False, cause="service"),
        doubt("it grows", "not_steady", cause="service"),
    )
    trials = tuple(
        dataclasses.replace(one, doubts=brought, valid=False) if one.strategy == "torch" else one
        for one in run.trials
    )
    assert unmeasured(dataclasses.replace(run, trials=trials), NOTHING_BESIDE) == ()


def test_an_objective_that_is_not_known_is_named_beside_one_that_is(run: Run) -> None:
    run = searched(run)
    assert unmeasured(run, NOTHING_BESIDE) == ()
    first, *others = run.objectives
    lost = dataclasses.replace(first, known=False, rate_per_s=None, why_none="not known: it exited")
    found = unmeasured(dataclasses.replace(run, objectives=(lost, *others)), NOTHING_BESIDE)
    assert [(one.strategy, one.part) for one in found] == [(first.strategy, "objective")]
    assert "p99 \N{LESS-THAN OR EQUAL TO} 100 ms (not known: it exited)" in not_measured(found)


@pytest.mark.parametrize(
    ("asked", "changes", "part"),
    [
        (Asked(images=True), {"image": None}, "image"),
        (Asked(starts=True), {"startup": None}, "starts"),
        (Asked(loops=("onnx",)), {"loops": ()}, "loop"),
        (Asked(warm_starts=("onnx",)), {"warm_startup": None}, "warm starts"),
    ],
)
def test_what_was_asked_beside_trials_is_named_if_it_failed(
    run: Run, asked: Asked, changes: dict[str, object], part: str
) -> None:
    whole = full(run)
    results = dict(whole.strategies)
    assert not [one for one in unmeasured(whole, asked) if one.part == part]
    results["onnx"] = dataclasses.replace(results["onnx"], **changes)  # type: ignore[arg-type]  # each of its type
    found = unmeasured(dataclasses.replace(whole, strategies=results), asked)
    assert [(one.strategy, one.part) for one in found if one.part == part] == [("onnx", part)]
    unasked = unmeasured(dataclasses.replace(whole, strategies=results), NOTHING_BESIDE)
    assert not [one for one in unasked if one.part == part]


def test_a_long_trial_that_is_void_or_missing_is_named(run: Run) -> None:
    whole = full(run)
    (first, *_), asked = whole.longs, Asked(longs=True)
    longs = tuple(
        dataclasses.replace(one, trial=dataclasses.replace(one.trial, valid=False)) if one is first else one
        for one in whole.longs
        if one.trial.strategy != "batched"
    )
    found = unmeasured(dataclasses.replace(whole, longs=longs), asked)
    named = {one.strategy for one in found if one.part == "long trial"}
    assert {first.trial.strategy, "batched"} <= named


def test_of_many_the_first_are_named_and_the_others_counted(run: Run) -> None:
    found = unmeasured(void(full(run), lambda _: True), NOTHING_BESIDE)
    assert not_measured(found).endswith(f"; and {len(found) - 4} more")
