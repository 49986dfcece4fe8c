"""Pairs of base and head: what asks for a spare round, and how many there are."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.cores import Cores
from bench.measure.pairs import PairTakes
from bench.measure.plan import OtherSide, SessionPlan, Step, steps
from bench.measure.progress import Silent
from bench.measure.record import Record
from bench.model import BASE, ClosedLoad, Trial
from tests.bench.plans import plan, strategy, trial

LOAD = ClosedLoad(4, 0.1, 0.1)
HOSTS = ("the host stole 7.5% of the service core's time",)


def pair_plan(rounds: int = 4) -> SessionPlan:
    names = ("fast" + BASE, "fast")
    sets = {("small", "json"): plan().payloads["small", "json"]}
    return plan(
        strategies=tuple(map(strategy, names)),
        payloads=sets,
        loads=(LOAD,),
        rounds=rounds,
        startups=0,
        warm_startups=0,
        loop_s=0.0,
        check_repeats=False,
        base=OtherSide((), sets),
    )


class MadeUp(PairTakes):
    """Pairs whose trials are told beforehand: by round, what head's trial is changed in."""

    found: dict[int, dict[str, Any]]

    def _both(self, step: Step) -> tuple[Trial, Trial]:
        base = trial(replace(step, strategy=step.strategy + BASE))
        return base, replace(trial(step), **self.found.get(step.round, {}))


def made(found: dict[int, dict[str, Any]], rounds: int = 4) -> list[int]:
    """The rounds that were made, in order, where these are found."""
    chosen = pair_plan(rounds)
    record = Record(chosen, "2026-01-01T00:00:00Z", {}, str)
    nothing: Any = None
    takes = MadeUp(
        chosen, (), nothing, Cores((0,), (1,), (0, 1)), Path(), Silent(), record, None, lambda: None
    )
    takes.found = found
    todo = [step for step in steps(chosen) if step.kind == "pair"]
    while todo:
        todo += takes.take(todo.pop(0))
    assert [t.strategy for t in record.trials] == ["fast" + BASE, "fast"] * (len(record.trials) // 2)
    return [t.round for t in record.trials[::2]]


SPOILED = {"valid": False, "warnings": HOSTS}


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
    found: dict[int, dict[str, Any]], rounds: list[int]
) -> None:
    """No number comes twice, and at most half as many rounds are added as were planned."""
    assert made(found) == rounds


@pytest.mark.parametrize(
    "fault",
    [
        {"valid": False, "wrong_answers": 1},
        {"valid": False, "errors": 3},
        {"valid": False, "error": "fast never reached ready"},
    ],
)
def test_what_the_service_did_is_not_tried_until_it_succeeds(fault: dict[str, Any]) -> None:
    assert made({2: fault}) == [1, 2, 3, 4]


def test_a_plan_of_pairs_checks_both_sides_and_makes_one_step_of_each_pair() -> None:
    found = steps(pair_plan())
    assert {step.strategy for step in found if step.kind == "parity"} == {"fast", "fast" + BASE}
    assert {step.strategy for step in found if step.kind == "size"} == {"fast", "fast" + BASE}
    assert [(step.strategy, step.round) for step in found if step.kind == "pair"] == [
        ("fast", number) for number in (1, 2, 3, 4)
    ]
    assert not [step for step in found if step.kind == "trial"]


def test_a_second_batch_repeats_no_check() -> None:
    kinds = {step.kind for step in steps(replace(pair_plan(), checked=True))}
    assert kinds == {"ceiling", "pair"}
