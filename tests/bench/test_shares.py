"""Rates that are shares of a capacity: what the rounds' closed loops say, and what if they say nothing."""

from collections.abc import Sequence
from dataclasses import replace
from math import prod
from typing import Any

import pytest

from bench.measure.plan import SessionPlan
from bench.measure.progress import Silent
from bench.measure.steps import trial as trials_module
from bench.measure.steps.order import steps
from bench.measure.steps.trial import TrialStep, Tried
from bench.model import ClosedLoad, DoubtCode, OpenLoad, Run, ShareLoad, Trial
from tests.bench.plans import context, plan, run_of, trial
from tests.running.doubts import doubt

CLOSED, SHARE = ClosedLoad(8, 1, 2), ShareLoad(0.5, 1, 2)
COMMON = ShareLoad(0.8, 1, 2, of_slowest=True)
CASE = {"payload_class": "seed", "encoding": "json"}
PLAN = plan(loads=(ClosedLoad(2, 1, 2), CLOSED, SHARE, COMMON))
SPOILED = doubt("the host stole 9.0% of the service core's time", "stolen", cause="host")


def step(load: Any, round_: int = 1, strategy: str = "fast") -> TrialStep:
    return TrialStep(strategy=strategy, round=round_, load=load, **CASE)


def closed(rps: float | None, round_: int = 1, strategy: str = "fast", **changes: object) -> Trial:
    made = trial(step(CLOSED, round_, strategy), throughput_rps=rps)
    return replace(made, **changes)  # type: ignore[arg-type]  # fields by name


def spoiled(round_: int = 1, strategy: str = "fast") -> Trial:
    return closed(70.0, round_, strategy, valid=False, doubts=(SPOILED,))


def with_trials(*made: Trial) -> Run:
    return replace(run_of(PLAN, []), trials=made)


