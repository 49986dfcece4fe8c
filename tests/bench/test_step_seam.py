"""Whoever adds a kind of step writes a class and a line of the table: a session plans, times and takes it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from bench.cores import Cores
from bench.measure.plan import SessionPlan
from bench.measure.progress import Doing, Silent
from bench.measure.runtime.instance import RuntimeFacts
from bench.measure.session import Session
from bench.measure.steps import order
from bench.measure.steps.order import TimeEstimate, steps
from bench.measure.steps.step import Agenda, Step, StepContext, Taking
from bench.model import Capacity, Run
from bench.run_file import read_run
from tests.bench.plans import plan


@dataclass(frozen=True, slots=True, kw_only=True)
class NapStep(Step):
    """A kind of step that no other code knows: what a strategy does after a nap."""

    kind: str = "nap"
    overhead_s: ClassVar[float] = 60.0

    @classmethod
    def planned(cls, agenda: Agenda) -> Sequence[Step]:
        return [cls(strategy=one.name, round=agenda.round) for one in agenda.plan.strategies]

    @classmethod
    def windows_s(cls, plan: SessionPlan) -> float:
        return float(plan.seed)

    def is_done(self, run: Run) -> bool:
        return sum(one.strategy == self.strategy for one in run.capacities) >= self.round

    def take(self, context: StepContext) -> Taking[None]:
        yield Capacity(self.strategy, "seed", "json", 8, 100.0 + len(context.run.capacities))


class Shown(Silent):
    """Progress that notes what it shows."""

    def __init__(self) -> None:
        self.labels: list[str] = []
        self.left_s: list[float] = []

    def step(self, doing: Doing) -> None:
        self.labels.append(f"{doing.number}/{doing.total} {doing.step.label()}")
        self.left_s.append(doing.left_s)


def session(made: SessionPlan, folder: Path, earlier: Run | None = None) -> tuple[Session, Shown]:
    runtime: Any = SimpleNamespace(kind="process", root=folder, describe=lambda: RuntimeFacts("loopback"))
    shown = Shown()
    return Session(made, (), runtime, Cores((0,), (1,), (0, 1)), folder, shown, earlier), shown


@pytest.fixture
def only_naps(monkeypatch: pytest.MonkeyPatch) -> None:
    for table in ("BEFORE_ROUNDS", "AFTER_ROUNDS"):
        monkeypatch.setattr(order, table, ())
    monkeypatch.setattr(order, "EACH_ROUND", (NapStep,))


@pytest.mark.parametrize(("table", "times"), [("BEFORE_ROUNDS", 1), ("EACH_ROUND", 3), ("AFTER_ROUNDS", 1)])
def test_a_line_of_the_table_is_planned_and_timed_beside_all_others(
    table: str, times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, before_s = steps(plan()), TimeEstimate(plan()).left_s(steps(plan()))
    monkeypatch.setattr(order, table, (*getattr(order, table), NapStep))
    after = steps(plan())
    naps = [step for step in after if isinstance(step, NapStep)]
    assert [step for step in after if step not in naps] == list(before)
    assert [step.strategy for step in naps] == ["fast", "slow"] * times
    labels = {"nap fast", "round 1: nap fast"} & {step.label() for step in naps}
    assert labels == {"nap fast" if times == 1 else "round 1: nap fast"}
    assert TimeEstimate(plan()).left_s(after) == pytest.approx(before_s + times * 2 * 67)


@pytest.mark.usefixtures("only_naps")
def test_it_is_taken_and_what_it_measures_is_in_run_json(tmp_path: Path) -> None:
    made, shown = session(plan(rounds=2), tmp_path)
    run = made.measure()
    assert shown.labels == [
        "1/4 round 1: nap fast",
        "2/4 round 1: nap slow",
        "3/4 round 2: nap fast",
        "4/4 round 2: nap slow",
    ]
    assert shown.left_s[0] == pytest.approx(4 * 67), "its own guess, until the first of its kind is done"
    assert shown.left_s[1] < 67, "what the first took, which is next to nothing"
    assert read_run(tmp_path) == run
    assert [(one.strategy, one.throughput_rps) for one in run.capacities] == [
        ("fast", 100.0),
        ("slow", 101.0),
        ("fast", 102.0),
        ("slow", 103.0),
    ]


@pytest.mark.usefixtures("only_naps")
def test_a_run_that_goes_on_takes_only_what_is_not_done(tmp_path: Path) -> None:
    made, _ = session(plan(rounds=2), tmp_path)
    run = made.measure()
    kept = replace(run, capacities=run.capacities[:3])
    resumed, shown = session(plan(rounds=2), tmp_path, kept)
    assert len(resumed.measure().capacities) == 4
    assert shown.labels == ["1/1 round 2: nap slow"]
    assert [one.throughput_rps for one in read_run(tmp_path).capacities] == [100.0, 101.0, 102.0, 103.0]
