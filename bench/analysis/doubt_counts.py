"""The doubts of a run by code, with the number of trials that have them, the gravest first."""

from collections.abc import Sequence
from dataclasses import dataclass

from bench.analysis.overload import judged_by_load
from bench.model import Doubt, DoubtCode, Run, Trial, gravity

NO_REASON = Doubt("no_reason", "no reason was recorded", "measure again", voids=True, cause="harness")


@dataclass(frozen=True, slots=True)
class DoubtCount:
    """All doubts of one code: how many invalid and valid trials have this doubt, and of which strategies.

    Both counts are 0 if it concerns the whole run. `example` is the first of these doubts, from an invalid
    trial if an invalid trial has it.
    """

    code: DoubtCode
    invalid: int
    valid: int
    strategies: tuple[str, ...]
    example: Doubt


def doubts(run: Run) -> tuple[DoubtCount, ...]:
    """The doubts of a run: first those of invalid trials, then those of the whole run, then mere warnings."""
    run = judged_by_load(run)
    held: dict[DoubtCode, list[tuple[Trial, Doubt]]] = {}
    for trial in sorted(run.trials, key=lambda one: one.valid):
        for one in first_of_each(reasons(trial)):
            held.setdefault(one.code, []).append((trial, one))
    of_trials = sorted(
        map(_count, held.values()), key=lambda one: (gravity(one.code), -one.invalid, -one.valid)
    )
    whole = [DoubtCount(one.code, 0, 0, (), one) for one in dict.fromkeys(run.doubts)]
    of_invalid = [one for one in of_trials if one.invalid]
    return (*of_invalid, *whole, *(one for one in of_trials if not one.invalid))


def _count(held: list[tuple[Trial, Doubt]]) -> DoubtCount:
    trials, example = [trial for trial, _ in held], held[0][1]
    invalid = sum(not trial.valid for trial in trials)
    strategies = tuple(dict.fromkeys(trial.strategy for trial in trials))
    return DoubtCount(example.code, invalid, len(trials) - invalid, strategies, example)


def first_of_each(every: Sequence[Doubt]) -> list[Doubt]:
    """The first doubt of each code, in their order."""
    firsts: dict[DoubtCode, Doubt] = {}
    for doubt in every:
        firsts.setdefault(doubt.code, doubt)
    return list(firsts.values())


def reasons(trial: Trial) -> tuple[Doubt, ...]:
    """All doubts of a trial; an invalid trial has at least one."""
    return trial.reasons or (() if trial.valid else (NO_REASON,))
