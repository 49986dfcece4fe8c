"""One step of a session after the other: what it starts, drives and asks, and what it puts on record."""

import dataclasses
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bench.cores import Cores, pinned
from bench.errors import BenchError, InvalidRunError
from bench.load.ceiling import measure_ceiling
from bench.measure.judge import TrialSpec, failed_trial
from bench.measure.payloads import PayloadImage, varied_copies
from bench.measure.plan import (
    REPEAT_CLIENTS,
    REPEAT_COPIES,
    REPEAT_TWICE,
    REPEAT_WARMUP_S,
    REPEAT_WINDOW_S,
    SessionPlan,
    Step,
)
from bench.measure.progress import Progress, so_far
from bench.measure.run_builder import RunBuilder
from bench.measure.runtime.instance import Runtime, StartError
from bench.measure.steps.loops import run_loop
from bench.measure.steps.parity import offenders
from bench.measure.steps.probes import capacity_of, objective_result, repeat_check, repeat_warning
from bench.measure.steps.repeats import drive_in_turn
from bench.measure.steps.starts import Start, start_fresh
from bench.measure.time_estimate import ceiling_window_s
from bench.measure.trial import TrialInterrupted, Tried, run_trial
from bench.model import BASE, ClosedLoad, ImageSize, Load, OpenLoad, Payload, Run, ShareLoad, Strategy, Trial

SHOWN_OFFENDERS = 5


