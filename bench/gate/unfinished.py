"""Whether a batch holds all that was planned: what was cut short proves nothing."""

from bench.gate.values import Batch, Unfinished
from bench.model import ClosedLoad, Run


def unfinished(batch: Batch, strategy: str) -> Unfinished | None:
    """What a strategy lacks on either side, base first; None if it lacks nothing."""
    sides = (("base", batch.base, batch.name_in_base(strategy)), ("head", batch.head, strategy))
    return next((found for side in sides if (found := unfinished_run(*side))), None)


def unfinished_run(who: str, run: Run, name: str) -> Unfinished | None:
    """What a strategy lacks in one run; None if it lacks nothing.

    A round counts if it has a trial, valid or not, of every closed load and payload that the strategy
    has; spare rounds, whose numbers lie above those planned, stand for none.
    """
    cut = next((one for one in run.doubts if one.code == "incomplete"), None)
    if cut is not None:
        return Unfinished(who, cut)
    trials = [one for one in run.trials if one.strategy == name and isinstance(one.load, ClosedLoad)]
    made: dict[tuple[object, ...], set[int]] = {}
    for trial in trials:
        case = trial.payload_class, trial.encoding, trial.load.name
        made.setdefault(case, set()).add(trial.round)
    planned = range(1, _planned(run) + 1)
    missing = {number for rounds in made.values() for number in planned if number not in rounds}
    return Unfinished(who, None, tuple(sorted(missing)), len(planned)) if missing else None


def _planned(run: Run) -> int:
    settings = run.environment.settings
    return settings.rounds or 0 if settings else 0
