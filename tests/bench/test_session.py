"""A session with made-up steps: what is kept and when, and what a cut leaves."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from bench.cores import Cores
from bench.measure.plan import StepSubject
from bench.measure.progress import Silent, SoFar
from bench.measure.runtime.instance import RuntimeFacts
from bench.measure.session import Session
from bench.measure.steps import order
from bench.measure.steps.step import Agenda, Step, StepContext, Taking, TrialInterrupted
from bench.measure.steps.trial import TrialStep
from bench.model import ClosedLoad, Run, Trial
from bench.run_file import read_run
from tests.bench.plans import plan, trial

TRIAL = trial(
    TrialStep(strategy="fast", payload_class="seed", encoding="json", round=1, load=ClosedLoad(8, 1, 2))
)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewStep(Step):
    """A kind of step that no other code knows: it yields what it was made with."""

    kind: str = "new"
    overhead_s: ClassVar[float] = 60.0
    results: ClassVar[Sequence[Any]] = ()

    @classmethod
    def planned(cls, agenda: Agenda) -> Sequence[Step]:
        return [cls(strategy=one.name) for one in agenda.plan.strategies]

    def is_done(self, run: Run) -> bool:
        return any(one.strategy == self.strategy for one in run.capacities)

    def take(self, context: StepContext) -> Taking[None]:
        assert context.run.strategies, "what was measured until now is at hand"
        for result in self.results if self.strategy == "fast" else ():
            if isinstance(result, BaseException):
                raise result
            yield result


class Shown(Silent):
    """Progress that notes what it shows, and what run.json holds at that moment."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.labels: list[str] = []
        self.on_disk: list[int] = []

    def step(self, doing: Any) -> None:
        self.labels.append(f"{doing.number}/{doing.total} {doing.step.label()}")

    def found(self, step: StepSubject, trial: Trial, so_far: SoFar | None) -> None:
        del step, trial, so_far
        self.on_disk.append(len(json.loads((self.folder / "run.json").read_text())["trials"]))


@pytest.fixture
def only_new(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(order, "BEFORE_ROUNDS", ())
    monkeypatch.setattr(order, "EACH_ROUND", ())
    monkeypatch.setattr(order, "AFTER_ROUNDS", (NewStep,))


def session(folder: Path, monkeypatch: pytest.MonkeyPatch, *results: object) -> tuple[Session, Shown]:
    monkeypatch.setattr(NewStep, "results", results)
    runtime: Any = SimpleNamespace(kind="process", root=folder, describe=lambda: RuntimeFacts("loopback"))
    shown = Shown(folder)
    return Session(plan(), (), runtime, Cores((0,), (1,), (0, 1)), folder, shown), shown


@pytest.mark.usefixtures("only_new")
def test_a_trial_is_on_disk_before_anything_is_said_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, shown = session(tmp_path, monkeypatch, TRIAL, TRIAL)
    made.measure()
    assert shown.on_disk == [1, 2]


@pytest.mark.usefixtures("only_new")
def test_a_step_that_a_step_asks_for_is_taken_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, shown = session(tmp_path, monkeypatch, NewStep(strategy="spare"))
    made.measure()
    assert shown.labels == ["1/2 new fast", "2/3 new slow", "3/3 new spare"]


@pytest.mark.usefixtures("only_new")
@pytest.mark.parametrize("cut", [KeyboardInterrupt(), ValueError("a fault"), TrialInterrupted(TRIAL)])
def test_what_was_measured_before_a_cut_is_kept(
    cut: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The trial that Ctrl-C cut short is kept too, since its samples are."""
    made, shown = session(tmp_path, monkeypatch, TRIAL, cut)
    with pytest.raises(type(cut)):
        made.measure()
    kept = read_run(tmp_path)
    assert len(kept.trials) == (2 if isinstance(cut, TrialInterrupted) else 1)
    assert shown.on_disk == [1]
    assert "incomplete" in {doubt.code for doubt in kept.doubts}
