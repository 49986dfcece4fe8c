"""What a session has found so far, and what an earlier, unfinished session of the same plan had found."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from bench.errors import UsageError
from bench.measure.judge import CUT
from bench.measure.plan import PayloadSet, SessionPlan
from bench.measure.steps.loops import LoopBook
from bench.measure.steps.starts import StartBook
from bench.model import (
    INCOMPLETE,
    SCHEMA_VERSION,
    Capacity,
    Ceiling,
    ImageSize,
    LoopResult,
    RepeatCheck,
    Run,
    SloResult,
    Startup,
    Strategy,
    StrategyResult,
    Trial,
)

# what must be as it was for a run to go on
SAME = (
    *("commit", "cpu_model", "cores", "service_cores", "driver_cores"),
    *("python", "libraries", "kernel", "engine_version"),
)


class RunBuilder:
    """Collects what is found; `run` is all of it as run.json keeps it."""

    def __init__(
        self,
        plan: SessionPlan,
        created: str,
        environment: Mapping[str, Any],
        scrub: Callable[[str], str],
        earlier: Run | None = None,
    ) -> None:
        self._plan, self._scrub, self._earlier = plan, scrub, earlier
        self._created = earlier.created if earlier else created
        self._environment = environment
        self.ceilings: dict[PayloadSet, Ceiling] = {}
        self.capacities: dict[tuple[str, *PayloadSet], Capacity] = {}
        self.repeats: list[RepeatCheck] = []
        self.objectives: list[SloResult] = []
        self.sizes: dict[str, ImageSize | None] = {}
        self.model_bytes: dict[str, int | None] = {}
        self.starts, self.loops = StartBook(), LoopBook()
        self.trials: list[Trial] = []
        self.warnings: list[str] = []
        if earlier is not None:
            self._take_over(earlier)

    def _take_over(self, earlier: Run) -> None:
        self.ceilings = {(one.payload_class, one.encoding): one for one in earlier.ceilings}
        self.capacities = {(c.strategy, c.payload_class, c.encoding): c for c in earlier.capacities}
        self.repeats, self.objectives = list(earlier.repeats), list(earlier.objectives)
        self.sizes = {name: result.image for name, result in earlier.strategies.items()}
        self.trials = list(earlier.trials)
        self.warnings = [text for text in earlier.warnings if not text.startswith(INCOMPLETE)]

    def run(self, runtime: str, described: Mapping[str, Any]) -> Run:
        """Everything found so far; `described` is the runtime's part of the environment."""
        plan = self._plan
        return Run(
            schema_version=SCHEMA_VERSION,
            created=self._created,
            command=plan.command,
            runtime=runtime,
            quick=plan.quick,
            planned_trials=plan.planned_trials,
            environment=self._whole_environment(described),
            ceilings=tuple(self.ceilings.values()),
            strategies={strategy.name: self._result(strategy) for strategy in plan.strategies},
            trials=tuple(self._scrubbed(trial) for trial in self.trials),
            warnings=tuple(dict.fromkeys(map(self._scrub, self.warnings))),
            capacities=tuple(self.capacities.values()),
            repeats=tuple(self.repeats),
            objectives=tuple(map(self._scrubbed_objective, self.objectives)),
            price_per_core_hour=plan.price_per_core_hour,
            options=plan.options,
        )

    def _whole_environment(self, described: Mapping[str, Any]) -> dict[str, Any]:
        """The fingerprint with the runtime's part; the images of a run that goes on stay those it began with.

        So a run that is refused for another image is refused the next time too.
        """
        whole = {**self._environment, **described}
        before = (self._earlier.environment.get("images") if self._earlier else None) or {}
        if before:
            whole["images"] = {**(described.get("images") or {}), **before}
        return whole

    def _scrubbed(self, trial: Trial) -> Trial:
        """The trial without this machine's folders and name in its texts."""
        error = None if trial.error is None else self._scrub(trial.error)
        return dataclasses.replace(trial, error=error, warnings=tuple(map(self._scrub, trial.warnings)))

    def _scrubbed_objective(self, found: SloResult) -> SloResult:
        probes = (dataclasses.replace(one, why_not=self._scrub(one.why_not)) for one in found.probes)
        return dataclasses.replace(found, probes=tuple(probes), why_none=self._scrub(found.why_none))

    def _result(self, strategy: Strategy) -> StrategyResult:
        name = strategy.name
        before = self._earlier.strategies.get(name) if self._earlier else None
        image, pulled = self.sizes.get(name), self.model_bytes.get(name)
        if image is not None and pulled is not None:
            image = dataclasses.replace(image, model_bytes=pulled)
        cold, warm = self.starts.result(name), self.starts.result(name, "warm")
        return StrategyResult(
            strategy.title,
            image,
            join_starts(before.startup if before else None, cold),
            join_loops(before.loops if before else (), self.loops.results(name)),
            join_starts(before.warm_startup if before else None, warm),
        )


def take_up(run: Run, plan: SessionPlan, runtime: str, environment: Mapping[str, Any]) -> Run:
    """The earlier run without the trials that were cut short; raises UsageError where it cannot go on.

    A run is one measurement of one thing: the code, the machine and the settings must be what they were.
    """
    changed = [name for name in SAME if run.environment.get(name) != environment.get(name)]
    before, now = run.environment.get("settings"), environment.get("settings")
    if before != now:
        changed.append("settings")
    if run.runtime != runtime:
        changed.append(f"runtime ({run.runtime}, now {runtime})")
    if changed:
        raise UsageError(
            f"this run cannot go on, as these are not what they were: {', '.join(changed)}. Measure anew, or "
            "put them back first"
        )
    if run.environment.get("dirty") or environment.get("dirty"):
        raise UsageError(
            "this run cannot go on: files differ from the commit, so nobody knows whether the code is the "
            "same. Measure anew from a clean tree"
        )
    if [strategy.name for strategy in plan.strategies] != list(run.strategies):
        raise UsageError("this run cannot go on: compose.yaml registers other strategies now. Measure anew")
    kept = [trial for trial in run.trials if trial.error != CUT]
    if plan.objective is not None:
        # a search that did not end begins anew
        ended = {(one.strategy, one.payload_class, one.encoding) for one in run.objectives if one.known}
        kept = [one for one in kept if (one.strategy, one.payload_class, one.encoding) in ended]
    known = tuple(one for one in run.objectives if one.known)
    return dataclasses.replace(run, trials=tuple(kept), objectives=known)


def join_starts(before: Startup | None, after: Startup | None) -> Startup | None:
    """The starts of both; of the phases those that both know."""
    if before is None or after is None:
        return before or after
    return Startup(
        before.first_correct_answer_s + after.first_correct_answer_s,
        _joined(before.phases, after.phases),
        after.model_cache,
        _joined(before.inside, after.inside),
    )


def join_loops(before: Sequence[LoopResult], after: Iterable[LoopResult]) -> tuple[LoopResult, ...]:
    """The loops of both, by payload class and part."""
    found = {(one.payload_class, one.part): one for one in before}
    for one in after:
        old = found.get((one.payload_class, one.part))
        found[one.payload_class, one.part] = one if old is None else _joined_loop(old, one)
    return tuple(found.values())


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
