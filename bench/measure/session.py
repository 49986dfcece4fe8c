"""A session: everything a run measures, step by step, each kept on disk as soon as it ends."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.cores import Cores
from bench.measure.machine.environment import fingerprint, make_redactor
from bench.measure.payloads import PayloadImage
from bench.measure.plan import SessionPlan, Step, steps
from bench.measure.progress import Doing, Progress, before
from bench.measure.run_builder import RunBuilder, take_up
from bench.measure.runtime.instance import Runtime
from bench.measure.steps.pairs import PairTakes
from bench.measure.steps.takes import Takes
from bench.measure.time_estimate import TimeEstimate
from bench.model import INCOMPLETE, Run
from bench.run_file import write_run


class Session:
    """Runs a plan's steps; `run` is what is known so far, and run.json always holds it.

    With an `earlier` run of the same plan it goes on where that one ended; raises UsageError where it cannot.
    """

    def __init__(
        self,
        plan: SessionPlan,
        images: Sequence[PayloadImage],
        runtime: Runtime,
        cores: Cores,
        folder: Path,
        progress: Progress,
        earlier: Run | None = None,
    ) -> None:
        self._plan, self._cores, self._folder, self._progress = plan, cores, folder, progress
        self._runtime = runtime
        created = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        environment = fingerprint(runtime.root, cores, plan.settings())
        whole = {**environment, **runtime.describe()}
        self._earlier = take_up(earlier, plan, runtime.kind, whole) if earlier else None
        scrub = make_redactor(runtime.root)
        self._record = RunBuilder(plan, created, environment, scrub, self._earlier)
        if earlier:
            self._record.warnings.append(f"resumed at {created}: the machine may have changed in between")
        kind = PairTakes if plan.base else Takes
        self._takes = kind(
            plan, images, runtime, cores, folder, progress, self._record, self._earlier, self._keep
        )

    def measure(self) -> Run:
        """Do every step; raises InvalidRunError where parity fails, BenchError where the harness does."""
        self._drop_strays()
        todo, pace = list(steps(self._plan, self._earlier)), TimeEstimate(self._plan)
        self._record.warnings += self._standing_warnings()
        self._progress.begin(pace.left_s(todo))
        total = len(todo)
        try:
            while todo:
                self._progress.step(self._doing(todo, total, pace.left_s(todo)))
                begun = time.monotonic()
                more = self._takes.take(todo[0])
                pace.took(todo.pop(0).kind, time.monotonic() - begun)
                todo += more
                total += len(more)
                self._keep()
        except BaseException as error:
            self._say_what_is_missing(error)
            raise
        return self.run

    def _doing(self, todo: Sequence[Step], total: int, left_s: float) -> Doing:
        number, known = total - len(todo) + 1, before(todo[0], self._record.trials)
        return Doing(todo[0], self._plan.rounds, number, total, left_s, known)

    @property
    def run(self) -> Run:
        """Everything found so far."""
        return self._record.run(self._runtime.kind, self._runtime.describe())

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
        planned = self._plan.planned_trials
        # spare rounds come on top
        made = sum(trial.round <= self._plan.rounds for trial in self._record.trials)
        missing = f"{planned - made} of {planned} trials are missing" if planned else "its search did not end"
        go_on = f"go on with `python -m bench run --resume {self._folder.name}`"
        self._record.warnings.append(
            f"{INCOMPLETE}, {why}: {missing}; {'measure it again' if self._plan.base else go_on}"
        )
        self._drop_strays()
        self._keep()

    def _drop_strays(self) -> None:
        """Remove the samples of what is no trial: it was cut before its figures, or is made again."""
        kept = {trial.samples for trial in self._record.trials}
        for file in self._folder.glob("samples/*"):
            if f"samples/{file.name}" not in kept:
                file.unlink()

    def _keep(self) -> None:
        write_run(self.run, self._folder)


def results_folder(results: Path, environment_commit: str | None, dirty: Any) -> Path:
    """Make results/<UTC time>-<commit>[-dirty] and return it."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    parts = [stamp, *([environment_commit] if environment_commit else []), *(["dirty"] if dirty else [])]
    folder = results / "-".join(parts)
    folder.mkdir(parents=True)
    return folder
