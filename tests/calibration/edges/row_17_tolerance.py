"""Row 17: how far off the answers are is told, and how far off they may be is an option."""

from collections.abc import Sequence
from pathlib import Path

from tests.calibration.claims import Figure, close
from tests.calibration.edges.known_run import KnownRun, run_known
from tests.calibration.edges.known_service import Script
from tests.calibration.edges.registry import Edge

OFF = 0.0199
WINDOWS = ("--warmup-s", "0.5", "--window-s", "1", "--concurrency", "2", "--max-other-cpu", "100%")


def _wrong(found: KnownRun) -> Figure:
    wrong = sum(trial.wrong_answers for trial in found.run.trials)
    return Figure("wrong answers within the tolerance", 0, wrong, "none", wrong == 0, 1)


def measure(folder: Path) -> Sequence[Figure]:
    """A service that is 0.0199 off, with the usual tolerance and with a tighter one."""
    usual = run_known(folder / "usual", {"known": Script(off_by=OFF)}, *WINDOWS)
    parity = usual.run.strategies["known"].parity
    off = (parity.largest_difference if parity else None) or 0.0
    shown = all(
        "0.0199" in text and "within 0.02 of the reference" in text
        for text in (usual.out, (usual.folder / "report.md").read_text())
    )
    try:
        tight = run_known(folder / "tight", {"known": Script(off_by=OFF)}, *WINDOWS, "--tolerance", "0.019")
        timed = len(tight.run.trials)
    except AssertionError:
        timed = 0
    return [
        _wrong(usual),
        close("how far off the service is", OFF, off, 0.001, parity.answers if parity else 0),
        Figure("places that state it with the tolerance", 1, float(shown), "all", shown, 2),
        Figure("trials of it with a tolerance of 0.019", 0, timed, "none", timed == 0, 1),
    ]


def broken(folder: Path) -> Sequence[Figure]:
    """What a count of wrong answers says of the same service: that it is not off at all."""
    found = run_known(folder, {"known": Script(off_by=OFF)}, *WINDOWS)
    return [close("how far off the service is", OFF, 0.0 if _wrong(found).holds else OFF, 0.001, 1)]


EDGES = [
    Edge(
        17,
        "how far off an answer may be, and is",
        measure,
        broken,
        (
            "tests/bench/test_tolerance.py",
            "test_a_run_says_how_far_off_a_service_is_and_refuses_it_if_that_is_too_far",
        ),
    )
]
