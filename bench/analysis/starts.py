"""How long a strategy takes from the create call to its first correct answer, and in which phases."""

from collections.abc import Mapping
from dataclasses import dataclass

from bench.model import Run, Startup, StrategyResult
from bench.statistics import Estimate, median

LAST_PHASE = "first_correct_answer_s"


@dataclass(frozen=True, slots=True)
class StrategyStarts:
    """A strategy's starts with one state of the model cache; `startup` is None if no start was measured.

    `first_answer_s` runs from the create call to the first correct answer. `phases_s` holds the moments at
    which phases end, seen from outside, `inside_s` the lengths of the phases that the service times itself:
    medians, None without a value.
    """

    strategy: str
    startup: Startup | None
    first_answer_s: Estimate | None
    phases_s: Mapping[str, float | None]
    inside_s: Mapping[str, float | None]

    @property
    def together_s(self) -> float:
        """How long the phases inside the service take together."""
        return sum(length for length in self.inside_s.values() if length is not None)


def starts(run: Run) -> list[StrategyStarts]:
    """The starts of each strategy; those with a warm model cache, if it has any, come second."""
    every = []
    for name, result in run.strategies.items():
        every.append(_start(name, result.startup))
        if result.warm_startup is not None:
            every.append(_start(name, result.warm_startup))
    return every


def startup_s(result: StrategyResult) -> Estimate | None:
    """Seconds from the create call to the first correct answer, the median over fresh starts."""
    return median(result.startup.first_correct_answer_s) if result.startup else None


def phase_lengths_s(startup: Startup) -> dict[str, float]:
    """How long each phase took, from the medians of the moments at which they ended, in order of time."""
    total = median(startup.first_correct_answer_s)
    moments = {phase: moment for phase, moment in _medians(startup.phases).items() if moment is not None}
    ends = sorted((moment, phase) for phase, moment in moments.items())
    lengths: dict[str, float] = {}
    before = 0.0
    for end, phase in [*ends, (total.centre if total else 0.0, LAST_PHASE)]:
        if end > before:
            lengths[phase] = lengths.get(phase, 0.0) + end - before
            before = end
    return lengths


def _start(strategy: str, startup: Startup | None) -> StrategyStarts:
    if startup is None:
        return StrategyStarts(strategy, None, None, {}, {})
    total = median(startup.first_correct_answer_s)
    return StrategyStarts(strategy, startup, total, _medians(startup.phases), _medians(startup.inside))


def _medians(phases: Mapping[str, tuple[float, ...]]) -> dict[str, float | None]:
    estimates = {phase: median(values) for phase, values in phases.items()}
    return {phase: estimate.centre if estimate else None for phase, estimate in estimates.items()}
