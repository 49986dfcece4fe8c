"""A session: everything a run measures, step by step, each kept on disk as soon as it ends."""

import dataclasses
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.cores import Cores, pinned
from bench.errors import BenchError, InvalidRunError
from bench.load.ceiling import measure_ceiling
from bench.measure.environment import fingerprint
from bench.measure.instance import Runtime, StartError
from bench.measure.loops import LoopBook, run_loop
from bench.measure.parity import offenders
from bench.measure.payloads import PayloadImage
from bench.measure.plan import Pace, SessionPlan, Step, ceiling_window_s, steps
from bench.measure.progress import Progress
from bench.measure.scrub import make_scrubber
from bench.measure.startup import StartBook, start_fresh
from bench.measure.trial import TrialInterrupted, TrialSpec, failed_trial, run_trial
from bench.model import SCHEMA_VERSION, Ceiling, ImageSize, Payload, Run, Strategy, StrategyResult, Trial
from bench.run_file import write_run

SHOWN_OFFENDERS = 5


class Session:
    """Runs a plan's steps; `run` is what is known so far, and run.json always holds it."""

    def __init__(
        self,
        plan: SessionPlan,
        images: Sequence[PayloadImage],
        runtime: Runtime,
        cores: Cores,
        folder: Path,
        progress: Progress,
    ) -> None:
        self._plan, self._images, self._runtime = plan, images, runtime
        self._cores, self._folder, self._progress = cores, folder, progress
        self._strategies = {strategy.name: strategy for strategy in plan.strategies}
        self._created = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        self._environment = fingerprint(runtime.root, cores, plan.settings())
        self._ceilings: dict[str, Ceiling] = {}
        self._sizes: dict[str, ImageSize | None] = {}
        self._starts, self._loops = StartBook(), LoopBook()
        self._trials: list[Trial] = []
        self._scrub = make_scrubber(runtime.root)
        self._warnings: list[str] = []

    def measure(self) -> Run:
        """Do every step; raises InvalidRunError where parity fails, BenchError where the harness does."""
        todo, pace = list(steps(self._plan)), Pace(self._plan)
        self._warnings += self._standing_warnings()
        self._progress.begin(pace.left_s(todo))
        total = len(todo)
        try:
            while todo:
                self._progress.step(todo[0].label(), total - len(todo), total, pace.left_s(todo))
                begun = time.monotonic()
                self._take(todo[0])
                pace.took(todo.pop(0).kind, time.monotonic() - begun)
                self._keep()
        except BaseException as error:
            self._say_what_is_missing(error)
            raise
        return self.run

    @property
    def run(self) -> Run:
        """Everything found so far."""
        plan = self._plan
        return Run(
            schema_version=SCHEMA_VERSION,
            created=self._created,
            command=plan.command,
            runtime=self._runtime.kind,
            quick=plan.quick,
            planned_trials=plan.planned_trials,
            environment={**self._environment, **self._runtime.describe()},
            ceilings=tuple(self._ceilings.values()),
            strategies={name: self._result(strategy) for name, strategy in self._strategies.items()},
            trials=tuple(self._scrubbed(trial) for trial in self._trials),
            warnings=tuple(dict.fromkeys(map(self._scrub, self._warnings))),
        )

    def _scrubbed(self, trial: Trial) -> Trial:
        """The trial without this machine's folders and name in its texts."""
        error = None if trial.error is None else self._scrub(trial.error)
        return dataclasses.replace(trial, error=error, warnings=tuple(map(self._scrub, trial.warnings)))

    def _result(self, strategy: Strategy) -> StrategyResult:
        name = strategy.name
        return StrategyResult(
            strategy.title, self._sizes.get(name), self._starts.result(name), self._loops.results(name)
        )

    def _take(self, step: Step) -> None:
        """Do one step."""
        strategy = self._strategies.get(step.strategy)
        if step.kind == "ceiling":
            self._take_ceiling(step.payload_class)
        elif strategy is None:
            raise BenchError(f"the plan names an unknown strategy {step.strategy}: this is a fault of bench")
        elif step.kind == "parity":
            self._take_parity(strategy)
        elif step.kind == "size":
            # nothing is timed meanwhile, so compressing may take every core
            with pinned(self._cores.available):
                self._sizes[strategy.name] = self._image_size(strategy)
        elif step.kind == "trial":
            self._take_trial(strategy, step)
        elif step.kind == "loop":
            self._take_loop(strategy, step)
        else:
            self._take_start(strategy)

    def _image_size(self, strategy: Strategy) -> ImageSize | None:
        try:
            return self._runtime.image_size(strategy)
        except Exception as error:  # noqa: BLE001  # a size is worth no run, whatever the engine's store does
            self._warn(f"the size of {strategy.name}'s image is not known: {error!r}")
            return None

    def _warn(self, text: str) -> None:
        self._warnings.append(text)
        self._progress.note(text)

    def _take_ceiling(self, payload_class: str) -> None:
        load = self._plan.ceiling_load(warmup_s=0.3, window_s=ceiling_window_s(self._plan))
        payloads = self._plan.payloads[payload_class]
        try:
            found = measure_ceiling(payloads, load, self._cores.service, self._plan.seed)
        except BenchError as error:
            self._warn(f"the driver's ceiling with {payload_class} payloads is not known: {error}")
            return
        self._ceilings[payload_class] = found

    def _take_parity(self, strategy: Strategy) -> None:
        try:
            start = start_fresh(self._runtime, strategy, self._first_payload())
        except StartError as error:
            raise InvalidRunError(f"nothing was timed: {error}") from error
        try:
            self._starts.add(strategy.name, start)
            found = offenders(start.instance, strategy, self._images)
        finally:
            start.instance.stop()
        if found:
            more = f"; and {len(found) - SHOWN_OFFENDERS} more" if len(found) > SHOWN_OFFENDERS else ""
            raise InvalidRunError(
                f"nothing was timed, {strategy.name} gives wrong answers: "
                f"{'; '.join(found[:SHOWN_OFFENDERS])}{more}"
            )

    def _take_trial(self, strategy: Strategy, step: Step) -> None:
        spec = TrialSpec(
            strategy=strategy,
            round=step.round,
            payloads=self._plan.payloads[step.payload_class],
            load=step.load or self._plan.loads[0],
            # the same payloads and arrivals for every strategy of a round: they are compared in pairs
            seed=self._plan.seed * 1000 + step.round,
            cores=self._cores,
            ceiling=self._ceilings.get(step.payload_class),
        )
        try:
            start = start_fresh(self._runtime, strategy, self._first_payload())
        except StartError as error:
            self._progress.note(f"{step.label()} failed: {error}")
            self._trials.append(failed_trial(spec, str(error)))
            return
        try:
            self._starts.add(strategy.name, start)
            self._trials.append(run_trial(spec, start.instance, self._folder, self._progress))
        except TrialInterrupted as cut:
            self._trials.append(cut.trial)
            raise
        finally:
            start.instance.stop()
        self._tell(step, self._trials[-1])

    def _take_loop(self, strategy: Strategy, step: Step) -> None:
        payloads = self._plan.payloads[step.payload_class]
        try:
            result = run_loop(self._runtime, strategy, payloads, self._plan.loop_s)
        except StartError as error:
            self._warn(str(error))
            return
        self._loops.add(strategy.name, step.payload_class, result)

    def _take_start(self, strategy: Strategy) -> None:
        try:
            start = start_fresh(self._runtime, strategy, self._first_payload())
        except StartError as error:
            self._warnings.append(f"a start failed: {error}")
            return
        self._starts.add(strategy.name, start)
        start.instance.stop()

    def _first_payload(self) -> Payload:
        """The first of the smallest class: every start is timed to the answer to the same one."""
        classes = self._plan.payloads.values()
        return min(classes, key=lambda ones: sum(len(one.body) for one in ones) / len(ones))[0]

    def _tell(self, step: Step, trial: Trial) -> None:
        rate = "n/a" if trial.throughput_rps is None else f"{trial.throughput_rps:.1f} requests/s"
        p99 = "n/a" if trial.latency_ms.p99 is None else f"{trial.latency_ms.p99:.0f} ms"
        verdict = "" if trial.valid else " INVALID"
        self._progress.note(f"{step.label()}: {rate}, p99 {p99}{verdict}")
        for warning in trial.warnings:
            self._progress.note(f"  {warning}")

    def _standing_warnings(self) -> list[str]:
        found = []
        if self._plan.rounds == 1:
            found.append("one round proves nothing: it only shows that everything works")
        if self._plan.quick:
            found.append("a quick run: short windows")
        if not self._cores.disjoint:
            found.append(
                "driver and service share a core: absolute figures are too low, use two cores or more"
            )
        if self._runtime.kind == "process":
            found.append(
                "image size is not measurable without containers: the services ran as local processes"
            )
        return found

    def _say_what_is_missing(self, error: BaseException) -> None:
        why = "it was interrupted" if isinstance(error, KeyboardInterrupt) else "it failed"
        planned = self.run.planned_trials
        missing = planned - len(self._trials)
        self._warnings.append(f"the run is not complete, {why}: {missing} of {planned} trials are missing")
        kept = {trial.samples for trial in self._trials}
        for file in self._folder.glob("samples/*"):
            # a trial that was cut between its samples and its figures
            if f"samples/{file.name}" not in kept:
                file.unlink()
        self._keep()

    def _keep(self) -> None:
        write_run(self.run, self._folder)


def results_folder(results: Path, environment_commit: str | None, dirty: Any) -> Path:
    """Make results/<UTC time>-<commit>[-dirty] and return it."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    parts = [stamp, *([environment_commit] if environment_commit else []), *(["dirty"] if dirty else [])]
    folder = results / "-".join(parts)
    folder.mkdir(parents=True)
    return folder
