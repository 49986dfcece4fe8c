"""A run, built from what the steps measure and from an earlier, unfinished run of the same plan."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from msgspec import UnsetType

from bench.errors import UsageError
from bench.measure.plan import SessionPlan
from bench.measure.runtime.instance import RuntimeFacts, with_runtime
from bench.model import (
    SCHEMA_VERSION,
    Capacity,
    Ceiling,
    Doubt,
    Environment,
    HeldOutResult,
    ImageSize,
    LongTrial,
    LoopResult,
    ParityResult,
    RepeatCheck,
    Run,
    SloResult,
    Startup,
    StrategyResult,
    Trial,
)

# what must be as it was for a run to go on
SAME = (
    *("commit", "cpu_model", "cores", "service_cores", "driver_cores"),
    *("python", "libraries", "kernel", "engine_version"),
)


@dataclass(frozen=True, slots=True)
class MeasuredStart:
    """A start of a strategy; a `warm` start found the model cache that an earlier start had filled."""

    strategy: str
    startup: Startup
    warm: bool = False


@dataclass(frozen=True, slots=True)
class MeasuredLoop:
    """One run of a strategy's loop, or of a part of it."""

    strategy: str
    loop: LoopResult


@dataclass(frozen=True, slots=True)
class MeasuredSize:
    """The size of a strategy's image."""

    strategy: str
    size: ImageSize


@dataclass(frozen=True, slots=True)
class MeasuredParity:
    """How far off a strategy's answers are."""

    strategy: str
    parity: ParityResult


@dataclass(frozen=True, slots=True)
class MeasuredHeldOut:
    """What a strategy answered to the held-out set."""

    strategy: str
    held_out: HeldOutResult


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A strategy that the session goes on without, and why."""

    strategy: str
    failure: Doubt


@dataclass(frozen=True, slots=True)
class ModelBytes:
    """What a strategy's model takes in its cache."""

    strategy: str
    model_bytes: int


Measured = (
    Ceiling
    | Capacity
    | RepeatCheck
    | SloResult
    | Trial
    | LongTrial
    | MeasuredSize
    | MeasuredParity
    | MeasuredHeldOut
    | LeftOut
    | ModelBytes
    | MeasuredStart
    | MeasuredLoop
    | Doubt
)
"""All that a step may find: figures, and doubts about what could not be measured."""


class RunBuilder:
    """Collects what the steps measure; `run` is all of it as run.json keeps it."""

    def __init__(
        self,
        plan: SessionPlan,
        created: str,
        environment: Environment,
        redact: Callable[[str], str],
        earlier: Run | None = None,
    ) -> None:
        self._plan, self._redact, self._earlier = plan, redact, earlier
        self._created, self._environment = created, environment
        if earlier is not None:
            self._created = earlier.created
            # of an older run that does not say what it was sent, the rest of it proves nothing
            self._environment = dataclasses.replace(environment, settings=earlier.environment.settings)
        self._ceilings = list(earlier.ceilings) if earlier else []
        self._capacities = list(earlier.capacities) if earlier else []
        self._repeats = list(earlier.repeats) if earlier else []
        self._objectives = list(earlier.objectives) if earlier else []
        before = earlier.strategies if earlier else {}
        self.strategies = {
            one.name: dataclasses.replace(
                before[one.name],
                title=one.title,
                twin=one.twin,
                variant=one.variant,
                quality=one.quality,
            )
            if one.name in before
            else StrategyResult(
                one.title,
                None,
                None,
                twin=one.twin,
                attached=one.attachment is not None,
                variant=one.variant,
                quality=one.quality,
            )
            for one in plan.strategies
        }
        self._doubts = [one for one in earlier.doubts if one.code != "incomplete"] if earlier else []
        self.trials = list(earlier.trials) if earlier else []
        self.longs = list(earlier.longs) if earlier else []

    def add(self, measured: Measured) -> None:
        """Take in what a step measured."""
        match measured:
            case Doubt():
                self._doubts.append(measured)
            case Trial():
                self.trials.append(measured)
            case LongTrial():
                self.longs.append(measured)
            case Ceiling():
                self._ceilings.append(measured)
            case Capacity():
                self._capacities.append(measured)
            case RepeatCheck():
                self._repeats.append(measured)
            case SloResult():
                self._objectives.append(measured)
            case _:
                self.strategies[measured.strategy] = _with(self.strategies[measured.strategy], measured)

    def run(self, runtime: str, told: RuntimeFacts) -> Run:
        """Everything measured so far; `told` is what the runtime says of itself."""
        plan = self._plan
        return Run(
            schema_version=SCHEMA_VERSION,
            created=self._created,
            command=plan.command,
            runtime=runtime,
            quick=plan.quick,
            planned_trials=plan.planned_trials,
            environment=self._whole_environment(told),
            ceilings=tuple(self._ceilings),
            strategies=dict(self.strategies),
            trials=tuple(map(self._redacted, self.trials)),
            doubts=tuple(dict.fromkeys(map(self._redacted_doubt, self._doubts))),
            capacities=tuple(self._capacities),
            repeats=tuple(self._repeats),
            objectives=tuple(map(self._redacted_objective, self._objectives)),
            price_per_core_hour=plan.price_per_core_hour,
            options=plan.options,
            baseline=plan.baseline,
            longs=tuple(dataclasses.replace(one, trial=self._redacted(one.trial)) for one in self.longs),
        )

    def _whole_environment(self, told: RuntimeFacts) -> Environment:
        """The fingerprint with the runtime's part; the images of a run that goes on stay those it began with.

        So a run that is refused for another image is refused the next time too.
        """
        whole = with_runtime(self._environment, told)
        before = (self._earlier.environment.images if self._earlier else None) or {}
        return dataclasses.replace(whole, images={**told.images, **before}) if before else whole

    def _redacted(self, trial: Trial) -> Trial:
        """The trial without this machine's folders and name in its texts."""
        error = None if trial.error is None else self._redacted_doubt(trial.error)
        doubts = tuple(map(self._redacted_doubt, trial.doubts))
        return dataclasses.replace(trial, error=error, doubts=doubts)

    def _redacted_doubt(self, doubt: Doubt) -> Doubt:
        return dataclasses.replace(doubt, text=self._redact(doubt.text))

    def _redacted_objective(self, result: SloResult) -> SloResult:
        probes = (dataclasses.replace(one, why_not=self._redact(one.why_not)) for one in result.probes)
        return dataclasses.replace(result, probes=tuple(probes), why_none=self._redact(result.why_none))


