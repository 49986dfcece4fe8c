"""A strategy as two commits have it, side by side: both are under load at once, on the same cores.

The kernel switches between them every few milliseconds, so whatever the host does meets both alike, and what
is left is their difference ("duet benchmarking", Bulej and others, ICPE 2020): docs/decisions/0007.
"""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from bench.load.launch import Rendezvous
from bench.measure.instance import Instance, StartError
from bench.measure.judge import failed_trial
from bench.measure.plan import Step
from bench.measure.progress import Progress, Silent
from bench.measure.startup import Start
from bench.measure.takes import Takes
from bench.measure.trial import Tried, run_trial
from bench.measure.trial_spec import TrialSpec
from bench.model import BASE, Strategy, Trial

# a pair that the host spoiled is made again, at most once for so many rounds of the plan
ROUNDS_A_SPARE = 2


class PairTakes(Takes):
    """Does the steps of a plan whose strategies are pairs of base and head."""

    def take(self, step: Step) -> Sequence[Step]:
        """Do one step; a pair that the host spoiled asks for another one, as long as there are spare ones."""
        if step.kind != "pair":
            return super().take(step)
        trials = self._both(step)
        for trial in trials:
            self._add(replace(step, strategy=trial.strategy), trial)
        spoiled = {t.round for t in self._record.trials if _is_of(t, step) and _spoiled_by_host(t)}
        if step.round not in spoiled or len(spoiled) > self._plan.rounds // ROUNDS_A_SPARE:
            return ()
        return (replace(step, round=self._plan.rounds + len(spoiled)),)

    def _both(self, step: Step) -> tuple[Trial, Trial]:
        """The trials of base and head at once; of both the reason where one did not start."""
        head = self._strategies[step.strategy]
        sides = (self._strategies[head.name + BASE], head)
        specs = {one.name: self._spec(one, step, self._resolved(step), step.round) for one in sides}
        started: dict[str, Start] = {}
        begun = time.monotonic()
        try:
            self._start_both(sides, started)
            tried = run_pair(
                [(specs[one.name], started[one.name].instance) for one in sides], self._folder, self._progress
            )
        except StartError as error:
            self._progress.note(f"{step.label()} failed: {error}")
            return failed_trial(specs[sides[0].name], str(error)), failed_trial(specs[head.name], str(error))
        finally:
            self._stop_both(sides, started)
        starts_s = max(start.reached_s["first_correct_answer"] for start in started.values())
        spent_s = starts_s + max(one.loaded_s for one in tried)
        overhead_s = round(time.monotonic() - begun - spent_s, 3)
        first, second = (replace(one.trial, overhead_s=overhead_s) for one in tried)
        return first, second

    def _start_both(self, sides: Sequence[Strategy], started: dict[str, Start]) -> None:
        """Start all at once, as no start is timed here; raises StartError, with what came up in `started`."""

        def start(one: Strategy) -> None:
            started[one.name] = self._start(one)

        with ThreadPoolExecutor(len(sides)) as aside:
            for future in [aside.submit(start, one) for one in sides]:
                future.result()

    def _stop_both(self, sides: Sequence[Strategy], started: dict[str, Start]) -> None:
        with ThreadPoolExecutor(len(sides)) as aside:
            for one in sides:
                if one.name in started:
                    aside.submit(self._stop, started[one.name], one)


def run_pair(sides: Sequence[tuple[TrialSpec, Instance]], folder: Path, progress: Progress) -> list[Tried]:
    """Drive all sides from the same instant on, each by a driver of its own.

    Ctrl-C takes effect once their windows have ended.
    """
    together = Rendezvous(len(sides))
    shown: list[Progress] = [Silent(), *[progress] * (len(sides) - 1)]
    with ThreadPoolExecutor(len(sides)) as aside:
        futures = [
            aside.submit(run_trial, spec, instance, folder, tell, together)
            for (spec, instance), tell in zip(sides, shown, strict=True)
        ]
        return [future.result() for future in futures]


def _is_of(trial: Trial, step: Step) -> bool:
    """Whether it is of the step's strategy, on either side, and of its payloads."""
    wanted = (step.strategy, *step.payload_set)
    return (trial.strategy.removesuffix(BASE), trial.payload_class, trial.encoding) == wanted


def _spoiled_by_host(trial: Trial) -> bool:
    """Whether a trial is invalid for what is no fault of the service."""
    return not trial.valid and trial.error is None and not trial.errors and not trial.wrong_answers
