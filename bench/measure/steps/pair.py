"""A strategy as two commits have it, side by side: both are under load at once, on the same cores.

The kernel switches between them every few milliseconds, so the host's disturbances meet both alike, and
their difference remains ("duet benchmarking", Bulej and others, ICPE 2020): docs/decisions/0007.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Barrier
from typing import ClassVar

from bench.load.launch import LeftAloneError, Rendezvous
from bench.measure.judge import BUSY_DRIVER, TrialSpec, driver_may_limit, failed_trial, start_failed
from bench.measure.plan import SessionPlan
from bench.measure.progress import Progress, Silent
from bench.measure.runtime.instance import Instance, StrategyStartError
from bench.measure.steps.start import Start, start_fresh
from bench.measure.steps.step import Agenda, Step, StepContext, Taking
from bench.measure.steps.trial import (
    TrialStep,
    Tried,
    longest_s,
    run_trial,
    stop,
    trial_spec,
    with_overhead,
)
from bench.model import Doubt, Load, Run, Trial

# a pair that the host spoiled is made again, at most once for so many rounds of the plan
ROUNDS_A_SPARE = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class PairStep(TrialStep):
    """A trial of a strategy and of its twin, another commit's, at once."""

    kind: str = "pair"
    overhead_s: ClassVar[float] = 8.0
    # a closed loop that is made again runs alone, on all that the core has: not what a pair's share is of
    closed_tries: ClassVar[int] = 1

    @classmethod
    def planned(cls, agenda: Agenda) -> Sequence[Step]:
        """A round's pairs, shuffled, if base and head are measured side by side."""
        return cls.of_round(agenda) if agenda.plan.base else []

    def most_s(self, plan: SessionPlan) -> float:
        """Its own time, and its share of the spare rounds."""
        return (self.overhead_s + longest_s(plan.typical_load)) * (1 + 1 / ROUNDS_A_SPARE)

    def needed(self, plan: SessionPlan) -> tuple[str, ...]:
        """Both sides."""
        return plan.base_name(self.strategy), self.strategy

    def is_done(self, run: Run) -> bool:
        """Never: a comparison of commits does not go on once it was cut short."""
        del run
        return False

    def take(self, context: StepContext) -> Taking[None]:
        """Measure both at once; a round that the host spoiled asks for another, if spare rounds are left."""
        sides = context.plan.base_name(self.strategy), self.strategy
        before = _spoiled_rounds(context.run.trials, sides)
        trials = yield from measure_both(context, self)
        yield from trials
        spoiled = _spoiled_rounds((*context.run.trials, *trials), sides)
        if spoiled == before or len(spoiled) > context.plan.rounds // ROUNDS_A_SPARE:
            return
        spare = context.plan.rounds + len(spoiled)
        for payload_class, encoding in context.plan.payloads:
            # a round counts if it has all payloads: so the spare round has them all
            yield replace(self, payload_class=payload_class, encoding=encoding, round=spare)


def measure_both(context: StepContext, step: PairStep) -> Taking[tuple[Trial, ...]]:
    """The trials of base and head at once; two failed trials if one of the copies did not start."""
    load = yield from step.resolved_load(context)
    if isinstance(load, Doubt):
        context.progress.note(f"{step.label()} is not made: {load.text}")
        names = context.plan.base_name(step.strategy), step.strategy
        unmade = (trial_spec(context, step, step.unknown_rate, strategy=name) for name in names)
        return tuple(failed_trial(spec, load) for spec in unmade)
    both = yield from try_both(context, step, load)
    return tuple(tried.trial for _, tried in both)


def try_both(context: StepContext, step: PairStep, load: Load) -> Taking[list[tuple[TrialSpec, Tried]]]:
    """The trials of base and head under a load at once, with their samples and what each was to measure."""
    names = context.plan.base_name(step.strategy), step.strategy
    specs = [_with_half_ceiling(trial_spec(context, step, load, strategy=name)) for name in names]
    started: dict[str, Start] = {}
    tried: list[Tried] = []
    begun = time.monotonic()
    try:
        failure = _start_both(context, specs, started)
        yield from (one for start in started.values() for one in start.told)
        if failure is None:
            sides = [(spec, started[spec.strategy.name].instance) for spec in specs]
            tried = run_pair(sides, context.folder, context.progress)
    finally:
        troubles = _stop_both(started)
    yield from troubles
    if failure is not None:
        context.progress.note(f"{step.label()} failed: {failure}")
        return [(spec, Tried(failed_trial(spec, start_failed(str(failure))), None)) for spec in specs]
    starts_s = max(start.answered_s for start in started.values())
    overhead_s = time.monotonic() - begun - starts_s - max(one.loaded_s for one in tried)
    timed = [with_overhead(one, overhead_s) for one in tried]
    busy = _busy_drivers([one.trial for one in timed], len(context.cores.driver))
    return [
        (spec, replace(one, trial=replace(one.trial, doubts=(*one.trial.doubts, *busy))))
        for spec, one in zip(specs, timed, strict=True)
    ]


