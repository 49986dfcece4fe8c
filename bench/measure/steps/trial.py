"""One trial: one strategy in a fresh container under one load, its samples and its resources."""

import dataclasses
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

from bench.cores import Cores
from bench.errors import BenchError
from bench.load.launch import Drive, Rendezvous, Target
from bench.load.samples import Samples, write_parquet
from bench.measure.judge import CUT, Readings, TrialSpec, failed_trial, judge, start_failed, tolerance_of
from bench.measure.machine.core_use import CoreReading, CoreUse, core_use
from bench.measure.machine.fingerprint import steal_ticks
from bench.measure.machine.gpu import GpuWatch
from bench.measure.machine.server_metrics import figures_between, scrape
from bench.measure.machine.usage import Usage
from bench.measure.plan import SessionPlan, StepSubject
from bench.measure.progress import Now, Progress
from bench.measure.runtime.instance import Instance, StrategyStartError
from bench.measure.steps.shares import Capacities, capacity_first
from bench.measure.steps.start import Start, start_fresh
from bench.measure.steps.step import Agenda, Step, StepContext, Taking, TrialInterrupted
from bench.model import Doubt, Load, PlannedLoad, Run, ShareLoad, Trial

USAGE_EVERY_S = 0.75
# a scrape takes some of the service's time, which must not be the window's
SCRAPE_AHEAD_S = 0.2
# the last sample before the window's end is so far from it at least
LAST_READING_S = 0.1
SHOWN_EVERY_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialStep(Step):
    """A trial of a strategy with one set of payloads under one load, in one round."""

    kind: str = "trial"
    load: PlannedLoad
    overhead_s: ClassVar[float] = 6.5
    fresh_starts: ClassVar[int] = 1
    closed_tries: ClassVar[int] = 2
    """How often a round makes the closed loop that shares rest on, until a capacity is known."""

    @classmethod
    def planned(cls, agenda: Agenda) -> Sequence[Step]:
        """A round's trials, shuffled; no trials if base and head are measured in pairs."""
        return [] if agenda.plan.base else cls.of_round(agenda)

    @classmethod
    def of_round(cls, agenda: Agenda) -> list[Self]:
        """A step for each strategy of this side, set of payloads and load, shuffled."""
        plan = agenda.plan
        trials = [
            cls(
                strategy=strategy.name,
                payload_class=payload_class,
                encoding=encoding,
                round=agenda.round,
                load=load,
                at=" ".join(filter(None, (plan.said(encoding), plan.said(load)))),
            )
            for strategy in plan.own_side
            for payload_class, encoding in plan.payloads
            for load in plan.loads
        ]
        agenda.rng.shuffle(trials)
        return capacity_first(plan, trials)

    @classmethod
    def windows_s(cls, plan: SessionPlan) -> float:
        """A warm-up and a window."""
        return plan.typical_load.warmup_s + plan.typical_load.window_s

    def most_s(self, plan: SessionPlan) -> float:
        """The longest warm-up and window; twice, if shares rest on this closed loop and may find it void."""
        tries = self.closed_tries if plan.has_shares and self.load.name == plan.capacity_load.name else 1
        return tries * (self.overhead_s + longest_s(plan.typical_load, plan.window_most_s))

    def is_done(self, run: Run) -> bool:
        """Whether the run has the trial; a trial that was cut short is taken out before."""
        return any(
            self.is_about(one) and (one.round, one.load.name) == (self.round, self.load.name)
            for one in run.trials
        )

    def take(self, context: StepContext) -> Taking[None]:
        """Start a copy, drive it and stop it."""
        load = yield from self.resolved_load(context)
        if isinstance(load, Doubt):
            context.progress.note(f"{self.label()} is not made: {load.text}")
            yield failed_trial(trial_spec(context, self, self.unknown_rate), load)
            return
        spec = self._spec(context, load)
        yield (yield from attempt(context, spec, self.label(), context.folder)).trial

    def _spec(self, context: StepContext, load: Load, strategy: str = "") -> TrialSpec:
        """What a trial of the rounds is to measure, whose window may last longer if the plan lets it."""
        spec = trial_spec(context, self, load, strategy=strategy)
        return dataclasses.replace(spec, window_most_s=context.plan.window_most_s)

    def resolved_load(self, context: StepContext) -> Taking[Load | Doubt]:
        """The load, with a share of capacity as a rate; else why there is none.

        The closed loops that the rate rests on are made again, once a round, if none was valid until now.
        """
        if not isinstance(self.load, ShareLoad):
            return self.load
        plan, trials = context.plan, list(context.run.trials)
        for name in self._capacities(plan, trials).unknown(self.load, self.strategy):
            if self._capacities(plan, trials).made(name, self.round) < self.closed_tries:
                trials += yield from self._closed_again(context, name)
        found = self._capacities(plan, trials)
        unknown = found.unknown(self.load, self.strategy)
        return found.rate(self.load, self.strategy) or found.doubt(unknown)

    @property
    def unknown_rate(self) -> Load:
        """The load as it is kept if nothing could be offered: a share of an unknown capacity is 0/s."""
        return self.load.at(0.0) if isinstance(self.load, ShareLoad) else self.load

    def about(self, trial: Trial, plan: SessionPlan) -> StepSubject:
        """The step as it is told of a trial that it made: a closed loop that is made again is no share."""
        told = Step.about(self, trial, plan)
        if not isinstance(self.load, ShareLoad) or trial.load.name == self.load.name:
            return told
        at = " ".join(filter(None, (plan.said(self.encoding), plan.said(trial.load), "again")))
        return dataclasses.replace(told, load=trial.load, at=at)

    def _capacities(self, plan: SessionPlan, trials: Sequence[Trial]) -> Capacities:
        return Capacities.until(plan, trials, self.round, self.payload_set)

    def _closed_again(self, context: StepContext, name: str) -> Taking[list[Trial]]:
        """Another closed trial of a strategy in this round, which is told and kept as any other."""
        spec = self._spec(context, context.plan.capacity_load, name)
        what = f"round {self.round}: {name} has no valid capacity yet: its closed loop is rerun"
        context.progress.note(what)
        spec = dataclasses.replace(spec, again=True)
        tried = yield from attempt(context, spec, what, context.folder)
        yield tried.trial
        return [tried.trial]


