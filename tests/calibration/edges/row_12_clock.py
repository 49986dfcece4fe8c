"""Row 12: an open loop sends when a request is due, and not on a grid of milliseconds.

Speed is judged as a ratio to the way in which the driver slept before, in turns on the same machine: by the
quarter of the requests that were least late, as what else runs here delays others of them.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tests.calibration.claims import Figure
from tests.calibration.edges.known_run import REPOSITORY, KnownRun, run_known
from tests.calibration.edges.known_service import Script
from tests.calibration.edges.registry import Edge

RATE = 200
OPTIONS = ("--rate", str(RATE), "--window-s", "4", "--warmup-s", "1", "--max-other-cpu", "100%")
BOUND = 0.4


def measure(folder: Path) -> Sequence[Figure]:
    """Alone and in a fleet's workers, with answers that come in while others are due."""
    before_ms = lag_before_ms()
    figures = []
    for workers in ("1", "2"):
        script = Script(phases=[[0.0, 1000 / RATE]])
        made = run_known(folder / workers, {"known": script}, *OPTIONS, "--workers", workers)
        lag_ms = early_quarter_ms(made)
        claim = f"lag of the least late quarter over that of timers of 1 ms, {workers} workers"
        figures.append(figure(claim, lag_ms / before_ms, len(made.samples(made.trial()))))
    return figures


def broken(folder: Path) -> Sequence[Figure]:
    """By sleeping, as before, against sleeping."""
    del folder
    return [figure("lag of sleeping over that of sleeping", lag_before_ms() / lag_before_ms(), 0)]


def figure(claim: str, ratio: float, n: int) -> Figure:
    return Figure(claim, 0.0, ratio, f"at most {BOUND}", ratio <= BOUND, n)


def early_quarter_ms(made: KnownRun) -> float:
    samples = made.samples(made.trial())
    return float(np.quantile(samples["sent_ns"] - samples["due_ns"], 0.25)) / 1e6


def lag_before_ms() -> float:
    command = [sys.executable, "-m", "tests.running.sending", str(RATE), "1"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    rows = np.array(json.loads(done.stdout)["sleeping"], dtype=np.int64)
    return float(np.quantile(rows[:, 1] - rows[:, 0], 0.25)) / 1e6


EDGES = [
    Edge(
        12,
        "an open loop sends when a request is due",
        measure,
        broken,
        (
            "tests/bench/test_open_loop.py",
            "test_it_sends_much_nearer_to_the_schedule_than_timers_of_a_millisecond",
        ),
    )
]
