"""Row 3: all trials of an overloaded load are judged alike, and the row says so with its count and spread."""

from collections.abc import Sequence
from pathlib import Path

from bench.analysis.comparisons import compared
from bench.analysis.summary import summarise
from tests.calibration.claims import Figure
from tests.calibration.edges.known_run import KnownRun, run_known
from tests.calibration.edges.known_service import Script
from tests.calibration.edges.registry import Edge

# of a capacity of 100/s: a queue that only grows, and one that is full and refuses
SERVICES = {
    "growing": Script(phases=[[0.0, 10.0]], servers="one"),
    "refusing": Script(phases=[[0.0, 10.0]], servers="one", most_queued=20),
}
OPTIONS = ("--rate", "140", "--window-s", "4", "--warmup-s", "1", "--rounds", "2")


def overloaded(folder: Path) -> KnownRun:
    """Both services, each in two rounds."""
    return run_known(folder, SERVICES, *OPTIONS)


def measure(folder: Path) -> Sequence[Figure]:
    """Every trial counts as overloaded and none is void by it; a row has no interval and no verdict."""
    run = overloaded(folder).run
    summary, figures = summarise(run), []
    for row in summary.rows.values():
        made = row.made_trials
        figures.append(
            Figure(
                f"{row.strategy}: overloaded trials", made, row.overloaded_trials, "all", row.overloaded, made
            )
        )
        alike = not any(
            one.voids for t in run.trials if t.strategy == row.strategy for one in t.doubts
            if one.code in ("overloaded", "not_steady", "window_cut")
        )  # fmt: skip
        bare = all(one is None or one.low is None for one in row.estimates.values())
        holds = alike and bare and not any(row.strategy == one.strategy for one in compared(summary))
        figures.append(
            Figure(f"{row.strategy}: judged alike", 1, holds, "no void, interval, verdict", holds, made)
        )
    return figures


def broken(folder: Path) -> Sequence[Figure]:
    """As it was: trials void by a queue that grows are left out, those that refuse count."""
    run = overloaded(folder).run
    kept = [
        one.strategy
        for one in run.trials
        if not any(doubt.code == "overloaded" and "grow" in doubt.text for doubt in one.doubts)
    ]
    figures = []
    for name in SERVICES:
        left = kept.count(name)
        figures.append(Figure(f"{name}: trials that count", 2, left, "all or none", left == 2, 2))
    return figures


EDGES = [Edge(3, "overload is one rule for all trials of a load", measure, broken)]