def longest_s(load: PlannedLoad, window_most_s: float | None = None) -> float:
    """How many seconds warm-up and window of a load last at most."""
    return max(load.warmup_s, load.warmup_most_s or 0.0) + max(load.window_s, window_most_s or 0.0)


@dataclass(frozen=True, slots=True)
class Tried:
    """A trial and its samples, None if the copy did not start.

    `loaded_s` is how long its load took, from the first request due to the last one ended; `memory` has the
    readings of memory in use, in seconds since the first request came due and bytes.
    """

    trial: Trial
    samples: Samples | None
    loaded_s: float = 0.0
    memory: tuple[tuple[float, int], ...] = ()


def trial_spec(
    context: StepContext, step: Step, load: Load, round_: int | None = None, strategy: str = ""
) -> TrialSpec:
    """What a trial of the step is to measure under this load, in the step's round unless another is named."""
    plan, number = context.plan, step.round if round_ is None else round_
    chosen = context.strategy(strategy or step.strategy)
    ceilings = [one for one in context.run.ceilings if (one.payload_class, one.encoding) == step.payload_set]
    return TrialSpec(
        strategy=chosen,
        round=number,
        payloads=context.payloads_to(chosen, step.payload_set),
        load=load,
        # the same payloads and arrivals for every strategy of a round: they are compared in pairs
        seed=plan.seed * 1000 + number,
        cores=context.cores,
        ceiling=ceilings[-1] if ceilings else None,
        fleet=plan.fleet,
        bounds=plan.bounds,
    )


def attempt(context: StepContext, spec: TrialSpec, label: str, folder: Path) -> Taking[Tried]:
    """One trial of a fresh copy; a failed trial if the copy did not start."""
    begun = time.monotonic()
    try:
        start = start_fresh(context.runtime, spec.strategy, context.first_payload(spec.strategy))
    except StrategyStartError as error:
        context.progress.note(f"{label} failed: {error}")
        return Tried(failed_trial(spec, start_failed(str(error))), None)
    try:
        yield from start.told
        tried = run_trial(spec, start.instance, folder, context.progress)
    finally:
        trouble = stop(start)
    if trouble is not None:
        yield trouble
    spent_s = start.answered_s + tried.loaded_s
    return with_overhead(tried, time.monotonic() - begun - spent_s)


def stop(start: Start) -> Doubt | None:
    """End a copy; a copy that cannot be removed is a doubt, and must not take what was measured along."""
    try:
        start.instance.stop()
    except Exception as error:  # noqa: BLE001  # whatever the engine says, the next start clears it again
        text = f"a copy of {start.strategy} could not be removed: {error!r}"
        remedy = "remove it by hand: `docker ps` lists it"
        return Doubt("not_removed", text, remedy, voids=False, cause="host")
    return None


def with_overhead(tried: Tried, overhead_s: float) -> Tried:
    """The trial with the time that its step took beside start and load."""
    trial = dataclasses.replace(tried.trial, overhead_s=round(overhead_s, 3))
    return dataclasses.replace(tried, trial=trial)


