"""Row 6: an open window whose service changes its response time within it is void."""

from collections.abc import Sequence
from pathlib import Path

from bench.load.window import Bounds
from bench.statistics import steadiness
from tests.calibration.claims import Figure
from tests.calibration.edges.known_run import KnownRun, run_known
from tests.calibration.edges.known_service import Script
from tests.calibration.edges.registry import Edge

WINDOW_S, WARMUP_S = 6.0, 1.5
OPTIONS = ("--rate", "60", "--window-s", f"{WINDOW_S:g}", "--warmup-s", f"{WARMUP_S:g}")
OPTIONS = (*OPTIONS, "--warmup-most-s", f"{WARMUP_S:g}")
CHANGES = {"5 to 50 ms": (5.0, 50.0), "doubled": (20.0, 40.0)}


def changed(folder: Path, first_ms: float, last_ms: float) -> KnownRun:
    """A service that changes in the middle of the window."""
    script = Script(phases=[[0.0, first_ms], [WARMUP_S + WINDOW_S / 2, last_ms]])
    return run_known(folder, {"known": script}, *OPTIONS)


def measure(folder: Path) -> Sequence[Figure]:
    """Each change voids its trial, by the steadiness of response times."""
    figures = []
    for place, (name, (first, last)) in enumerate(CHANGES.items()):
        trial = changed(folder / str(place), first, last).trial()
        found = [one for one in trial.doubts if one.code == "not_steady" and one.voids]
        holds = any("response times" in one.text for one in found) and not trial.valid
        figures.append(Figure(name, 1, len(found), "void as not steady", holds, trial.requests))
    return figures


def broken(folder: Path) -> Sequence[Figure]:
    """As it was: only throughput is judged, which the schedule keeps even."""
    run = changed(folder, *CHANGES["5 to 50 ms"])
    trial, samples = run.trial(), run.samples(run.trial())
    done_s = samples["done_ns"].to_numpy() / 1e9
    found = steadiness(done_s, trial.warmup_s, trial.warmup_s + trial.window_s)
    told = found is not None and (found.uneven(Bounds().steady) or found.drifts(Bounds().steady))
    return [Figure("5 to 50 ms, by throughput", 1, told, "void as not steady", told, trial.requests)]


EDGES = [
    Edge(
        6,
        "a change of response times within the window voids it",
        measure,
        broken,
        ("tests/statistics/test_edges_of_windows.py", "test_a_change_within_the_window_is_always_found"),
    )
]
