"""Row 1 for clients that wait: a stall at the end of a closed load's window is in the window's figures."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bench.analysis.responses import answer_times_ms, read_responses
from tests.calibration.claims import Figure
from tests.calibration.edges.known_run import KnownRun, run_known
from tests.calibration.edges.known_service import Script
from tests.calibration.edges.registry import Edge

# one of a hundred requests waits for the end of the stall: a client each, of about 560 requests
CLIENTS, SERVICE_MS, STALL_S = 8, 100.0, 2.0
WINDOW_S, WARMUP_S, AHEAD_S = 8.0, 2.0, 0.8
OPTIONS = ("--concurrency", str(CLIENTS), "--window-s", f"{WINDOW_S:g}", "--warmup-s", f"{WARMUP_S:g}")
OPTIONS = (*OPTIONS, "--warmup-most-s", f"{WARMUP_S:g}")
SHARE = 0.05


def stalled(folder: Path) -> KnownRun:
    """A service of 100 ms that pauses once, across the end of the window."""
    at_s = WARMUP_S + WINDOW_S - AHEAD_S
    return run_known(
        folder, {"known": Script(phases=[[0.0, SERVICE_MS]], stalls=[[at_s, STALL_S, 0.0]])}, *OPTIONS
    )


def truth_ms(run: KnownRun) -> float:
    """The p99 of the requests that arrived in the window, by the service's own log."""
    # the other copies answered only what was checked before
    trial, log = run.trial(), max(run.logs["known"], key=lambda one: len(one["requests"]))
    arrived, _, ended, _ = np.asarray(log["requests"])[1:].T
    inside = (arrived >= trial.warmup_s) & (arrived < trial.warmup_s + trial.window_s)
    return p99(1e3 * (ended - arrived)[inside])


def p99(times_ms: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> float:
    ordered = np.sort(times_ms)
    return float(ordered[int(np.ceil(0.99 * len(ordered))) - 1])


def figure(claim: str, truth: float, found: float, n: int) -> Figure:
    """A p99 against the service's, which holds the stall."""
    holds = truth > 500 * STALL_S and abs(found - truth) <= SHARE * truth
    return Figure(claim, truth, found, f"within {SHARE:.0%}", holds, n)


def measure(folder: Path) -> Sequence[Figure]:
    """The p99 in run.json and that of the report's samples; nothing blames the driver for the stall."""
    run = stalled(folder)
    trial, truth = run.trial(), truth_ms(run)
    assert trial.samples is not None
    reported = p99(answer_times_ms(read_responses(run.folder / trial.samples), trial))
    blamed = [one for one in trial.doubts if one.voids and one.cause == "driver"]
    whole = trial.requests == trial.ok + trial.errors + trial.wrong_answers
    return [
        figure("closed loop, p99 of run.json", truth, trial.latency_ms.p99 or 0.0, trial.requests),
        figure("closed loop, p99 of the samples", truth, reported, trial.requests),
        Figure("the driver is blamed for the stall", 0, len(blamed), "not", not blamed, trial.requests),
        Figure("all requests are counted once", 1, whole, "all", whole, trial.requests),
    ]


def broken(folder: Path) -> Sequence[Figure]:
    """As it was: the right answers that ended in the window."""
    run = stalled(folder)
    trial, samples = run.trial(), run.samples(run.trial())
    done_s = samples["done_ns"].to_numpy() / 1e9
    ended = (done_s >= trial.warmup_s) & (done_s < trial.warmup_s + trial.window_s)
    found = p99((samples["done_ns"] - samples["due_ns"]).to_numpy()[ended] / 1e6)
    return [figure("closed loop, p99 of what ended", truth_ms(run), found, int(ended.sum()))]


EDGES = [
    Edge(
        1,
        "a stall at the end of a closed window is in the figures",
        measure,
        broken,
        (
            "tests/statistics/test_closed_windows.py",
            "test_a_stall_across_the_end_is_in_the_figures_and_no_fault_of_the_driver",
        ),
    )
]
