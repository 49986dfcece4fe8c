"""What the values of a run must be beside their types: figures are computed from them."""

from collections.abc import Iterator
from pathlib import PurePosixPath

from bench.model import ClosedLoad, LongTrial, OpenLoad, Run, Trial

LEAST_WINDOW_S, MOST_S = 0.001, 100_000.0
MOST_COUNT = 2**53
UNLIKE_A_RUN = (
    *(TypeError, ValueError, LookupError, AttributeError, ArithmeticError),
    *(RecursionError, MemoryError),
)
"""What computing with values may raise that fit their types and ranges, and contradict each other."""


def check_values(run: Run) -> None:
    """Raise ValueError, which names the place, for a value that no run has."""
    for place, trial in enumerate(run.trials):
        for fault in _of_trial(trial):
            raise ValueError(f"{fault} - at `$.trials[{place}]`")
    for place, long in enumerate(run.longs):
        for fault in (*_of_trial(long.trial), *_of_long(long)):
            raise ValueError(f"{fault} - at `$.longs[{place}]`")
    if not 0 <= run.planned_trials < MOST_COUNT:
        raise ValueError("a number of trials that nobody plans - at `$.planned_trials`")


def _of_trial(trial: Trial) -> Iterator[str]:
    if not LEAST_WINDOW_S <= trial.window_s <= MOST_S or not 0 <= trial.warmup_s <= MOST_S:
        yield "a window or a warm-up of a length that no trial has"
    counts = (trial.round, trial.requests, trial.ok, trial.errors, trial.wrong_answers, trial.refused or 0)
    if any(not 0 <= count < MOST_COUNT for count in counts):
        yield "a count below 0, or beyond counting"
    load = trial.load
    if isinstance(load, ClosedLoad) and load.clients < 1:
        yield "a load without clients"
    if isinstance(load, OpenLoad) and load.rate_per_s < 0:
        yield "a rate below 0"
    if trial.samples is not None:
        path = PurePosixPath(trial.samples)
        if path.is_absolute() or ".." in path.parts or not trial.samples.isprintable():
            yield "samples that are not in the run's folder"


def _of_long(long: LongTrial) -> Iterator[str]:
    if not 0 < long.length_s <= MOST_S:
        yield "a long trial of a length that no trial has"
