"""The doubts of a run by code, with the number of trials that have them, the gravest first."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from bench.analysis.overload import judged_by_load
from bench.model import Doubt, DoubtCode, Run, Trial, gravity

NO_REASON = Doubt("no_reason", "no reason was recorded", "measure again", voids=True, cause="harness")


@dataclass(frozen=True, slots=True)
class DoubtCount:
    """All doubts of one code: how many invalid and valid trials have this doubt, and of which strategies.

    The counts are 0 if it concerns the whole run. `voided` counts the trials that this very doubt voids: an
    invalid trial may have others beside. `strategies` and `example`, the first of these doubts, are of the
    trials that it voids if there are any. `alike` is how many doubts of the whole run `folded` made one.
    """

    code: DoubtCode
    invalid: int
    valid: int
    voided: int
    strategies: tuple[str, ...]
    example: Doubt
    alike: int = 1


def doubts(run: Run) -> tuple[DoubtCount, ...]:
    """The doubts of a run: first those that void trials, then those of the whole run, then mere warnings."""
    run = judged_by_load(run)
    held: dict[DoubtCode, list[tuple[Trial, Doubt, bool]]] = {}
    for trial in run.trials:
        for one, voids in of_each_code(trial):
            held.setdefault(one.code, []).append((trial, one, voids))
    of_trials = sorted(
        map(_count, held.values()), key=lambda one: (gravity(one.code), -one.voided, -one.invalid, -one.valid)
    )
    whole = _each_of_the_run(run)
    voiding = [one for one in of_trials if one.voided]
    return (*voiding, *whole, *(one for one in of_trials if not one.voided))


def of_the_run(run: Run) -> tuple[DoubtCount, ...]:
    """The doubts of the whole run, `folded`."""
    return folded(run, _each_of_the_run(run))


def doubts_of_the_run(run: Run) -> tuple[Doubt, ...]:
    """The doubts of the whole run: first why strategies are left out of which nothing could be timed."""
    return tuple(one.example for one in _each_of_the_run(run))


def _each_of_the_run(run: Run) -> list[DoubtCount]:
    left_out = [
        DoubtCount(one.failure.code, 0, 0, 0, (name,), _named(name, one.failure))
        for name, one in run.strategies.items()
        if one.failure is not None
    ]
    return [*left_out, *(DoubtCount(one.code, 0, 0, 0, (), one) for one in dict.fromkeys(run.doubts))]


def _named(name: str, failure: Doubt) -> Doubt:
    """Why nothing of a strategy could be timed, as a doubt of the whole run, which must say whose it is."""
    return replace(failure, text=f"{name} is left out: {failure.text}")


def folded(run: Run, found: Sequence[DoubtCount]) -> tuple[DoubtCount, ...]:
    """The same, but of the doubts of the whole run that have one code and one remedy only the first.

    Its `strategies` are those that these doubts are about, if the run tells.
    """
    groups: dict[tuple[DoubtCode, str] | int, list[DoubtCount]] = {}
    for place, one in enumerate(found):
        # other doubts have nothing but their text to tell them apart
        alone = one.invalid or one.valid or one.code == "other" or one.strategies
        groups.setdefault(place if alone else (one.code, one.example.remedy), []).append(one)
    return tuple(_as_one(run, group) for group in groups.values())


def _as_one(run: Run, group: Sequence[DoubtCount]) -> DoubtCount:
    first = group[0]
    if len(group) == 1:
        return first
    known = {one.strategy for one in run.repeats}
    about = tuple(name for name in run.strategies if name not in known)
    told = first.code == "caching_unknown" and len(about) == len(group)
    return replace(first, alike=len(group), strategies=about if told else ())


def _count(held: list[tuple[Trial, Doubt, bool]]) -> DoubtCount:
    voiding = [one for one in held if one[2]]
    invalid = sum(not trial.valid for trial, _, _ in held)
    shown = voiding or held
    strategies = tuple(dict.fromkeys(trial.strategy for trial, _, _ in shown))
    example = shown[0][1]
    return DoubtCount(example.code, invalid, len(held) - invalid, len(voiding), strategies, example)


def of_each_code(trial: Trial) -> list[tuple[Doubt, bool]]:
    """A doubt of each code that the trial has, and whether it voids the trial.

    It is the first that does, or else the first. If no doubt of an invalid trial says that it voids, as in
    some older runs, all of them do.
    """
    found = reasons(trial)
    unsaid = not trial.valid and not any(one.voids for one in found)
    firsts: dict[DoubtCode, Doubt] = {}
    for doubt in found:
        if doubt.code not in firsts or (doubt.voids and not firsts[doubt.code].voids):
            firsts[doubt.code] = doubt
    return [(one, not trial.valid and (one.voids or unsaid)) for one in firsts.values()]


def reasons(trial: Trial) -> tuple[Doubt, ...]:
    """All doubts of a trial; an invalid trial has at least one."""
    return trial.reasons or (() if trial.valid else (NO_REASON,))
