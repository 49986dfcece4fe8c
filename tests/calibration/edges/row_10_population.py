"""Row 10: numerator and denominator of a share are of the same requests."""

from collections.abc import Sequence
from pathlib import Path

from tests.calibration.claims import Figure
from tests.calibration.edges.known_run import KnownRun, run_known
from tests.calibration.edges.known_service import Script
from tests.calibration.edges.registry import Edge

EVERY, BOUND = 11, 0.01
OPTIONS = ("--window-s", "4", "--warmup-s", "2")
LOADS = {"open": ("--rate", "100"), "closed": ("--concurrency", "4")}


def faulty(folder: Path, load: str) -> KnownRun:
    """A service whose every eleventh answer is wrong."""
    script = Script(phases=[[0.0, 10.0]], wrong_every=EVERY)
    return run_known(folder, {"known": script}, *LOADS[load], *OPTIONS)


def figure(claim: str, share: float, n: int) -> Figure:
    """The share against one in eleven."""
    holds = abs(share - 1 / EVERY) < BOUND
    return Figure(claim, 1 / EVERY, share, f"within {BOUND:.0%} of all", holds, n)


def measure(folder: Path) -> Sequence[Figure]:
    """The share of wrong answers under both kinds of load."""
    trials = {load: faulty(folder / load, load).trial() for load in LOADS}
    return [
        figure(f"{load} load: share of wrong answers", one.wrong_answers / one.requests, one.requests)
        for load, one in trials.items()
    ]


def broken(folder: Path) -> Sequence[Figure]:
    """As it was: the wrong answers of the whole trial over the window's requests."""
    trial = faulty(folder, "open").trial()
    every = trial.wrong_answers + (trial.wrong_answers_outside or 0)
    return [figure("wrong answers of the whole trial", every / trial.requests, trial.requests)]


EDGES = [
    Edge(
        10,
        "a share is of one population",
        measure,
        broken,
        (
            "tests/statistics/test_edges_of_windows.py",
            "test_numerator_and_denominator_of_every_share_are_the_same_requests",
        ),
    )
]