def run_trial(
    spec: TrialSpec,
    instance: Instance,
    folder: Path,
    progress: Progress,
    together: Rendezvous | None = None,
    beside: Sequence[Instance] = (),
) -> Tried:
    """Drive the instance, write its samples under folder/samples, and return the trial.

    All trials that share a `together` begin at the same instant; their instances are `beside` this one.
    Ctrl-C raises TrialInterrupted, once the requests in flight have ended and are written.
    """
    name = f"samples/{spec.name()}.parquet"
    with tempfile.TemporaryDirectory(prefix="bench-trial-") as scratch:
        target = Target(instance.host, instance.port, spec.strategy.path, instance.access)
        tolerance, where = tolerance_of(spec.strategy), Path(scratch)
        drive = Drive(
            target,
            spec.payloads,
            spec.load,
            spec.seed,
            where,
            spec.fleet,
            together,
            tolerance,
            spec.window_most_s,
        )
        try:
            threading.Thread(target=drive.follow, args=(_rate_shown(spec, progress),), daemon=True).start()
            readings = _watch(drive, (instance, *beside), spec)
            driven = drive.finish()
        except KeyboardInterrupt:
            progress.note("interrupted: draining what is in flight")
            try:
                _write(spec, drive.cut_short().samples, folder / name)
            except BenchError:
                raise KeyboardInterrupt from None  # nothing was sent yet
            raise TrialInterrupted(failed_trial(spec, CUT, name)) from None
        finally:
            drive.close()
    _write(spec, driven.samples, folder / name)
    ended_s = driven.summary.window_begin_s + driven.summary.window_s
    loaded_s = max(ended_s, float(driven.samples.done_ns.max(initial=0)) / 1e9)
    return Tried(
        judge(spec, driven, readings, instance.fate(), name, drive.start_ns),
        driven.samples,
        loaded_s,
        _memory(readings, drive.start_ns),
    )


def _memory(readings: Readings | None, start_ns: int) -> tuple[tuple[float, int], ...]:
    """The readings of memory in use, by seconds since the first request came due."""
    usages = readings.usages if readings else ()
    return tuple(
        (round((one.at_ns - start_ns) / 1e9, 3), one.memory_bytes)
        for one in usages
        if one.memory_bytes is not None
    )


def _write(spec: TrialSpec, samples: Samples, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    write_parquet(
        samples, file, strategy=spec.strategy.name, round_=spec.round, payload_class=spec.payload_class
    )


def _watch(drive: Drive, instances: Sequence[Instance], spec: TrialSpec) -> Readings | None:
    """Read the accounting at the window's begin, at its end and in between; None if the instance died.

    The first instance is the trial's; the others share its cores.
    """
    (begin_s, window_s), instance = drive.await_window(), instances[0]
    with ThreadPoolExecutor(1) as aside:
        time.sleep(drive.instant(begin_s - SCRAPE_AHEAD_S))
        # a service that hangs must not hold up the accounting
        before = aside.submit(scrape, instance.host, instance.port, instance.access)
        time.sleep(drive.instant(begin_s))
        cores = cores_of(spec.cores, instance)
        stolen, ticks = steal_ticks(cores.service)
        with GpuWatch(spec.shortest_window_s) as gpu:
            try:
                usages, use = _usages(drive, instances, begin_s + window_s, cores)
            except (KeyError, OSError, ValueError):
                # a container that is gone has no accounting; the engine knows its fate
                return None
        stolen_end, ticks_end = steal_ticks(cores.service)
        after = scrape(instance.host, instance.port, instance.access)
    return Readings(
        usages,
        (stolen_end - stolen) / (ticks_end - ticks) if ticks_end > ticks else None,
        figures_between(before.result(), after),
        gpu.figures,
        use,
    )


def cores_of(cores: Cores, instance: Instance) -> Cores:
    """The cores, with those on which the service was found if nobody gave it any."""
    return cores if instance.cores is None else dataclasses.replace(cores, service=instance.cores)


def _usages(
    drive: Drive, instances: Sequence[Instance], end_s: float, cores: Cores
) -> tuple[tuple[Usage, ...], CoreUse]:
    """The accounting now, at the window's end and in between, and the use of the cores from now to the end.

    Raises as the instances do if one is gone.
    """
    instance, services = instances[0], [one.pid for one in instances]
    first, before = [one.usage() for one in instances], CoreReading.now(services)
    readings = first[:1]
    while (left := drive.instant(end_s) - LAST_READING_S) > 0:
        time.sleep(min(left, USAGE_EVERY_S))
        readings.append(instance.usage())
    time.sleep(drive.instant(end_s))
    last, after = [one.usage() for one in instances], CoreReading.now(services)
    used_s = _used_s(first, last) if all(one.here for one in instances) else None
    return (*readings, last[0]), core_use(before, after, cores, used_s)


def _used_s(first: Sequence[Usage], last: Sequence[Usage]) -> float | None:
    """The CPU seconds of all instances between two readings; None if one does not say."""
    used_ns = 0
    for early, late in zip(first, last, strict=True):
        if early.cpu_ns is None or late.cpu_ns is None:
            return None
        used_ns += late.cpu_ns - early.cpu_ns
    return used_ns / 1e9


def _rate_shown(spec: TrialSpec, progress: Progress) -> Callable[[float, int], None]:
    """A callback that turns the driver's counts into the rate shown while it drives."""
    seen = [(0.0, 0)]

    def show(elapsed_s: float, requests: int) -> None:
        before_s, before = seen[-1]
        if elapsed_s - before_s < SHOWN_EVERY_S:
            return
        seen.append((elapsed_s, requests))
        phase = "warm-up" if elapsed_s < spec.load.warmup_s else "under load"
        progress.live(Now(phase, (requests - before) / (elapsed_s - before_s)))

    return show
