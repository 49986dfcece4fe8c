"""Pairs of base and head: how they begin, what asks for a spare round, and how many there are."""

import concurrent.futures
import threading
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bench.cores import Cores
from bench.errors import BenchError
from bench.load.launch import ASSEMBLE_S, Fleet, LeftAloneError, Rendezvous
from bench.measure.judge import TrialSpec
from bench.measure.plan import OtherSide, SessionPlan
from bench.measure.progress import Silent
from bench.measure.steps import pair
from bench.measure.steps.order import steps
from bench.measure.steps.pair import PairStep, run_pair
from bench.measure.steps.step import StepContext
from bench.measure.steps.trial import trial_spec
from bench.model import PLAIN, ClosedLoad, Strategy, Trial, Twin
from tests.bench.plans import context, plan, run_of, strategy, trial
from tests.running.doubts import doubt

LOAD = ClosedLoad(4, 0.1, 0.1)
BASE = "fast@base"


def pair_plan(rounds: int = 4) -> SessionPlan:
    sets = {("small", "json"): plan().payloads["small", "json"]}
    return plan(
        strategies=(replace(strategy(BASE), twin=Twin("fast", "base")), strategy("fast")),
        payloads=sets,
        loads=(LOAD,),
        rounds=rounds,
        startups=0,
        warm_startups=0,
        loop_s=0.0,
        check_repeats=False,
        base=OtherSide("main", "abc1234", (), (), sets),
    )


Found = dict[int, dict[str, Any]]
"""By round, what head's trial is changed in."""


