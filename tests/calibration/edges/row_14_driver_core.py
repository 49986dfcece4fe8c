"""Row 14: the driver's core is judged as a core: no process on it need be busy by itself."""

from collections.abc import Sequence
from pathlib import Path

from bench.cores import choose_cores
from bench.measure.judge import BUSY_DRIVER
from bench.model import Trial
from tests.calibration.claims import Figure
from tests.calibration.edges.known_run import run_known
from tests.calibration.edges.known_service import Script
from tests.calibration.edges.registry import Edge
from tests.running.burner import burner

OPTIONS = ("--concurrency", "4", "--window-s", "3", "--warmup-s", "1", "--workers", "2")


def measure(folder: Path) -> Sequence[Figure]:
    """By the core."""
    trial = driven(folder)
    busy = trial.driver.core_busy if trial.driver else None
    doubted = any(one.code == "driver_busy" for one in trial.doubts)
    return [figure(busy, doubted)]


def broken(folder: Path) -> Sequence[Figure]:
    """By the busiest process, as it was."""
    trial = driven(folder)
    busy = trial.driver.busiest_core if trial.driver else None
    return [figure(busy, (busy or 0.0) > BUSY_DRIVER)]


def driven(folder: Path) -> Trial:
    """A trial with two workers and a third process on their one core."""
    with burner(choose_cores(None, None).driver[0]):
        return run_known(folder, {"known": Script()}, *OPTIONS).trial()


def figure(busy: float | None, doubted: bool) -> Figure:
    claim = "three processes on the driver's core: its busy share"
    bound = f"above {BUSY_DRIVER:.0%}, and doubted"
    return Figure(claim, 1.0, busy or 0.0, bound, doubted and (busy or 0.0) > BUSY_DRIVER, 1)


EDGES = [
    Edge(
        14,
        "the driver's core is judged as a core",
        measure,
        broken,
        (
            "tests/bench/test_trial.py",
            "test_the_drivers_core_is_judged_as_a_core_if_no_process_on_it_is_busy_by_itself",
        ),
    )
]
