"""Row 2: a share of capacity is one of what the rounds' own closed loop answers, and what it was is said."""

from collections.abc import Sequence
from math import prod
from pathlib import Path

from bench.analysis.comparisons import compared, not_compared
from bench.analysis.summary import summarise
from bench.model import ClosedLoad, OpenLoad
from bench.run_file import read_run
from tests.calibration.claims import Figure, close
from tests.calibration.edges.known_run import run_known
from tests.calibration.edges.known_service import Script
from tests.calibration.edges.registry import Edge

MS, SHARE = 20.0, 0.6
OPTIONS = ("--load", "60%", "--concurrency", "4", "--rounds", "2", "--warmup-s", "1", "--window-s", "3")
COMMITTED = Path(__file__).parents[3] / "results" / "20261124T210427Z-db782fb"
# what the committed run's "90%" was of each strategy's capacity in its six rounds
REACHED = {"torch": 0.855, "onnx": 0.750, "batched": 0.955}


def measure(folder: Path) -> Sequence[Figure]:
    """A service that takes 20 ms per request, at a share of its capacity; and a committed run."""
    found = run_known(folder, {"known": Script(phases=[[0.0, MS]], servers="one")}, *OPTIONS)
    figures = []
    for one in found.run.trials:
        if not isinstance(one.load, OpenLoad):
            continue
        closed = [
            trial.throughput_rps
            for trial in found.run.trials
            if trial.round <= one.round and trial.valid and isinstance(trial.load, ClosedLoad)
        ]
        known = [rps for rps in closed if rps]
        truth = SHARE * prod(known) ** (1 / len(known)) if known else 0.0
        claim = f"requests/s offered in round {one.round}"
        figures.append(close(claim, truth, one.load.rate_per_s, 0.001, len(known)))
    closed = [one for one in found.run.trials if isinstance(one.load, ClosedLoad) and one.valid]
    answered = [found.answered_rps(one) for one in closed]
    for row in summarise(found.run).rows.values():
        if row.utilisation is not None and row.offered_rps:
            truth = row.offered_rps / prod(answered) ** (1 / len(answered))
            figures.append(close("the share reached", truth, row.utilisation.centre, 0.05, row.utilisation.n))
    summary = summarise(read_run(COMMITTED))
    for (name, case), row in summary.rows.items():
        if case.size == 0.9 and row.utilisation is not None:
            figures.append(close(f"{name} at 90%", REACHED[name], row.utilisation.centre, 0.001, 6))
    shares = [one for one in compared(summary) if one.case.kind == "share"]
    figures.append(Figure("comparisons of unequal shares", 0, len(shares), "none", not shares, 9))
    told = len(not_compared(summary))
    figures.append(Figure("pairs that are said not to be compared", 9, told, "all", told == 9, 9))
    return figures


def broken(folder: Path) -> Sequence[Figure]:
    """The share that was asked for, of a capacity from before the rounds, taken for what was reached."""
    del folder
    return [close(f"{name} at 90%", truth, 0.9, 0.001, 6) for name, truth in REACHED.items()]


EDGES = [
    Edge(
        2,
        "a share of capacity is of the rounds' capacity",
        measure,
        broken,
        (
            "tests/bench/test_shares.py",
            "test_the_rate_is_a_share_of_the_geometric_mean_of_the_closed_loops_until_now",
        ),
    )
]
