"""What the gate judges: batches of trials of base and head, and what they lack of their plan.

A run that was cut short proves nothing.
"""

from dataclasses import dataclass, replace

from bench.analysis.comparability import Difference
from bench.analysis.declared import same_promise
from bench.model import ClosedLoad, Doubt, Quality, Run
from bench.statistics import Comparison


@dataclass(frozen=True, slots=True)
class Batch:
    """Trials of base and head that were measured together.

    If both ran side by side, `base` and `head` are one run, in which base's strategies are twins of head's,
    and round k of one pairs with round k of the other (`paired`). A stored baseline is a run of its own, and
    its rounds pair with none. `base_name` and `head_name`
    are what people call the two. `only_head` names the strategies that base does not have, and of which
    nothing was measured.
    """

    base: Run
    head: Run
    paired: bool
    base_name: str = "base"
    head_name: str = "head"
    only_head: tuple[str, ...] = ()

    def name_in_base(self, strategy: str) -> str:
        """The name that head's strategy has in base's run; empty if base does not have the strategy."""
        return base_names(self.base).get(strategy, "") if self.paired else strategy


def base_names(run: Run) -> dict[str, str]:
    """The names of another commit's strategies by those of the strategies that they are twins of."""
    return {one.twin.of: name for name, one in run.strategies.items() if one.twin and one.is_base}


@dataclass(frozen=True, slots=True)
class Sides:
    """One figure of base and of head; None if it is missing."""

    base: float | None
    head: float | None


@dataclass(frozen=True, slots=True)
class Unfinished:
    """What base or head (`who`) lacks of a strategy: rounds that are `missing` of those `planned`.

    A run that ended before its plan has the `doubt` that says so instead.
    """

    who: str
    doubt: Doubt | None
    missing: tuple[int, ...] = ()
    planned: int = 0


@dataclass(frozen=True, slots=True)
class NotMeasured:
    """That nothing of a strategy of base or head (`who`) could be timed, and why."""

    strategy: str
    who: str
    doubt: Doubt


@dataclass(frozen=True, slots=True)
class OtherConditions:
    """The facts in which a stored baseline's machine or settings differ from head's."""

    differences: tuple[Difference, ...]


Problem = str | Unfinished | NotMeasured | OtherConditions
"""Why a rule cannot be judged; the empty text if it can."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Head over base by one metric: figures of both, their ratio, and why there is none (`problem`).

    `edge` is the worst allowed ratio. `p` is of the test against it, two-sided as the interval's; 1 if
    the ratio lies on the good side. `beyond` and `within` say whether the interval lies wholly on the bad or
    wholly on the good side of it. `doubt` says that the driver may have limited both, which hides a change;
    empty if it did not.
    """

    base: float | None
    head: float | None
    edge: float
    comparison: Comparison | None
    p: float
    beyond: bool
    within: bool
    improved: bool
    problem: Problem
    doubt: str
    notes: tuple[str, ...]
    promises: tuple[Quality, Quality] | None = None
    """What base and head promise of their answers, if that is not the same: it is not the same work."""

    def voided(self, problem: Problem) -> "Evidence":
        """The same figures without the comparison that they may not be put to."""
        return replace(
            self, comparison=None, p=1.0, beyond=False, within=False, improved=False, problem=problem
        )


def other_promises(batch: Batch, strategy: str) -> tuple[Quality, Quality] | None:
    """What base and head promise of the strategy's answers; None if it is the same, or if a side lacks it."""
    base = batch.base.strategies.get(batch.name_in_base(strategy))
    head = batch.head.strategies.get(strategy)
    if base is None or head is None or same_promise(base.quality, head.quality):
        return None
    return base.quality, head.quality


def not_measured(batch: Batch, strategy: str) -> tuple[NotMeasured, ...]:
    """The sides, base first, of which nothing could be timed; empty if both could."""
    sides = (("base", batch.base, batch.name_in_base(strategy)), ("head", batch.head, strategy))
    found = ((who, run.strategies.get(name)) for who, run, name in sides)
    return tuple(
        NotMeasured(strategy, who, result.failure) for who, result in found if result and result.failure
    )


def unfinished(batch: Batch, strategy: str) -> Unfinished | None:
    """What a strategy lacks on either side, base first; None if it lacks nothing."""
    sides = (("base", batch.base, batch.name_in_base(strategy)), ("head", batch.head, strategy))
    return next((found for side in sides if (found := unfinished_run(*side))), None)


def unfinished_run(who: str, run: Run, name: str) -> Unfinished | None:
    """What a strategy lacks in one run; None if it lacks nothing.

    A round counts if it has a trial, valid or not, of every closed load and payload that the strategy
    has; spare rounds, whose numbers lie above those planned, stand for none.
    """
    cut = next((one for one in run.doubts if one.code == "incomplete"), None)
    if cut is not None:
        return Unfinished(who, cut)
    trials = [one for one in run.trials if one.strategy == name and isinstance(one.load, ClosedLoad)]
    made: dict[tuple[object, ...], set[int]] = {}
    for trial in trials:
        case = trial.payload_class, trial.encoding, trial.load.name
        made.setdefault(case, set()).add(trial.round)
    planned = range(1, _planned(run) + 1)
    missing = {number for rounds in made.values() for number in planned if number not in rounds}
    return Unfinished(who, None, tuple(sorted(missing)), len(planned)) if missing else None


def _planned(run: Run) -> int:
    settings = run.environment.settings
    return settings.rounds or 0 if settings else 0
