"""Long trials: what is planned, what a run that goes on leaves out, and what the samples of one show."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.errors import UsageError
from bench.load.samples import Samples
from bench.load.uptime_spans import changes, tenths
from bench.measure.steps.long import LongPairStep, LongStep, lengthened, told, windows_uptime
from bench.measure.steps.order import TimeEstimate, steps
from bench.measure.steps.trial import TrialStep, Tried, trial_spec
from bench.model import ClosedLoad, Doubt, LongTrial, OpenLoad, ShareLoad
from bench.verbs.arguments import Places
from bench.verbs.jobs import make_job
from tests.bench.plans import context, plan, run_of, trial
from tests.bench.test_pairs import pair_plan
from tests.bench.test_tolerance import options
from tests.running.doubts import doubt


def samples(done_s: Sequence[float], took_s: Sequence[float] | float = 0.01) -> Samples:
    """Right answers that ended at these instants."""
    done = (np.asarray(done_s) * 1e9).astype(np.int64)
    due = done - (np.broadcast_to(took_s, done.shape) * 1e9).astype(np.int64)
    nothing = np.zeros(len(done), dtype=np.int64)
    return Samples(due, due, done, nothing, nothing + 200, nothing, nothing)


def at(rate: float, begin_s: float, end_s: float) -> list[float]:
    return [float(one) for one in np.arange(begin_s, end_s, 1 / rate)]


def test_the_tenths_begin_with_the_first_request() -> None:
    found = tenths(samples(at(100, 0, 50)), 50.0, [(4.0, 10), (4.9, 30), (5.1, 20)])
    assert [(one.begin_s, one.end_s) for one in found][:2] == [(0.0, 5.0), (5.0, 10.0)]
    assert len(found) == 10
    assert found[9].throughput_rps == pytest.approx(100, rel=0.01)
    assert [one.memory_bytes for one in found] == [30, 20, *[None] * 8]


def test_a_service_that_is_slow_until_long_after_its_windows_is_found() -> None:
    drawn = samples([*at(208, 0, 60), *at(385, 60, 180)])
    found = {one.metric: one for one in changes(drawn, 4.0, 14.0, 180.0)}
    assert found.keys() == {"throughput"}
    assert found["throughput"].within == pytest.approx(208, rel=0.01)
    assert found["throughput"].beyond == pytest.approx(385, rel=0.05)


def test_stalls_that_set_in_after_the_window_are_found() -> None:
    stalled = [one for begin in range(4, 60, 4) for one in at(400, begin + 3.9, begin + 4.0)]
    found = {one.metric: one for one in changes(samples([*at(400, 0, 4), *stalled]), 2.0, 4.0, 60.0)}
    assert found["throughput"].beyond < 0.1 * found["throughput"].within


def test_a_tail_that_grows_while_the_rate_stays_is_found() -> None:
    instants = at(200, 0, 60)
    took = [0.01 if one < 20 else 0.01 + 0.04 * (place % 50 == 0) for place, one in enumerate(instants)]
    found = {one.metric: one for one in changes(samples(instants, took), 4.0, 14.0, 60.0)}
    assert found.keys() == {"p99"}
    assert found["p99"].beyond > 2 * found["p99"].within


def test_a_service_that_stays_as_it_is_has_no_change() -> None:
    rng = np.random.default_rng(3)
    instants = np.sort(rng.uniform(0, 180, 18_000))
    assert changes(samples(instants, rng.exponential(0.02, len(instants))), 4.0, 14.0, 180.0) == ()


@pytest.mark.parametrize("length_s", [14.0, 14.5])
def test_hardly_any_time_after_the_windows_says_nothing(length_s: float) -> None:
    assert changes(samples(at(100, 0, 20)), 4.0, 14.0, length_s) == ()


def test_one_long_trial_a_strategy_and_set_comes_after_the_rounds() -> None:
    without = plan(loads=(ClosedLoad(8, 1, 2), ClosedLoad(50, 1, 2), OpenLoad(50, 1, 2)))
    made = replace(without, long_s=60.0)
    longs = [step for step in steps(made) if isinstance(step, LongStep)]
    assert [(one.strategy, one.payload_set) for one in longs] == [
        (name, chosen) for name in ("fast", "slow") for chosen in made.payloads
    ]
    assert longs[0].label() == "long trial fast seed as json for 60 s"
    assert isinstance(made.long_load, ClosedLoad)
    assert made.long_load.clients == 50
    more_s = TimeEstimate(made).left_s(steps(made)) - TimeEstimate(without).left_s(steps(without))
    # each long trial is a fresh start too, of those that the plan asks for
    assert more_s == pytest.approx(len(longs) * 67, abs=len(longs) * 5)
    assert not [step for step in steps(without) if step.kind.startswith("long")]


@pytest.mark.parametrize(
    ("loads", "name"), [((OpenLoad(70, 1, 2),), "q70"), ((ShareLoad(0.7, 1, 2),), "c50")]
)
def test_its_load_is_the_first_rate_or_the_loop_that_shows_the_capacity(loads: Any, name: str) -> None:
    assert plan(loads=loads).long_load.name == name


def test_a_gate_has_one_of_each_pair() -> None:
    kinds = [step.kind for step in steps(replace(pair_plan(), long_s=20.0))]
    assert kinds.count("long pair") == 1
    assert kinds[-1] == "long pair"
    assert LongPairStep.windows_s(replace(pair_plan(), long_s=20.0)) == 20.0


def test_it_lasts_as_long_as_it_is_told_from_the_first_request_on() -> None:
    found = lengthened(ClosedLoad(8, 4.0, 10.0, warmup_most_s=16.0), 180.0)
    assert (found.warmup_s, found.warmup_most_s, found.window_s) == (4.0, None, 176.0)


def long_of(step: TrialStep, samples_: str | None = None) -> LongTrial:
    return LongTrial(replace(trial(step), samples=samples_), 60.0, 1.0, 3.0)


def test_a_run_that_goes_on_makes_only_those_that_are_missing() -> None:
    made = replace(plan(loads=(ClosedLoad(8, 1, 2),)), long_s=60.0)
    longs = [step for step in steps(made) if isinstance(step, LongStep)]
    run = replace(run_of(made, steps(made)), longs=tuple(map(long_of, longs[1:])))
    assert [step for step in steps(made, run) if isinstance(step, LongStep)] == longs[:1]


def test_the_windows_are_those_of_the_ordinary_trials_of_the_same_case() -> None:
    made = replace(plan(loads=(ClosedLoad(8, 1, 2),)), long_s=60.0)
    run = run_of(made, steps(made))
    trials = tuple(replace(one, warmup_s=1.0 + one.round, window_s=2.0) for one in run.trials)
    at_hand = context(made, replace(run, trials=trials))
    step = next(step for step in steps(made) if isinstance(step, LongStep))
    spec = trial_spec(at_hand, step, lengthened(made.long_load, 60.0))
    assert windows_uptime(at_hand, spec) == (2.0, 6.0)
    assert windows_uptime(context(made, replace(run, trials=())), spec) == (1, 3)


def test_the_option_has_a_length_of_its_own_and_must_outlast_the_windows(project: Path) -> None:
    assert options().extras.long_s == 0
    assert options("--long").extras.long_s == 180
    assert options("--long", "--quick").extras.long_s == 30
    assert options("--long", "45").extras.long_s == 45
    with pytest.raises(UsageError, match=r"--long 5 ends before the windows do, 14 s after"):
        make_job(options("--long", "5"), Places(project, None, None))
    # a quick window may last up to 16 s after a warm-up of 1.5
    with pytest.raises(UsageError, match=r"--long 8 ends before the windows do, 17.5 s after"):
        make_job(options("--long", "8", "--quick"), Places(project, None, None))
    assert make_job(options("--long", "8", "--quick", "--window-s", "4"), Places(project, None, None))


@pytest.mark.slow
def test_a_run_keeps_a_long_trial_with_its_samples_and_shows_it(
    bench: Callable[..., Any], project: Path, tmp_path: Path
) -> None:
    places = ("--root", project, "--results", tmp_path / "results", "--runtime", "process")
    short = ("--warmup-s", "0.5", "--warmup-most-s", "0.5", "--window-s", "1", "--rounds", "1")
    what = ("--strategies", "fast", "--payloads", "small", "--concurrency", "2", "--startups", "0")
    done = bench(
        "run", *places, *short, *what, "--loop-seconds", "0", "--long", "6", "--max-other-cpu", "100%"
    )
    (folder,) = (tmp_path / "results").iterdir()
    found = json.loads((folder / "run.json").read_text())
    (long,) = found["longs"]
    assert long["length_s"] == 6
    assert len(long["spans"]) == 10
    assert sum(one["ok"] for one in long["spans"]) > 0
    assert any(one["memory_bytes"] for one in long["spans"])
    assert (folder / long["trial"]["samples"]).is_file()
    assert len(found["trials"]) == 1
    assert found["environment"]["settings"]["long_s"] == 6
    report = (folder / "report.md").read_text()
    assert "Over uptime" in report, done.stderr
    assert (folder / "plots" / "uptime.png").is_file()
    assert "for 6 s" in done.stderr


def told_of(*held: Doubt) -> list[Doubt]:
    """What a run is told of a long trial that answered nothing from its 20th second on, with these doubts."""
    made = replace(plan(loads=(ClosedLoad(8, 1, 2),)), long_s=60.0)
    at_hand = context(made, run_of(made, steps(made)))
    step = next(step for step in steps(made) if isinstance(step, LongStep))
    spec = trial_spec(at_hand, step, lengthened(made.long_load, 60.0))
    tried = Tried(replace(trial(step), doubts=held, valid=not held), samples(at(100, 0, 20)), 0.0)
    return [one for one in told(at_hand, spec, tried) if isinstance(one, Doubt)]


def test_a_killed_long_trial_says_what_ended_it_and_gives_no_remedy_about_windows() -> None:
    steady = doubt("not steady", "not_steady", cause="service")
    found = told_of(steady, doubt("exited with -9", "exited", cause="service"))
    assert [one.code for one in found] == ["long_trial_doubtful"]
    assert "exited with -9" in found[0].text
    assert "not steady" not in found[0].text


def test_what_is_held_against_a_long_trial_comes_before_what_changed_in_it() -> None:
    found = told_of(doubt("driver was late", "late_sends", cause="driver"))
    assert [one.code for one in found] == ["long_trial_doubtful", "changes_with_uptime"]
    assert [one.code for one in told_of()] == ["changes_with_uptime"]
