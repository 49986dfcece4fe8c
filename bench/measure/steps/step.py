"""What every kind of step says of itself, and what a step has at hand while it is taken."""

import random
from abc import ABC, abstractmethod
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar, Protocol, Self, TypeVar

from bench.cores import Cores
from bench.errors import InvalidRunError
from bench.measure.own_answers import OwnAnswers, Place, with_own
from bench.measure.plan import PayloadSet, SessionPlan, StepSubject
from bench.measure.progress import Progress
from bench.measure.run_builder import Measured
from bench.measure.runtime.instance import Runtime
from bench.model import Doubt, Payload, Run, Strategy, Trial
from bench.model.expectations import LabelExpectation
from bench.request_sets.request_set import SetRequest

Result = TypeVar("Result")
Taking = Generator["Measured | OwnAnswers | Step", None, Result]
"""A step that is being taken: it yields what it measures, as it measures it, and steps to take afterwards."""


@dataclass(frozen=True, slots=True)
class StepContext:
    """What a step is taken with: `run` holds what was measured before it, `folder` the samples.

    `earlier` is the unfinished run that the session goes on with. `own` has what must come back from the
    strategies that are not exact and were checked: by name, and then by request and encoding.
    """

    plan: SessionPlan
    requests: Sequence[SetRequest]
    runtime: Runtime
    cores: Cores
    folder: Path
    progress: Progress
    run: Run
    earlier: Run | None
    own: Mapping[str, Mapping[Place, LabelExpectation]] = field(default_factory=dict)

    def strategy(self, name: str) -> Strategy:
        """The plan's strategy of this name."""
        return next(one for one in self.plan.strategies if one.name == name)

    def requests_to(self, strategy: Strategy) -> Sequence[SetRequest]:
        """All requests with the answers that the strategy's side of the comparison must give."""
        base = self.plan.base
        return base.requests if base and strategy.is_base else self.requests

    def verified(self, strategy: Strategy, payloads: Iterable[Payload]) -> tuple[Payload, ...]:
        """The payloads with what must come back from the strategy: its own answers if it is not exact."""
        return with_own(payloads, strategy, self.own.get(strategy.name, {}))

    def payloads_to(self, strategy: Strategy, payload_set: PayloadSet) -> tuple[Payload, ...]:
        """A set of payloads as it is sent to the strategy, with what must come back from it."""
        return self.verified(strategy, self.plan.payloads_of(strategy)[payload_set])

    def first_payload(self, strategy: Strategy) -> Payload:
        """The first payload of the smallest set: every start is timed to the right answer to this one."""
        return self.verified(strategy, [self.plan.first_payload(strategy)])[0]


@dataclass(frozen=True, slots=True)
class Agenda:
    """What is known when the steps of a kind are planned.

    `todo` holds the steps that come before them; `round` is 0 outside the rounds, and `rng` shuffles the
    steps of a round. `earlier` is the unfinished run that the session goes on with.
    """

    plan: SessionPlan
    earlier: Run | None
    todo: tuple["Step", ...]
    round: int
    rng: random.Random


class OfCase(Protocol):
    """A result of one strategy with one set of payloads."""

    @property
    def strategy(self) -> str:
        """The strategy's name."""

    @property
    def payload_class(self) -> str:
        """The class of the payloads."""

    @property
    def encoding(self) -> str:
        """Their encoding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step(StepSubject, ABC):
    """One thing that a session does. A kind of step is a subclass and a line in bench.measure.steps.order."""

    kind: str = ""
    overhead_s: ClassVar[float]
    """A guess at the seconds that it takes beside its windows, until the session has taken such a step."""
    fresh_starts: ClassVar[int] = 0
    """How many fresh starts of its strategy it makes: they count among those that the plan asks for."""

    @classmethod
    @abstractmethod
    def planned(cls, agenda: Agenda) -> "Sequence[Step]":
        """The steps of this kind in their order: all before or after the rounds, or those of one round."""

    @abstractmethod
    def take(self, context: StepContext) -> Taking[None]:
        """Take the step."""

    @classmethod
    def windows_s(cls, plan: SessionPlan) -> float:
        """How many seconds its windows take."""
        del plan
        return 0.0

    def most_s(self, plan: SessionPlan) -> float:
        """How many seconds it takes at most, what nobody can plan left out."""
        return self.overhead_s + self.windows_s(plan)

    def is_done(self, run: Run) -> bool:
        """Whether the run already has what this step measures; never, unless a kind says otherwise."""
        del run
        return False

    def about(self, trial: Trial, plan: SessionPlan) -> StepSubject:
        """The step as it is told of a trial that it made: a pair's is about either of two strategies."""
        del plan
        return replace(self, strategy=trial.strategy)

    def needed(self, plan: SessionPlan) -> tuple[str, ...]:
        """The strategies that it needs: a session that goes on without one of them leaves the step out."""
        del plan
        return (self.strategy,) if self.strategy else ()

    @classmethod
    def of_each_set(cls, plan: SessionPlan, strategies: Sequence[str]) -> list[Self]:
        """A step for each of the strategies with each of the plan's sets of payloads, in this order."""
        return [
            cls(
                strategy=name,
                payload_class=payload_class,
                encoding=encoding,
                at=plan.said(encoding),
            )
            for name in strategies
            for payload_class, encoding in plan.payloads
        ]

    def is_about(self, result: OfCase) -> bool:
        """Whether a result is of this step's strategy and set of payloads."""
        mine = (self.strategy, self.payload_class, self.encoding)
        return (result.strategy, result.payload_class, result.encoding) == mine


class UnfitStrategyError(InvalidRunError):
    """Nothing of a strategy may be timed, as `doubt` says: it does not start, or it answers wrongly."""

    def __init__(self, message: str, doubt: Doubt) -> None:
        super().__init__(message)
        self.doubt = doubt


class TrialInterrupted(KeyboardInterrupt):
    """Ctrl-C while a trial ran; `trial` is what is kept of it."""

    def __init__(self, trial: Trial) -> None:
        super().__init__()
        self.trial = trial


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder for the samples of trials that are not kept, not even if Ctrl-C cuts them short."""
    with TemporaryDirectory(prefix="bench-scratch-") as folder:
        try:
            yield Path(folder)
        except TrialInterrupted:
            raise KeyboardInterrupt from None
