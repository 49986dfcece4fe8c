"""Taking up a run that was cut short: what must be as it was, and how both halves become one."""

from dataclasses import replace
from typing import Any

import pytest

from bench.errors import UsageError
from bench.measure.judge import CUT
from bench.measure.plan import Objective
from bench.measure.run_builder import MeasuredHeldOut, RunBuilder, join_loops, join_starts, take_up
from bench.measure.runtime.instance import RuntimeFacts
from bench.measure.steps.order import steps
from bench.model import Environment, HeldOutResult, LoopResult, Probe, Quality, SloResult, Startup
from tests.bench.plans import plan, run_of, trial
from tests.running.doubts import doubt

ENVIRONMENT: dict[str, Any] = {
    "commit": "abc1234",
    "dirty": False,
    "cpu_model": "a processor",
    "cores": 2,
    "service_cores": "1",
    "driver_cores": "0",
}


def environment(**changes: Any) -> Environment:
    return Environment(**{**ENVIRONMENT, "settings": plan().settings(), **changes})


def cut_run() -> Any:
    made = plan()
    done = list(steps(made))[:30]
    return replace(run_of(made, done), environment=environment())


def test_a_run_goes_on_without_the_trial_that_was_cut_short() -> None:
    whole = cut_run()
    step = next(step for step in steps(plan()) if step.kind == "trial" and step.round == 3)
    run = replace(whole, trials=(*whole.trials, trial(step, error=CUT, valid=False)))
    taken = take_up(run, plan(), "process", environment())
    assert taken.trials == whole.trials
    assert step in steps(plan(), taken)


def test_a_trial_that_failed_by_itself_is_a_finding_and_stays() -> None:
    whole = cut_run()
    step = next(step for step in steps(plan()) if step.kind == "trial" and step.round == 3)
    why = doubt("it never became ready", "start_failed")
    run = replace(whole, trials=(*whole.trials, trial(step, error=why, valid=False)))
    assert take_up(run, plan(), "process", environment()).trials == run.trials


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"commit": "def5678"}, "commit"),
        ({"cpu_model": "another"}, "cpu_model"),
        ({"service_cores": "0"}, "service_cores"),
        ({"settings": plan(seed=8).settings()}, "settings"),
        ({"dirty": True}, "clean tree"),
        ({"kernel": "another"}, "kernel"),
        ({"libraries": {"locust": "0"}}, "libraries"),
    ],
)
def test_another_code_machine_or_setting_is_another_run(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        take_up(cut_run(), plan(), "process", environment(**changes))


def test_other_strategies_are_another_run() -> None:
    made = plan()
    with pytest.raises(UsageError, match="other strategies"):
        take_up(cut_run(), replace(made, strategies=made.strategies[:1]), "process", environment())


def test_local_processes_do_not_go_on_as_containers() -> None:
    with pytest.raises(UsageError, match=r"runtime \(process, now compose\)"):
        take_up(cut_run(), plan(), "compose", environment())


def test_a_run_keeps_the_images_that_it_began_with_so_that_others_are_refused_every_time() -> None:
    earlier = replace(cut_run(), environment=environment(images={"fast": "sha256:1"}))
    record = RunBuilder(plan(), "now", environment(), str, earlier)
    images = record.run(
        "compose", RuntimeFacts("", {"fast": "sha256:2", "slow": "sha256:3"})
    ).environment.images
    assert images == {"fast": "sha256:1", "slow": "sha256:3"}


def test_a_search_that_did_not_end_begins_anew_and_its_texts_tell_no_places() -> None:
    searching = plan(objective=Objective(0.99, 100.0, 1.0, 2.0))
    probe = Probe(10.0, 1, None, 0.0, 0.0, held=False, why_not="/home/me/x", known=False)
    unknown = SloResult(
        "fast", "seed", "json", 0.99, 100.0, 50.0, None, None, (probe,), "not known: /home/me", known=False
    )
    known = replace(unknown, strategy="slow", why_none="never held", known=True)
    made = environment(settings=searching.settings())
    run = replace(cut_run(), objectives=(unknown, known), environment=made)
    taken = take_up(run, searching, "process", made)
    assert taken.objectives == (known,)
    assert {trial.strategy for trial in taken.trials} <= {"slow"}
    record = RunBuilder(searching, "now", made, lambda text: text.replace("/home/me", "~"), run)
    told = record.run("process", RuntimeFacts("loopback")).objectives[0]
    assert (told.why_none, told.probes[0].why_not) == ("not known: ~", "~/x")


def test_starts_of_both_halves_are_one_sample_and_keep_the_phases_that_both_know() -> None:
    before = Startup(
        (1.0, 2.0), {"running_s": (0.1, 0.2), "port_open_s": (0.3, 0.4)}, "cold", {"pull": (1, 1)}
    )
    after = Startup((3.0,), {"running_s": (0.3,)}, "cold", {"pull": (1,), "load": (2,)})
    joined = join_starts(before, after)
    assert joined == Startup((1.0, 2.0, 3.0), {"running_s": (0.1, 0.2, 0.3)}, "cold", {"pull": (1, 1, 1)})
    assert join_starts(None, after) == after


def test_loops_of_both_halves_join_by_class_and_part() -> None:
    before = [LoopResult("seed", (1.0,), (2.0,)), LoopResult("seed", (5.0,), (6.0,), "infer", 8)]
    after = [LoopResult("seed", (3.0,), (4.0,)), LoopResult("small", (7.0,), (8.0,))]
    assert join_loops(before, after) == (
        LoopResult("seed", (1.0, 3.0), (2.0, 4.0)),
        LoopResult("seed", (5.0,), (6.0,), "infer", 8),
        LoopResult("small", (7.0,), (8.0,)),
    )


def test_a_run_keeps_what_a_strategy_declares_today_and_what_it_answered_to_the_held_out_set() -> None:
    made, near = plan(), Quality("bounded", 0.05)
    declared = replace(made, strategies=tuple(replace(one, quality=near) for one in made.strategies))
    for before in (None, cut_run()):
        builder = RunBuilder(declared, "now", environment(), str, before)
        assert {one.quality for one in builder.strategies.values()} == {near}
        assert {one.held_out for one in builder.strategies.values()} == {None}
        found = HeldOutResult(2000, 1990, 0, 2000, 1980, 1984, 0.04, "a.jpg")
        builder.add(MeasuredHeldOut("fast", found))
        kept = builder.run("process", RuntimeFacts("loopback"))
        assert kept.strategies["fast"].held_out == found
        assert kept.strategies["slow"].held_out is None
        # it stays in a run that goes on, until it is asked anew
        again = RunBuilder(declared, "later", environment(), str, kept)
        assert again.strategies["fast"].held_out == found
