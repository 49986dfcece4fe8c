"""Row 13: a side of a gate does not start, and the other strategies are judged all the same."""

from collections.abc import Sequence
from pathlib import Path

from bench.model import Run
from tests.calibration.claims import Figure
from tests.calibration.edges.known_gate import gate_known
from tests.calibration.edges.known_run import run_known
from tests.calibration.edges.known_service import Script
from tests.calibration.edges.registry import Edge

FILES = ("gate.json", "gate.md", "gate.html", "gate.junit.xml")
ROUNDS = 3


def _rounds(run: Run) -> Figure:
    made = {trial.round for trial in run.trials if trial.strategy == "well" and trial.error is None}
    made &= set(range(1, ROUNDS + 1))
    claim = "rounds of the strategy that starts, beside one that does not"
    return Figure(claim, ROUNDS, len(made), "all are made", len(made) == ROUNDS, ROUNDS)


def measure(folder: Path) -> Sequence[Figure]:
    """A gate of two strategies, of which head's one does not start."""
    base = {"well": Script(), "ill": Script()}
    found = gate_known(folder, base, {**base, "ill": Script(start_fails=True)}, long_s=0)
    written = sum((found.folder / name).is_file() for name in FILES)
    named = [one["strategy"] for one in found.told["not_judged"]]
    invalid = found.finding("primary.ill.throughput")["verdict"] == "invalid"
    return [
        _rounds(found.run),
        Figure("files that the gate writes", len(FILES), written, "all", written == len(FILES), 1),
        Figure("strategies that could not be judged", 1, len(named), "it is named", named == ["ill"], 1),
        Figure("exit code", 4, found.code, "4, or 3 for another", found.code in (3, 4) and invalid, 1),
    ]


def broken(folder: Path) -> Sequence[Figure]:
    """A run does not go on without a strategy, as the gate did not."""
    options = ("--warmup-s", "1", "--window-s", "1", "--concurrency", "2", "--rounds", str(ROUNDS))
    services = {"ill": Script(start_fails=True), "well": Script()}
    try:
        return [_rounds(run_known(folder, services, *options).run)]
    except AssertionError:
        # not even a folder
        return [Figure("rounds", ROUNDS, 0, "all are made", False, 0)]


EDGES = [
    Edge(
        13,
        "one side of a gate does not start",
        measure,
        broken,
        (
            "tests/bench/test_gate_failures.py",
            "test_a_side_that_does_not_start_leaves_the_other_strategies_to_be_judged",
        ),
    )
]
