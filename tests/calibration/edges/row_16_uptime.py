"""Row 16: what sets in after the windows is seen by a long trial, of a gate and of a run."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bench.model import Run
from tests.calibration.claims import Figure
from tests.calibration.edges.known_gate import gate_known
from tests.calibration.edges.known_run import run_known
from tests.calibration.edges.known_service import Script
from tests.calibration.edges.registry import Edge

# after 4 s of uptime the service works for a tenth of a second in every four
STALLS = Script(phases=[[0.0, 20.0]], stalls=[[4.0, 3.9, 4.0]])
STEADY = Script(phases=[[0.0, 20.0]])
TRUTH, MOST = 0.1 / 4.0, 0.2
# a request takes 40 ms at first, and 20 ms from its eighth second on
SLOW_AT_FIRST = Script(phases=[[0.0, 40.0], [8.0, 20.0]])
WINDOWS = ("--warmup-s", "1", "--warmup-most-s", "1", "--window-s", "2", "--concurrency", "4")


def _share(claim: str, measured: float) -> Figure:
    return Figure(claim, TRUTH, measured, f"at most {MOST:g}", measured <= MOST, 1)


def _windows(run: Run) -> float:
    """Head's rate over base's in the windows of the rounds."""
    rates = {
        name: float(
            np.mean([t.ok / t.window_s for t in run.trials if t.strategy == name and t.error is None])
        )
        for name in ("known", "known@base")
    }
    return rates["known"] / rates["known@base"]


def gate_measure(folder: Path) -> Sequence[Figure]:
    """A gate, by the long trials that it makes unless it is told otherwise."""
    found = gate_known(folder, {"known": STEADY}, {"known": STALLS})
    finding = found.finding("long.known.throughput")
    seen = found.told["uptimes"]["long_s"]
    return [
        _share("head's rate over base's, after the windows", finding["head"] / finding["base"]),
        Figure("exit code", 3, found.code, "no pass", found.code in (3, 4), 1),
        Figure("the uptime that was looked at, s", 20, seen, "it is told", seen == 20, 1),
    ]


def gate_broken(folder: Path) -> Sequence[Figure]:
    """The same gate, by the windows of its rounds."""
    found = gate_known(folder, {"known": STEADY}, {"known": STALLS}, long_s=0)
    return [_share("head's rate over base's, in the windows", _windows(found.run))]


def run_measure(folder: Path) -> Sequence[Figure]:
    """`bench run --long` of a service that is slow at first: the doubt that the windows do not stand."""
    found = run_known(folder, {"known": SLOW_AT_FIRST}, *WINDOWS, "--long", "24", "--max-other-cpu", "100%")
    (long,) = found.run.longs
    change = next((one for one in long.changes if one.metric == "throughput"), None)
    ratio = change.beyond / change.within if change else 1.0
    doubts = {one.code for one in found.run.doubts}
    told = "changes_with_uptime" in doubts and "not stand for what comes later" in found.out + found.err
    # twice as much by the script, but what else runs on the machine slows either
    truth = 1.0
    if change is not None:
        beyond = found.answered(long.trial, change.begin_s, change.end_s) / (change.end_s - change.begin_s)
        window_s = long.window_end_s - long.window_begin_s
        truth = beyond / (found.answered(long.trial, long.window_begin_s, long.window_end_s) / window_s)
    holds = truth >= 1.2 and 0.75 <= ratio / truth <= 1.15
    claim = "the settled rate over that of the windows"
    return [
        Figure(claim, truth, ratio, "75% to 115% of the truth, which is above 1.2", holds, 1),
        Figure("doubts that say so", 1, float(told), "one at least", told, 1),
    ]


def run_broken(folder: Path) -> Sequence[Figure]:
    """The same run without a long trial: by its windows the service is what it is at first."""
    found = run_known(folder, {"known": SLOW_AT_FIRST}, *WINDOWS, "--max-other-cpu", "100%")
    told = any(one.code == "changes_with_uptime" for one in found.run.doubts)
    return [Figure("doubts that say so", 1, float(told), "one at least", told, 1)]


EDGES = [
    Edge(
        16,
        "a gate's service that stalls once the windows are over",
        gate_measure,
        gate_broken,
        ("tests/gate/test_long.py", "test_what_sets_in_after_the_windows_is_a_regression_once_confirmed"),
    ),
    Edge(
        16,
        "a run's service that is slow for longer than its windows",
        run_measure,
        run_broken,
        ("tests/bench/test_long.py", "test_a_service_that_is_slow_until_long_after_its_windows_is_found"),
    ),
]