def _with(
    result: StrategyResult,
    measured: MeasuredStart
    | MeasuredLoop
    | MeasuredSize
    | MeasuredParity
    | MeasuredHeldOut
    | LeftOut
    | ModelBytes,
) -> StrategyResult:
    """What is known of a strategy, with something measured beside its trials."""
    match measured:
        case MeasuredSize():
            return dataclasses.replace(result, image=measured.size)
        case MeasuredParity():
            return dataclasses.replace(result, parity=measured.parity)
        case MeasuredHeldOut():
            return dataclasses.replace(result, held_out=measured.held_out)
        case LeftOut():
            return dataclasses.replace(result, failure=measured.failure)
        case ModelBytes():
            image = result.image and dataclasses.replace(result.image, model_bytes=measured.model_bytes)
            return dataclasses.replace(result, image=image)
        case MeasuredLoop():
            return dataclasses.replace(result, loops=join_loops(result.loops, [measured.loop]))
        case MeasuredStart(warm=True):
            return dataclasses.replace(
                result, warm_startup=join_starts(result.warm_startup, measured.startup)
            )
        case MeasuredStart():
            return dataclasses.replace(result, startup=join_starts(result.startup, measured.startup))


def take_up(run: Run, plan: SessionPlan, runtime: str, environment: Environment) -> Run:
    """The earlier run without the trials that were cut short; raises UsageError if it cannot go on.

    A run is one measurement of one thing: the code, the machine and the settings must be what they were.
    """
    changed = [name for name in SAME if getattr(run.environment, name) != getattr(environment, name)]
    changed += _changed_settings(run.environment, environment)
    if run.runtime != runtime:
        changed.append(f"runtime ({run.runtime}, now {runtime})")
    if changed:
        raise UsageError(
            f"this run cannot go on, as these have changed: {', '.join(changed)}. Measure again, or put them "
            "back first"
        )
    if run.environment.dirty or environment.dirty:
        raise UsageError(
            "this run cannot go on: files differ from the commit, so nobody knows whether the code is the "
            "same. Measure again from a clean tree"
        )
    if [strategy.name for strategy in plan.strategies] != list(run.strategies):
        raise UsageError("this run cannot go on: compose.yaml registers other strategies now. Measure again")
    known = tuple(one for one in run.objectives if one.known)
    kept = [trial for trial in run.trials if trial.error is None or trial.error.code != "interrupted"]
    if plan.objective is not None:
        # a search that did not end begins anew
        ended = {(one.strategy, one.payload_class, one.encoding) for one in known}
        kept = [one for one in kept if (one.strategy, one.payload_class, one.encoding) in ended]
    return dataclasses.replace(run, trials=tuple(kept), objectives=known)


def _changed_settings(before: Environment, now: Environment) -> list[str]:
    """`settings` or `requests`, if these are not what they were; an older run does not say what it sent."""
    ours, theirs = now.settings, before.settings
    if isinstance(ours, UnsetType) or isinstance(theirs, UnsetType):
        return [] if ours == theirs else ["settings"]
    sent, was_sent = ours.payload_digests, theirs.payload_digests
    # sizes follow from what was sent
    if dataclasses.replace(ours, payload_digests=was_sent, payload_sizes=theirs.payload_sizes) != theirs:
        return ["settings"]
    known = not isinstance(sent, UnsetType) and not isinstance(was_sent, UnsetType)
    return ["requests"] if known and sent != was_sent else []


def join_starts(before: Startup | None, after: Startup) -> Startup:
    """The starts of both, with the phases that both have: a median over some starts would be about others."""
    if before is None:
        return after
    return Startup(
        before.first_correct_answer_s + after.first_correct_answer_s,
        _joined(before.phases, after.phases),
        after.model_cache,
        _joined(before.inside, after.inside),
    )


def join_loops(before: Sequence[LoopResult], after: Iterable[LoopResult]) -> tuple[LoopResult, ...]:
    """The loops of both, by payload class and part."""
    joined = {(one.payload_class, one.part): one for one in before}
    for one in after:
        old = joined.get((one.payload_class, one.part))
        joined[one.payload_class, one.part] = one if old is None else _joined_loop(old, one)
    return tuple(joined.values())


def _joined_loop(before: LoopResult, after: LoopResult) -> LoopResult:
    return dataclasses.replace(
        after,
        requests_per_s=before.requests_per_s + after.requests_per_s,
        cpu_ms_per_request=before.cpu_ms_per_request + after.cpu_ms_per_request,
    )


def _joined(
    before: Mapping[str, tuple[float, ...]], after: Mapping[str, tuple[float, ...]]
) -> dict[str, tuple[float, ...]]:
    return {name: before[name] + after[name] for name in before if name in after}
