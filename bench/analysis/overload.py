"""Overload is judged by load: where any trial is overloaded, what that brings voids no trial of the load."""

from dataclasses import replace

from bench.analysis.cases import Case, case_in
from bench.model import DoubtCode, Run, Trial

# what a load that is too great for a service makes of its windows
BROUGHT: frozenset[DoubtCode] = frozenset(
    ("not_steady", "window_cut", "timed_out", "nothing_answered", "too_few_answers")
)


def judged_by_load(run: Run) -> Run:
    """The run with all trials of a strategy and case judged alike; the same run if nothing changes.

    Near capacity a queue wanders: one round is found overloaded, the next unsteady, and in a third requests
    wait longer than the driver does. They are all of one load, and the mildest alone would stand for it. So
    where any trial is overloaded, doubts of the service's own that an overload brings void none of them.
    What anything else spoiled stays void, and so does what the service did beside: it exits, errs, refuses
    connections.
    """
    over = {_key(run, trial) for trial in run.trials if trial.overloaded}
    judged = tuple(_alike(trial) if _key(run, trial) in over else trial for trial in run.trials)
    return run if judged == run.trials else replace(run, trials=judged)


def _key(run: Run, trial: Trial) -> tuple[str, Case]:
    return trial.strategy, case_in(run, trial)


def _alike(trial: Trial) -> Trial:
    """The trial of an overloaded load."""
    if trial.valid or not any(one.voids for one in trial.doubts):
        return trial
    doubts = tuple(
        replace(one, voids=one.voids and not (one.code in BROUGHT and one.cause == "service"))
        for one in trial.doubts
    )
    return replace(trial, doubts=doubts, valid=trial.error is None and not any(one.voids for one in doubts))
