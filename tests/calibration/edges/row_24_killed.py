"""Rows 18, 23 and 24: what a report says of refusals, of reasons, and of a service that was killed."""

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
# in a service that takes two at a time, each for 20 ms, half of these requests find no place
CROWDED = {"refused": 429, "failed": 503}
OPTIONS = ("--warmup-s", "1", "--warmup-most-s", "1", "--window-s", "3")
RATE = ("--rate", "200", *OPTIONS)


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


def crowded(folder: Path) -> Sequence[Figure]:
    """429 is a refusal, which voids nothing; 503 is a failure, which voids; the report says just this."""
    services = {
        name: Script(phases=[[0.0, 20.0]], most_queued=2, full_status=status)
        for name, status in CROWDED.items()
    }
    run = run_known(folder, services, *RATE)
    refused, failed = run.trial("refused"), run.trial("failed")
    codes = {one.code for one in failed.doubts if one.voids}
    report = (run.folder / "report.md").read_text()
    return [
        place("429 under an open load: counted as refused", float((refused.refused or 0) > 0)),
        place("429 under an open load: counted as failed", float(refused.errors), 0.0),
        place("503 under an open load: counted as refused", float(failed.refused or 0), 0.0),
        place("503 under an open load: voids as failed", float("failed_requests" in codes)),
        place("reports call 503 a refusal", float("429 or 503" in report + run.out), 0.0),
        place("reports say what a 503 is", float("a 503 is a failure" in report)),
    ]


def crowded_in_old_words(folder: Path) -> Sequence[Figure]:
    """The same if a 503 counted as the old words said."""
    services = {"failed": Script(phases=[[0.0, 20.0]], most_queued=2, full_status=503)}
    failed = run_known(folder, services, *RATE).trial()
    return [place("503 under an open load: counted as refused", float(failed.errors), 0.0)]


def place(claim: str, measured: float, truth: float = 1.0) -> Figure:
    """A claim that holds or not."""
    return Figure(claim, truth, measured, "exactly", measured == truth, 1)


def _at(said: str) -> int:
    """Where the first remedy about windows stands, or the end."""
    found = said.find("--window-s")
    return len(said) if found < 0 else found


EDGES = [
    Edge(18, "a refusal is 429, in counts and words", crowded, crowded_in_old_words),
    Edge(24, "what ended a service is its first reason", killed, killed_by_order),
]
