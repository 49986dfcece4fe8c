"""Row 24: what ended a service that was killed is the first of its reasons."""

from collections.abc import Sequence
from pathlib import Path

from bench.analysis.run_analysis import analyse
from bench.model import Doubt
from bench.report.sections.validity import warnings
from tests.calibration.claims import Figure
from tests.calibration.edges.known_run import KnownRun, run_known
from tests.calibration.edges.known_service import Script
from tests.calibration.edges.registry import Edge

# a kill in the middle of the window
KILLED = Script(exit_at_s=2.5)
OPTIONS = ("--warmup-s", "1", "--warmup-most-s", "1", "--window-s", "3")


def first_reason(run: KnownRun) -> Sequence[Doubt]:
    """The reasons of the only trial as people read them."""
    return run.trial().reasons


def killed(folder: Path) -> Sequence[Figure]:
    """What ended the service stands first, in run.json's values, on the terminal and in the report."""
    run = run_known(folder, {"known": KILLED}, "--concurrency", "2", *OPTIONS)
    first = first_reason(run)[0]
    said = next(
        line for line in str(warnings(analyse(run.run, run.folder))).split("round 1") if "known" in line
    )
    terminal = run.out.find("exited with -9"), run.out.find("--window-s")
    return [
        place("killed: the first reason is what ended it", float(first.code == "exited")),
        place("killed: the report's first reason too", float(0 <= said.find("exited with -9") < _at(said))),
        place("killed: the terminal's too", float(terminal[0] >= 0 and not 0 <= terminal[1] < terminal[0])),
    ]


def killed_by_order(folder: Path) -> Sequence[Figure]:
    """In the order in which reasons were found, as it was: the window's own come first."""
    run = run_known(folder, {"known": KILLED}, "--concurrency", "2", *OPTIONS)
    found = run.trial().doubts
    return [place("killed: the first reason is what ended it", float(found[0].code == "exited"))]


def place(claim: str, measured: float, truth: float = 1.0) -> Figure:
    """A claim that holds or not."""
    return Figure(claim, truth, measured, "exactly", measured == truth, 1)


def _at(said: str) -> int:
    """Where the first remedy about windows stands, or the end."""
    found = said.find("--window-s")
    return len(said) if found < 0 else found


EDGES = [
    Edge(
        24,
        "what ended a service is its first reason",
        killed,
        killed_by_order,
        (
            "tests/statistics/test_edges_of_windows.py",
            "test_what_ended_a_service_stands_before_what_followed_from_it",
        ),
    ),
]
