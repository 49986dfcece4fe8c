"""Whether a batch holds all that was planned: what was cut short proves nothing."""

from collections.abc import Iterable

from bench.gate.values import Batch
from bench.model import Run, in_words
from bench.report import text

SHOWN_ROUNDS = 6


def unfinished(batch: Batch, strategy: str) -> str:
    """What a strategy lacks on either side, empty where it lacks nothing: base first."""
    sides = (("base", batch.base, batch.name_in_base(strategy)), ("head", batch.head, strategy))
    return next((found for side in sides if (found := unfinished_run(*side))), "")


def unfinished_run(who: str, run: Run, name: str) -> str:
    """What a strategy lacks in one run, empty where that is nothing.

    A round counts where it has a trial, valid or not, of every closed load and payload that the strategy
    has; spare rounds, whose numbers lie above those planned, stand for none.
    """
    cut = next((one for one in run.doubts if one.code == "incomplete"), None)
    if cut is not None:
        return f"{who}'s run ended before its plan ({in_words(cut)})"
    trials = [one for one in run.trials if one.strategy == name and one.load.get("kind") == "closed"]
    made: dict[tuple[object, ...], set[int]] = {}
    for trial in trials:
        case = trial.payload_class, trial.encoding, trial.load.get("name")
        made.setdefault(case, set()).add(trial.round)
    planned = range(1, _planned(run) + 1)
    missing = sorted({number for rounds in made.values() for number in planned if number not in rounds})
    return f"{who} lacks {_named(missing)} of the {len(planned)} planned" if missing else ""


def _planned(run: Run) -> int:
    settings = run.environment.get("settings") or {}
    rounds = settings.get("rounds")
    return rounds if type(rounds) is int else 0


def _named(rounds: Iterable[int]) -> str:
    numbers = list(rounds)
    shown = text.listing([str(one) for one in numbers[:SHOWN_ROUNDS]])
    more = len(numbers) - SHOWN_ROUNDS
    return f"round{'s' if len(numbers) > 1 else ''} {shown}{f' and {more} more' if more > 0 else ''}"