def _start_both(
    context: StepContext, specs: Sequence[TrialSpec], started: dict[str, Start]
) -> StrategyStartError | None:
    """Start both at once, as no start is timed here; the first failure, with what came up in `started`.

    Ctrl-C takes effect once both starts have ended: a copy that came up later would be left running. If it
    comes before both threads are there, none starts a copy.
    """
    all_there = Barrier(len(specs) + 1)

    def start(spec: TrialSpec) -> None:
        all_there.wait()
        payload = context.first_payload(spec.strategy)
        started[spec.strategy.name] = start_fresh(context.runtime, spec.strategy, payload)

    futures: list[Future[None]] = []
    with ThreadPoolExecutor(len(specs)) as aside:
        try:
            for spec in specs:
                futures.append(aside.submit(start, spec))
            all_there.wait()
            wait(futures)
        except BaseException:
            all_there.abort()
            wait(futures)
            raise
    failures = [error for future in futures if (error := future.exception()) is not None]
    for error in failures:
        if not isinstance(error, StrategyStartError):
            raise error
    return next((error for error in failures if isinstance(error, StrategyStartError)), None)


def _stop_both(started: Mapping[str, Start]) -> list[Doubt]:
    """Stop all at once; what could not be removed."""
    if not started:
        return []
    with ThreadPoolExecutor(len(started)) as aside:
        return [trouble for trouble in aside.map(stop, started.values()) if trouble is not None]


def _with_half_ceiling(spec: TrialSpec) -> TrialSpec:
    """The spec of a trial that shares the driver's cores with another: each has half of the ceiling."""
    if spec.ceiling is None:
        return spec
    half = replace(spec.ceiling, throughput_rps=spec.ceiling.throughput_rps / 2)
    return replace(spec, ceiling=half)


def run_pair(sides: Sequence[tuple[TrialSpec, Instance]], folder: Path, progress: Progress) -> list[Tried]:
    """Drive all sides from the same instant on, each with its own driver.

    Ctrl-C takes effect once their windows have ended. If several sides fail, the error that came first by
    its cause is raised: that a side was left alone is a consequence.
    """
    together = Rendezvous(len(sides))
    shown: list[Progress] = [Silent(), *[progress] * (len(sides) - 1)]

    def drive(spec: TrialSpec, instance: Instance, tell: Progress) -> Tried:
        beside = [other for _, other in sides if other is not instance]
        try:
            return run_trial(spec, instance, folder, tell, together, beside)
        except BaseException:
            together.give_up()
            raise

    with ThreadPoolExecutor(len(sides)) as aside:
        futures = [
            aside.submit(drive, spec, instance, tell)
            for (spec, instance), tell in zip(sides, shown, strict=True)
        ]
    failed = [error for future in futures if (error := future.exception()) is not None]
    if failed:
        raise min(failed, key=lambda error: isinstance(error, LeftAloneError))
    return [future.result() for future in futures]


def _busy_drivers(trials: Sequence[Trial], cores: int) -> list[Doubt]:
    """A doubt if the drivers of both sides together used almost all that their cores can do."""
    busiest = [trial.driver.busiest_core for trial in trials if trial.driver]
    used = sum(share for share in busiest if share is not None)
    if used <= BUSY_DRIVER * min(cores, len(trials)):
        return []
    text = f"both sides' drivers together used {used:.0%} of a core: the driver may be the limit"
    return [driver_may_limit(text)]


def _spoiled_rounds(trials: Iterable[Trial], sides: Sequence[str]) -> set[int]:
    """The rounds in which the host or the driver spoiled a trial of either side."""
    return {trial.round for trial in trials if trial.strategy in sides and _spoiled_by_host(trial)}


def _spoiled_by_host(trial: Trial) -> bool:
    """Whether a trial is void through no fault of the service."""
    inside = trial.errors or trial.wrong_answers
    outside = trial.errors_outside or trial.wrong_answers_outside
    return not trial.valid and trial.error is None and not inside and not outside
