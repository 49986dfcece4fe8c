"""A strategy as two commits have it, side by side: both are under load at once, on the same cores.

The kernel switches between them every few milliseconds, so whatever the host does meets both alike, and what
is left is their difference ("duet benchmarking", Bulej and others, ICPE 2020): docs/decisions/0007.
"""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from bench.load.launch import LeftAloneError, Rendezvous
from bench.measure.judge import BUSY_DRIVER, TrialSpec, failed_trial
from bench.measure.plan import Step
from bench.measure.progress import Progress, Silent
from bench.measure.runtime.instance import Instance, StartError
from bench.measure.steps.starts import Start
from bench.measure.steps.takes import Takes
from bench.measure.trial import Tried, run_trial
from bench.model import BASE, DRIVER_MAY_LIMIT, Load, Strategy, Trial

# a pair that the host spoiled is made again, at most once for so many rounds of the plan
ROUNDS_A_SPARE = 2


class PairTakes(Takes):
    """Does the steps of a plan whose strategies are pairs of base and head."""

    def take(self, step: Step) -> Sequence[Step]:
        """Do one step; a pair that the host spoiled asks for another one, as long as there are spare ones."""
        if step.kind != "pair":
            return super().take(step)
        before = self._spoiled(step.strategy)
        for trial in self._both(step):
            self._add(replace(step, strategy=trial.strategy), trial)
        spoiled = self._spoiled(step.strategy)
        if spoiled == before or len(spoiled) > self._plan.rounds // ROUNDS_A_SPARE:
            return ()
        # a round counts where it has all payloads: so the spare one has them all
        spare = self._plan.rounds + len(spoiled)
        return [
            replace(step, payload_class=chosen, encoding=encoding, round=spare)
            for chosen, encoding in self._plan.payloads
        ]

    def _spoiled(self, strategy: str) -> set[int]:
        """The rounds of a strategy in which the host or the driver spoiled a trial of either side."""
        return {
            trial.round
            for trial in self._record.trials
            if trial.strategy.removesuffix(BASE) == strategy and _spoiled_by_host(trial)
        }

    def _spec(self, strategy: Strategy, step: Step, load: Load, round_: int) -> TrialSpec:
        """A trial's spec, for one of two that share the driver's cores: its ceiling is half of that."""
        spec = super()._spec(strategy, step, load, round_)
        ceiling = spec.ceiling
        if ceiling is None:
            return spec
        return replace(spec, ceiling=replace(ceiling, throughput_rps=ceiling.throughput_rps / 2))

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
        busy = _busy_drivers([one.trial for one in tried], len(self._cores.driver))
        first, second = (
            replace(one.trial, overhead_s=overhead_s, warnings=(*one.trial.warnings, *busy)) for one in tried
        )
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

    Ctrl-C takes effect once their windows have ended. Raises what stopped one of them, before what that did
    to the others.
    """
    together = Rendezvous(len(sides))
    shown: list[Progress] = [Silent(), *[progress] * (len(sides) - 1)]

    def drive(spec: TrialSpec, instance: Instance, tell: Progress) -> Tried:
        try:
            return run_trial(spec, instance, folder, tell, together)
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


def _busy_drivers(trials: Sequence[Trial], cores: int) -> list[str]:
    """A doubt where the drivers of both sides together were near the end of what their cores can do."""
    busiest = [trial.driver.busiest_core for trial in trials if trial.driver]
    used = sum(share for share in busiest if share is not None)
    if used <= BUSY_DRIVER * min(cores, len(trials)):
        return []
    return [f"both sides' drivers together used {used:.0%} of a core: {DRIVER_MAY_LIMIT}"]


def _spoiled_by_host(trial: Trial) -> bool:
    """Whether a trial is invalid for what is no fault of the service."""
    return not trial.valid and trial.error is None and not trial.errors and not trial.wrong_answers
