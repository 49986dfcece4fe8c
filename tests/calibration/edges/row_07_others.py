"""Row 7: another process on the service's core, or on the driver's, voids a trial."""

from collections.abc import Sequence
from pathlib import Path

from bench.cores import choose_cores
from tests.calibration.claims import Figure
from tests.calibration.edges.known_run import run_known
from tests.calibration.edges.known_service import Script
from tests.calibration.edges.registry import Edge
from tests.running.burner import burner

# a service that would use all of its core: the burner takes half of it
SERVICE = Script(phases=[[0.0, 0.0]], servers="one", cpu_ms=3.0)
OPTIONS = ("--concurrency", "4", "--window-s", "3", "--warmup-s", "1")
# of the service's core half is taken; the driver leaves most of its core
LEAST = {"service": 0.3, "driver": 0.4}


def measure(folder: Path) -> Sequence[Figure]:
    """Under the usual bound."""
    return [taken(folder / name, name, "5%") for name in LEAST]


def broken(folder: Path) -> Sequence[Figure]:
    """As it was: whatever others use is allowed."""
    return [taken(folder, "service", "100%")]


def taken(folder: Path, name: str, bound: str) -> Figure:
    """What was recorded of a burner on the core of service or driver: the trial must be void by it."""
    cores = choose_cores(None, None)
    with burner(cores.service[0] if name == "service" else cores.driver[0]):
        made = run_known(folder, {"known": SERVICE}, *OPTIONS, "--max-other-cpu", bound)
    trial = made.trial()
    assert trial.resources is not None
    resources = trial.resources
    share = resources.other_on_service if name == "service" else resources.other_on_driver
    void = any(one.code == "other_cpu" and one.voids and name in one.text for one in trial.doubts)
    holds = share is not None and share >= LEAST[name] and void and not trial.valid
    claim = f"a burner on the {name}'s core voids the trial"
    return Figure(claim, 0.5, share or 0.0, f"void, and at least {LEAST[name]}", holds, trial.requests)


EDGES = [
    Edge(
        7,
        "what else runs on the cores is recorded, and voids",
        measure,
        broken,
        ("tests/bench/test_trial.py", "test_each_fault_is_named"),
    )
]