class Takes:
    """Does steps of a plan; what is found goes into the record."""

    def __init__(
        self,
        plan: SessionPlan,
        images: Sequence[PayloadImage],
        runtime: Runtime,
        cores: Cores,
        folder: Path,
        progress: Progress,
        record: RunBuilder,
        earlier: Run | None,
        keep: Callable[[], None],
    ) -> None:
        self._plan, self._images, self._runtime, self._cores = plan, images, runtime, cores
        self._folder, self._progress, self._record, self._keep = folder, progress, record, keep
        before = earlier.environment if earlier else {}
        self._images_before: Mapping[str, str] = before.get("images") or {}
        self._way_in_before = before.get("address_kind")
        self._strategies = {strategy.name: strategy for strategy in plan.strategies}

    def take(self, step: Step) -> Sequence[Step]:
        """Do one step; returns the steps that this makes necessary."""
        if step.kind == "ceiling":
            self._take_ceiling(step)
            return ()
        strategy = self._strategies[step.strategy]
        take = {
            "parity": self._take_parity,
            "size": self._take_size,
            "capacity": self._take_capacity,
            "repeat": self._take_repeat,
            "trial": self._take_trial,
            "loop": self._take_loop,
            "objective": self._take_objective,
            "start": self._take_start,
            "warm start": self._take_start,
        }[step.kind]
        take(strategy, step)
        return ()

    def _take_size(self, strategy: Strategy, _: Step) -> None:
        # nothing is timed meanwhile, so compressing may take every core
        with pinned(self._cores.available):
            self._record.sizes[strategy.name] = self._image_size(strategy)

    def _image_size(self, strategy: Strategy) -> ImageSize | None:
        try:
            return self._runtime.image_size(strategy)
        except Exception as error:  # noqa: BLE001  # a size is worth no run, whatever the engine's store does
            self._warn(f"the size of {strategy.name}'s image is not known: {error!r}")
            return None

    def _take_ceiling(self, step: Step) -> None:
        load = dataclasses.replace(
            self._plan.closed_load(0.3, ceiling_window_s(self._plan)), warmup_most_s=None
        )
        fleet = self._plan.fleet
        if fleet.remote:
            self._warn("the driver's ceiling is not known: workers on other hosts cannot reach a target here")
            return
        try:
            found = measure_ceiling(
                self._plan.payloads[step.payload_set], load, self._cores.service, self._plan.seed, fleet=fleet
            )
        except BenchError as error:
            self._warn(f"the driver's ceiling with {step.payload_class} payloads is not known: {error}")
            return
        self._record.ceilings[step.payload_set] = found

    def _take_parity(self, strategy: Strategy, _: Step) -> None:
        try:
            start = self._start(strategy)
        except StartError as error:
            raise InvalidRunError(f"nothing was timed: {error}") from error
        try:
            found = offenders(start.instance, strategy, self._images_of(strategy))
        finally:
            start.instance.stop()
        self._same_image(strategy)
        if found:
            more = f"; and {len(found) - SHOWN_OFFENDERS} more" if len(found) > SHOWN_OFFENDERS else ""
            raise InvalidRunError(
                f"nothing was timed, {strategy.name} gives wrong answers: "
                f"{'; '.join(found[:SHOWN_OFFENDERS])}{more}"
            )

    def _images_of(self, strategy: Strategy) -> Sequence[PayloadImage]:
        base = self._plan.base
        return base.images if base and strategy.name.endswith(BASE) else self._images

    def _same_image(self, strategy: Strategy) -> None:
        """Raise BenchError where a run that goes on would go on with another image, or another way to it."""
        described = self._runtime.describe()
        if self._way_in_before and described.get("address_kind") != self._way_in_before:
            raise BenchError("containers are reached in another way than the run began with: measure anew")
        now = described.get("images", {}).get(strategy.name)
        if self._images_before.get(strategy.name, now) != now:
            raise BenchError(f"{strategy.name}'s image is another than the run began with: measure anew")

    def _take_capacity(self, strategy: Strategy, step: Step) -> None:
        pace = self._plan.pace_load
        load = self._plan.closed_load(pace.warmup_s, pace.window_s)
        with tempfile.TemporaryDirectory(prefix="bench-capacity-") as scratch:
            found = capacity_of(
                step,
                load.clients,
                lambda: self._try(step, self._spec(strategy, step, load, 0), Path(scratch)),
            )
        self._record.capacities[step.strategy, *step.payload_set] = found

    def _take_repeat(self, strategy: Strategy, step: Step) -> None:
        """Varied and repeated payloads in turn, on one copy, which would keep what it caches."""
        try:
            start = self._start(strategy)
        except StartError as error:
            self._warn(f"whether {strategy.name} keeps answers is not known: {error}")
            return
        load = ClosedLoad(REPEAT_CLIENTS, REPEAT_WARMUP_S, REPEAT_WINDOW_S)
        repeated = self._spec(strategy, step, load, 0)
        of_class = [image for image in self._images if image.kind == step.payload_class]
        copies = varied_copies(of_class, step.encoding, REPEAT_COPIES, strategy.model)
        try:
            varied, again, twice = drive_in_turn(repeated, copies, start.instance, self._progress)
        finally:
            start.instance.stop()
        wrong = sum(trial.wrong_answers for trial in varied)
        if wrong:
            self._warn(
                f"{strategy.name} answered {wrong} copies of images wrongly, which it had not seen before"
            )
        found = repeat_check(step, varied, again)
        if found is None:
            self._warn(f"whether {strategy.name} keeps answers is not known: it gave none")
            return
        warning = repeat_warning(found)
        if warning is None and twice > REPEAT_TWICE:
            self._warn(
                f"whether {strategy.name} keeps answers is not known: it is so fast that copies came twice"
            )
            return
        self._record.repeats.append(found)
        if warning is not None:
            self._warn(warning)

    def _take_objective(self, strategy: Strategy, step: Step) -> None:
        objective = self._plan.objective
        if objective is None:
            raise BenchError("a plan without an objective has a search for one: this is a fault of bench")
        found = objective_result(
            step,
            objective,
            self._record.capacities[step.strategy, *step.payload_set].throughput_rps,
            lambda load, number: self._try(step, self._spec(strategy, step, load, number), self._folder),
            lambda trial: self._add(step, trial),
        )
        self._record.objectives.append(found)

    def _take_trial(self, strategy: Strategy, step: Step) -> None:
        tried = self._try(step, self._spec(strategy, step, self._resolved(step), step.round), self._folder)
        self._add(step, tried.trial if isinstance(tried, Tried) else tried)

    def _add(self, step: Step, trial: Trial) -> None:
        """Put a trial on record and on disk, and only then tell of it."""
        self._record.trials.append(trial)
        self._keep()
        self._tell(step, trial)

    def _resolved(self, step: Step) -> Load:
        """The step's load, where it is a share of capacity as the rate that this is."""
        load = step.load
        if isinstance(load, ShareLoad):
            return load.at(self._record.capacities[step.strategy, *step.payload_set].throughput_rps)
        if isinstance(load, ClosedLoad | OpenLoad):
            return load
        raise BenchError(f"{step.label()} has no load: this is a fault of bench")

    def _take_loop(self, strategy: Strategy, step: Step) -> None:
        try:
            result = run_loop(
                self._runtime, strategy, self._plan.payloads[step.payload_set], self._plan.loop_s
            )
        except StartError as error:
            self._warn(str(error))
            return
        self._record.loops.add(strategy.name, step.payload_class, result)

    def _take_start(self, strategy: Strategy, step: Step) -> None:
        try:
            self._start(strategy, warm=step.kind == "warm start").instance.stop()
            self._record.model_bytes[strategy.name] = self._runtime.model_bytes(strategy)
        except StartError as error:
            self._record.warnings.append(f"a start failed: {error}")

    def _start(self, strategy: Strategy, *, warm: bool = False) -> Start:
        """A fresh copy that has answered; its start is noted. Raises StartError."""
        start = start_fresh(self._runtime, strategy, self._first_payload(strategy), warm=warm)
        self._record.starts.add(strategy.name, start)
        return start

    def _spec(self, strategy: Strategy, step: Step, load: Load, round_: int) -> TrialSpec:
        return TrialSpec(
            strategy=strategy,
            round=round_,
            payloads=self._plan.payloads_of(strategy)[step.payload_set],
            load=load,
            # the same payloads and arrivals for every strategy of a round: they are compared in pairs
            seed=self._plan.seed * 1000 + round_,
            cores=self._cores,
            ceiling=self._record.ceilings.get(step.payload_set),
            fleet=self._plan.fleet,
            bounds=self._plan.bounds,
        )

    def _try(self, step: Step, spec: TrialSpec, folder: Path) -> Tried | Trial:
        """One trial of a fresh copy; only the failed trial where the copy did not start."""
        begun = time.monotonic()
        try:
            start = self._start(spec.strategy)
        except StartError as error:
            self._progress.note(f"{step.label()} failed: {error}")
            return failed_trial(spec, str(error))
        try:
            tried = run_trial(spec, start.instance, folder, self._progress)
        except TrialInterrupted as cut:
            if folder == self._folder:
                self._record.trials.append(cut.trial)
            raise
        finally:
            self._stop(start, spec.strategy)
        spent_s = start.reached_s["first_correct_answer"] + tried.loaded_s
        overhead_s = round(time.monotonic() - begun - spent_s, 3)
        trial = dataclasses.replace(tried.trial, overhead_s=overhead_s)
        return dataclasses.replace(tried, trial=trial)

    def _stop(self, start: Start, strategy: Strategy) -> None:
        """End a copy; one that cannot be ended must not take what was measured along."""
        try:
            start.instance.stop()
        except Exception as error:  # noqa: BLE001  # whatever the engine says, the next start clears it again
            self._warn(f"a copy of {strategy.name} could not be removed: {error!r}")

    def _first_payload(self, strategy: Strategy) -> Payload:
        """The first of the smallest class: every start is timed to the answer to the same one."""
        classes = self._plan.payloads_of(strategy).values()
        return min(classes, key=lambda ones: sum(len(one.body) for one in ones) / len(ones))[0]

    def _warn(self, text: str) -> None:
        """Note something that the report must say, and say it now."""
        self._record.warnings.append(text)
        self._progress.note(text)

    def _tell(self, step: Step, trial: Trial) -> None:
        # a search's steps have no load of their own, its trials have
        load = str(trial.load.get("name"))
        known = so_far(self._record.trials, trial.strategy, step.payload_set, load)
        self._progress.found(step, trial, known)