def measured(chosen: SessionPlan, found: Found, monkeypatch: pytest.MonkeyPatch) -> list[Trial]:
    """The trials of a plan's pairs in the order in which they are made, where these are found."""

    def both(_: object, step: PairStep) -> Generator[None, None, tuple[Trial, Trial]]:
        yield from ()
        base = trial(replace(step, strategy=BASE))
        return base, replace(trial(step), **found.get(step.round, {}))

    monkeypatch.setattr(pair, "measure_both", both)
    todo, trials = [step for step in steps(chosen) if step.kind == "pair"], []
    while todo:
        run = replace(run_of(chosen, []), trials=tuple(trials))
        for one in todo.pop(0).take(context(chosen, run)):
            (trials if isinstance(one, Trial) else todo).append(one)
    assert [t.strategy for t in trials] == [BASE, "fast"] * (len(trials) // 2)
    return trials[::2]


SPOILED = {"valid": False, "doubts": (doubt(),)}


@pytest.mark.parametrize(
    ("found", "rounds"),
    [
        ({}, [1, 2, 3, 4]),
        ({2: SPOILED}, [1, 2, 3, 4, 5]),
        ({1: SPOILED, 3: SPOILED}, [1, 2, 3, 4, 5, 6]),
        ({2: SPOILED, 5: SPOILED}, [1, 2, 3, 4, 5, 6]),
        (dict.fromkeys(range(1, 9), SPOILED), [1, 2, 3, 4, 5, 6]),
    ],
)
def test_a_round_that_the_host_spoiled_is_made_again_as_another_one(
    found: Found, rounds: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No number comes twice, and at most half as many rounds are added as were planned."""
    assert [t.round for t in measured(pair_plan(), found, monkeypatch)] == rounds


def test_a_spare_round_has_all_payloads_of_the_one_that_was_spoiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """A round counts where it has all of them: one class alone would be measured for nothing."""
    chosen = pair_plan(2)
    both = {one: plan().payloads[one] for one in (("small", "json"), ("seed", "json"))}
    chosen = replace(chosen, payloads=both, base=OtherSide("main", "abc1234", (), (), both))
    order = [(step.payload_class, step.round) for step in steps(chosen) if step.kind == "pair"]
    made = [(t.payload_class, t.round) for t in measured(chosen, {1: SPOILED}, monkeypatch)]
    assert made[: len(order)] == order
    assert sorted(made[len(order) :]) == [("seed", 3), ("small", 3)]


@pytest.mark.parametrize(
    "fault",
    [
        {"valid": False, "wrong_answers": 1},
        {"valid": False, "errors": 3},
        {"valid": False, "wrong_answers_outside": 1},
        {"valid": False, "errors_outside": 1},
        {"valid": False, "error": "fast never reached ready"},
    ],
)
def test_what_the_service_did_is_not_tried_until_it_succeeds(
    fault: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert [t.round for t in measured(pair_plan(), {2: fault}, monkeypatch)] == [1, 2, 3, 4]


def specs_of(chosen: SessionPlan) -> tuple[StepContext, list[TrialSpec]]:
    of = context(chosen, run_of(chosen, []))
    step = next(one for one in steps(chosen) if one.kind == "pair")
    return of, [trial_spec(of, step, LOAD, strategy=name) for name in (BASE, "fast")]


@pytest.mark.parametrize("at", [1, 2])
def test_ctrl_c_before_both_threads_are_there_starts_no_copy(
    at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    began: list[str] = []
    monkeypatch.setattr(pair, "start_fresh", lambda _, strategy, __: began.append(strategy.name))
    of, specs = specs_of(pair_plan())
    submit, calls = ThreadPoolExecutor.submit, iter(range(1, 3))

    def interrupted(pool: ThreadPoolExecutor, *args: Any) -> Any:
        found = submit(pool, *args)
        if next(calls) == at:
            raise KeyboardInterrupt
        return found

    monkeypatch.setattr(ThreadPoolExecutor, "submit", interrupted)
    with pytest.raises(KeyboardInterrupt):
        pair._start_both(of, specs, {})
    assert began == []


def test_ctrl_c_while_copies_start_awaits_both_so_that_both_are_stopped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    both_began = threading.Barrier(3)

    def start(_: object, strategy: Strategy, __: object) -> str:
        both_began.wait(300)
        time.sleep(0.5)
        return strategy.name

    interrupts = iter([True, False])

    def wait(futures: list[Any]) -> object:
        if next(interrupts):
            both_began.wait(300)
            raise KeyboardInterrupt
        return concurrent.futures.wait(futures)

    monkeypatch.setattr(pair, "start_fresh", start)
    monkeypatch.setattr(pair, "wait", wait)
    of, specs = specs_of(pair_plan())
    started: dict[str, Any] = {}
    with pytest.raises(KeyboardInterrupt):
        pair._start_both(of, specs, started)
    assert started.keys() == {BASE, "fast"}


def test_a_plan_of_pairs_checks_both_sides_and_makes_one_step_of_each_pair() -> None:
    found = steps(pair_plan())
    assert {step.strategy for step in found if step.kind == "parity"} == {"fast", BASE}
    assert {step.strategy for step in found if step.kind == "size"} == {"fast", BASE}
    assert [(step.strategy, step.round) for step in found if step.kind == "pair"] == [
        ("fast", number) for number in (1, 2, 3, 4)
    ]
    assert not [step for step in found if step.kind == "trial"]


def test_a_second_batch_repeats_no_check() -> None:
    kinds = {step.kind for step in steps(replace(pair_plan(), checked=True))}
    assert kinds == {"ceiling", "pair"}


def test_whoever_is_left_alone_is_told_so_at_once() -> None:
    together, began = Rendezvous(2), time.monotonic()

    def left() -> None:
        with pytest.raises(LeftAloneError, match="other side"):
            together.start_ns()

    waiting = threading.Thread(target=left)
    waiting.start()
    together.give_up()
    waiting.join(300)
    assert not waiting.is_alive()
    assert time.monotonic() - began < ASSEMBLE_S / 2


def test_those_who_meet_begin_at_one_instant_that_lies_ahead() -> None:
    together, found = Rendezvous(3), []
    threads = [threading.Thread(target=lambda: found.append(together.start_ns())) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(300)
    assert len(found) == 3
    assert len(set(found)) == 1


def test_a_driver_that_cannot_start_is_told_of_by_its_own_words(
    stub_server: Callable[..., int], tmp_path: Path
) -> None:
    """Head's payloads cannot be written: the line names that, and not that base was left alone."""
    port = stub_server(delay_s=0.001)
    instance = SimpleNamespace(host="127.0.0.1", port=port, access=PLAIN, cores=None, pid=0)
    spec = TrialSpec(
        strategy("fast"), 1, plan().payloads["small", "json"], LOAD, 1, Cores((0,), (1,), (0, 1)), None
    )
    broken = replace(spec, fleet=Fleet(local=0))
    sides: Any = [(spec, instance), (broken, instance)]
    began = time.monotonic()
    with pytest.raises(BenchError, match="a load needs one driver process at least"):
        run_pair(sides, tmp_path, Silent())
    assert time.monotonic() - began < ASSEMBLE_S / 2
