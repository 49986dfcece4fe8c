"""A session: a plan's steps one after the other, each result on disk before anything is said about it."""

import contextlib
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from bench.cores import Cores, can_pin
from bench.errors import InvalidRunError
from bench.measure.machine.fingerprint import fingerprint, make_redactor
from bench.measure.own_answers import OwnAnswers, Place
from bench.measure.plan import SessionPlan
from bench.measure.progress import Doing, Progress, before, so_far
from bench.measure.run_builder import LeftOut, Measured, RunBuilder, take_up
from bench.measure.runtime.instance import Runtime, with_runtime
from bench.measure.steps.order import TimeEstimate, steps
from bench.measure.steps.step import Step, StepContext, TrialInterrupted, UnfitStrategyError
from bench.measure.unstarted import unstarted_doubts, with_known_cores
from bench.model import Doubt, Run, Trial, in_words
from bench.model.expectations import LabelExpectation
from bench.request_sets.request_set import SetRequest
from bench.run_file import write_run


class Session:
    """Takes a plan's steps; `run` is what was measured so far, and run.json always holds it.

    With an `earlier` run of the same plan it goes on where that run ended; raises UsageError if it cannot.
    The strategies `left_out` are known before not to be measurable.
    """

    def __init__(
        self,
        plan: SessionPlan,
        requests: Sequence[SetRequest],
        runtime: Runtime,
        cores: Cores,
        folder: Path,
        progress: Progress,
        earlier: Run | None = None,
        left_out: Sequence[LeftOut] = (),
    ) -> None:
        created = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        environment = with_known_cores(
            fingerprint(runtime.root, cores, plan.settings()),
            plan.strategies,
            runtime.describe().found_on,
            cores,
        )
        if earlier is not None:
            earlier = take_up(earlier, plan, runtime.kind, with_runtime(environment, runtime.describe()))
        self._plan, self._requests, self._runtime, self._cores = plan, requests, runtime, cores
        self._folder, self._progress, self._earlier = folder, progress, earlier
        self._own: dict[str, Mapping[Place, LabelExpectation]] = {}
        hosts = [one.attachment.host for one in plan.strategies if one.attachment]
        redact = make_redactor(runtime.root, hosts, [one.name for one in plan.strategies])
        self._builder = RunBuilder(plan, created, environment, redact, earlier)
        for one in left_out:
            self._builder.add(one)
        if earlier is not None:
            text = f"resumed at {created}: the machine may have changed in between"
            remedy = "if that matters, measure again"
            self._builder.add(Doubt("resumed", text, remedy, voids=False, cause="harness"))

    def leave_out(self, strategies: Iterable[LeftOut]) -> None:
        """Go on without these strategies, and say so."""
        for one in strategies:
            self._builder.add(one)
            self._progress.note(f"{one.strategy} is left out: {in_words(one.failure)}")

    def measure(self) -> Run:
        """Take every step; raises InvalidRunError if parity fails, BenchError if the harness does."""
        self._drop_strays()
        for doubt in self._standing_doubts():
            self._builder.add(doubt)
            if doubt.code in ("unchecked_answers", "answers_alike"):
                self._progress.note(in_words(doubt))
        todo, estimate = list(steps(self._plan, self._earlier)), TimeEstimate(self._plan)
        self._progress.begin(estimate.left_s(todo))
        number = 0
        try:
            while todo:
                if self._lacks(todo[0]):
                    todo.pop(0)
                    continue
                number += 1
                known = before(todo[0], self._builder.trials, self._plan.base_name(todo[0].strategy))
                left_s, total = estimate.left_s(todo), number + len(todo) - 1
                self._progress.step(Doing(todo[0], self._plan.rounds, number, total, left_s, known))
                begun = time.monotonic()
                more = self._take(todo[0])
                estimate.took(todo.pop(0), time.monotonic() - begun)
                todo += more
                self._keep()
        except BaseException as error:
            self._say_what_is_missing(error)
            raise
        return self.run

    @property
    def run(self) -> Run:
        """Everything measured so far."""
        return self._builder.run(self._runtime.kind, self._runtime.describe())

    def _lacks(self, step: Step) -> bool:
        """Whether a strategy that the step needs was left out."""
        results = self._builder.strategies
        return any(results[name].failure for name in step.needed(self._plan) if name in results)

    def _leave_out(self, step: Step, error: InvalidRunError) -> None:
        """Go on without the step's strategy, if the plan says so; else raise."""
        if not self._plan.goes_on or not step.strategy:
            raise error
        if isinstance(error, UnfitStrategyError):
            doubt = error.doubt
        else:
            doubt = Doubt("not_measured", str(error), "see the service's log", voids=True, cause="service")
        self.leave_out([LeftOut(step.strategy, doubt)])

    def _take(self, step: Step) -> list[Step]:
        """Take a step and keep what it measures; returns the steps that it makes necessary."""
        more: list[Step] = []
        context = StepContext(
            plan=self._plan,
            requests=self._requests,
            runtime=self._runtime,
            cores=self._cores,
            folder=self._folder,
            progress=self._progress,
            run=self.run,
            earlier=self._earlier,
            own=self._own,
        )
        try:
            with contextlib.closing(step.take(context)) as taking:
                for measured in taking:
                    if isinstance(measured, Step):
                        more.append(measured)
                    elif isinstance(measured, OwnAnswers):
                        self._own[measured.strategy] = measured.answers
                    else:
                        self._put(step, measured)
        except TrialInterrupted as cut:
            self._builder.add(cut.trial)
            raise
        except InvalidRunError as error:
            self._leave_out(step, error)
        return more

    def _put(self, step: Step, measured: Measured) -> None:
        """Put something measured into the run. A trial is on disk before anything is said about it."""
        self._builder.add(measured)
        if isinstance(measured, Doubt):
            self._progress.note(in_words(measured))
        elif isinstance(measured, Trial):
            self._keep()
            # a search's step has no load of its own, and a pair's step is about two strategies
            load = measured.load.name
            base = self._plan.base_name(measured.strategy)
            known = so_far(self._builder.trials, measured.strategy, step.payload_set, load, base)
            self._progress.found(step.about(measured, self._plan), measured, known)

    def _standing_doubts(self) -> list[Doubt]:
        """The doubts that follow from the plan and the machine alone."""
        doubts = []
        if self._plan.rounds == 1:
            text = "one round proves nothing: it only shows that everything works"
            remedy = "leave out --quick, or ask for --rounds 6"
            doubts.append(Doubt("one_round", text, remedy, voids=False, cause="harness"))
        if self._plan.quick:
            text = "a quick run: short windows"
            doubts.append(Doubt("quick", text, "leave out --quick", voids=False, cause="harness"))
        if self._plan.unchecked:
            told = ", ".join(f"{count} of class {name}" for name, count in self._plan.unchecked.items())
            text = f"answers were not checked: nothing says what is right for requests, {told}"
            remedy = "record the right answers with `python -m bench requests record`"
            doubts.append(Doubt("unchecked_answers", text, remedy, voids=False, cause="harness"))
        for one in self._plan.blind:
            doubts.append(Doubt("answers_alike", one.told, one.remedy, voids=False, cause="harness"))
        if not self._cores.disjoint and self._plan.started:
            text = "driver and service share a core: absolute figures are too low"
            doubts.append(Doubt("shared_core", text, "use two cores or more", voids=False, cause="host"))
        if not can_pin() and self._plan.started:
            text = "this system keeps no process to chosen cores: the driver may have run on the service's"
            doubts.append(Doubt("not_pinned", text, "measure on Linux", voids=False, cause="host"))
        if self._runtime.kind == "process":
            text = "image size is not measurable without containers: the services ran as local processes"
            remedy = "start a Docker engine, and use --runtime compose"
            doubts.append(Doubt("no_images", text, remedy, voids=False, cause="host"))
        facts = self._runtime.describe()
        return [
            *doubts,
            *unstarted_doubts(self._plan.strategies, facts.found_on, self._cores, facts.not_there),
        ]

    def _say_what_is_missing(self, error: BaseException) -> None:
        said = (str(error).splitlines() or [""])[0]
        cut = isinstance(error, KeyboardInterrupt)
        why = "it was interrupted" if cut else f"it failed ({said})" if said else "it failed"
        planned = self._plan.planned_trials
        # spare rounds and closed loops that were made again come on top
        made = len(
            {
                (one.strategy, one.payload_class, one.encoding, one.load.name, one.round)
                for one in self._builder.trials
                if one.round <= self._plan.rounds
            }
        )
        missing = f"{planned - made} of {planned} trials are missing" if planned else "its search did not end"
        go_on = "go on with --resume and this run's folder"
        text = f"the run is not complete, {why}: {missing}"
        remedy = "measure it again" if self._plan.base else go_on
        self._builder.add(Doubt("incomplete", text, remedy, voids=False, cause="harness"))
        self._drop_strays()
        self._keep()

    def _drop_strays(self) -> None:
        """Remove samples of no trial: those of a trial that was cut short, or that will be made again."""
        longs = (one.trial for one in self._builder.longs)
        kept = {trial.samples for trial in (*self._builder.trials, *longs)}
        for file in self._folder.glob("samples/*"):
            if f"samples/{file.name}" not in kept:
                file.unlink()

    def _keep(self) -> None:
        write_run(self.run, self._folder)


def results_folder(results: Path, environment_commit: str | None, dirty: bool | None) -> Path:
    """Make results/<UTC time>-<commit>[-dirty] and return it."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    parts = [stamp, *([environment_commit] if environment_commit else []), *(["dirty"] if dirty else [])]
    folder = results / "-".join(parts)
    folder.mkdir(parents=True)
    return folder
