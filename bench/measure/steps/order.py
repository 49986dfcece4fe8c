"""The order of a session: the table of all kinds of steps, a plan's steps, and the time that they take."""

import random
from collections.abc import Sequence

from bench.measure.plan import SessionPlan
from bench.measure.steps.capacity import CapacityStep
from bench.measure.steps.ceiling import CeilingStep
from bench.measure.steps.long import LongPairStep, LongStep
from bench.measure.steps.loop import LoopStep
from bench.measure.steps.pair import PairStep
from bench.measure.steps.parity import ParityStep
from bench.measure.steps.repeat import RepeatStep
from bench.measure.steps.size import SizeStep
from bench.measure.steps.slo_search import SearchStep
from bench.measure.steps.start import StartStep, WarmStartStep
from bench.measure.steps.step import Agenda, Step
from bench.measure.steps.trial import TrialStep
from bench.model import Run

Kinds = tuple[type[Step], ...]
# every kind of step, in the order in which a session takes them; each round shuffles the steps of a kind
BEFORE_ROUNDS: Kinds = (ParityStep, CeilingStep, SizeStep, RepeatStep, CapacityStep)
EACH_ROUND: Kinds = (TrialStep, PairStep, LoopStep)
AFTER_ROUNDS: Kinds = (SearchStep, LongStep, LongPairStep, StartStep, WarmStartStep)


def steps(plan: SessionPlan, earlier: Run | None = None) -> tuple[Step, ...]:
    """All steps of a plan in order, without those that an `earlier`, unfinished run of it has done."""
    todo: list[Step] = []

    def add(kinds: Kinds, round_: int = 0) -> None:
        rng = random.Random(f"{plan.seed}/{round_}")  # noqa: S311  # order, not secrecy
        for kind in kinds:
            planned = kind.planned(Agenda(plan, earlier, tuple(todo), round_, rng))
            todo.extend(step for step in planned if earlier is None or not step.is_done(earlier))

    add(BEFORE_ROUNDS)
    for number in range(1, plan.rounds + 1):
        add(EACH_ROUND, number)
    add(AFTER_ROUNDS)
    return tuple(todo)


class TimeEstimate:
    """How long steps take: a guess for each kind, until the session has taken steps of that kind."""

    def __init__(self, plan: SessionPlan) -> None:
        self._plan = plan
        self._taken_s: dict[type[Step], list[float]] = {}

    def took(self, step: Step, seconds: float) -> None:
        """Learn from a step that ended."""
        self._taken_s.setdefault(type(step), []).append(seconds)

    def left_s(self, todo: Sequence[Step]) -> float:
        """How many seconds these steps will take."""
        return sum(map(self._expected_s, todo))

    def _expected_s(self, step: Step) -> float:
        taken_s = self._taken_s.get(type(step))
        return sum(taken_s) / len(taken_s) if taken_s else step.overhead_s + step.windows_s(self._plan)