@pytest.fixture
def again(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What each trial that a step makes is to find, in turn; the specs that were asked for are appended."""
    results: list[Any] = []
    asked: list[Any] = []

    def attempt(_context: Any, spec: Any, *_: Any) -> Any:
        asked.append(spec)
        found = results.pop(0)
        yield from ()
        return Tried(replace(found, load=spec.load, strategy=spec.strategy.name), None)

    monkeypatch.setattr(trials_module, "attempt", attempt)
    results_and_asked: list[Any] = [results, asked]
    return results_and_asked


def taken(one: TrialStep, run: Run, of: SessionPlan = PLAN) -> list[Trial]:
    return [made for made in one.take(context(of, run)) if isinstance(made, Trial)]


def rate(load: Any, round_: int, strategy: str, run: Run, again: list[Any]) -> float:
    again[0].append(closed(1.0))
    (made,) = taken(step(load, round_, strategy), run)
    assert isinstance(made.load, OpenLoad)
    assert made.load.label == load.label
    return made.load.rate_per_s


def test_the_rate_is_a_share_of_the_geometric_mean_of_the_closed_loops_until_now(again: list[Any]) -> None:
    run = with_trials(
        closed(100.0, 1), closed(130.0, 2), closed(170.0, 3), closed(9.0, 1, "slow"), closed(300.0, 4)
    )
    for rounds in (1, 2, 3):
        known = (100.0, 130.0, 170.0)[:rounds]
        assert rate(SHARE, rounds, "fast", run, again) == pytest.approx(
            0.5 * prod(known) ** (1 / rounds), abs=1e-3
        )


def test_other_payloads_smaller_loops_and_void_trials_say_nothing_of_it(again: list[Any]) -> None:
    others = (
        replace(closed(999.0), payload_class="small"),
        replace(closed(999.0), encoding="raw"),
        trial(step(ClosedLoad(2, 1, 2)), throughput_rps=999.0),
        spoiled(2),
    )
    assert rate(SHARE, 2, "fast", with_trials(closed(100.0), *others), again) == 50.0


def test_a_share_of_the_slowest_is_one_rate_for_all(again: list[Any]) -> None:
    run = with_trials(closed(100.0), closed(40.0, 1, "slow"))
    assert rate(COMMON, 1, "fast", run, again) == rate(COMMON, 1, "slow", run, again) == 32.0


def test_a_closed_loop_that_was_spoiled_is_made_again_once_and_kept(again: list[Any]) -> None:
    again[0] += [closed(90.0), closed(1.0)]
    second, share = taken(step(SHARE), with_trials(spoiled()))
    assert (second.load, second.valid) == (CLOSED, True)
    assert share.load.name == "s50"
    assert isinstance(share.load, OpenLoad)
    assert share.load.rate_per_s == 45.0
    names = [spec.name() for spec in again[1]]
    assert names == ["fast-seed-json-c8-r01-again", "fast-seed-json-s50-r01"], "no file takes another's place"


def test_without_any_capacity_the_share_fails_with_what_to_do_and_the_session_goes_on(
    again: list[Any],
) -> None:
    again[0].append(spoiled())
    second, share = taken(step(SHARE), with_trials(spoiled()))
    assert second.load == CLOSED
    assert share.error is not None
    assert share.error.code == "capacity_unknown"
    assert not share.valid
    assert "stole 9.0%" in share.error.text
    assert "--rate" in share.error.remedy
    assert (share.load.label, share.load.name) == ("50% of capacity", "s50")
    # the next share of that round makes no third closed loop
    (other,) = taken(step(SHARE), with_trials(spoiled(), second))
    assert other.error is not None
    assert len(again[1]) == 1


def test_a_run_goes_on_beyond_a_share_that_failed(again: list[Any]) -> None:
    again[0].append(spoiled())
    run = with_trials(spoiled(), *taken(step(SHARE), with_trials(spoiled())))
    assert step(SHARE).is_done(run)
    assert not step(SHARE, 2).is_done(run)
    left = [one for one in steps(PLAN, run) if isinstance(one, TrialStep)]
    assert step(SHARE, 2) in [replace(one, at="") for one in left]
    assert step(SHARE) not in [replace(one, at="") for one in left]


def test_a_service_that_does_not_start_lowers_nobody_elses_rate(again: list[Any]) -> None:
    dead = [closed(None, 1, "slow", valid=False, error=doubt("no", "start_failed"))] * 2
    assert rate(COMMON, 1, "fast", with_trials(closed(100.0), *dead), again) == 80.0


@pytest.mark.parametrize("code", ["exited", "out_of_memory", "wrong_answers", "failed_requests", "timed_out"])
def test_a_service_that_fails_in_every_closed_loop_leaves_the_others_their_rate(
    code: DoubtCode, again: list[Any]
) -> None:
    """What it is capable of will never be known; if the host spoiled one of the loops, it may yet be."""
    own = doubt("its own doing", code, cause="service")
    failed = closed(7.0, 1, "slow", valid=False, doubts=(own,))
    assert rate(COMMON, 1, "fast", with_trials(closed(100.0), failed, failed), again) == 80.0
    again[0].append(spoiled(1, "slow"))
    run = with_trials(closed(100.0), replace(failed, doubts=(own, SPOILED)))
    assert taken(step(COMMON), run)[-1].error is not None


def test_a_spoiled_capacity_of_the_slowest_is_sought_before_anybodys_rate(again: list[Any]) -> None:
    again[0] += [closed(30.0, 1, "slow"), closed(1.0)]
    second, share = taken(step(COMMON), with_trials(closed(100.0), spoiled(1, "slow")))
    assert (second.strategy, second.load) == ("slow", CLOSED)
    assert isinstance(share.load, OpenLoad)
    assert share.load.rate_per_s == 24.0


def test_a_closed_loop_that_is_made_again_is_told_as_that(again: list[Any]) -> None:
    del again
    told = step(SHARE).about(closed(90.0), PLAN)
    assert told.label() == "round 1: trial fast seed as json at 8 clients again"
    assert step(SHARE).about(replace(closed(1.0), load=SHARE.at(9.0)), PLAN).label() == step(SHARE).label()


def test_who_watches_is_told_why_a_share_is_not_made(again: list[Any]) -> None:
    again[0].append(spoiled())
    notes: list[str] = []

    class Noted(Silent):
        def note(self, text: str) -> None:
            notes.append(text)

    made = replace(context(PLAN, with_trials(spoiled())), progress=Noted())
    found: Sequence[Any] = list(step(SHARE).take(made))
    assert len(found) == 2
    assert "is rerun" in notes[0]
    assert "is not made: the capacity of fast is not known" in notes[1]
