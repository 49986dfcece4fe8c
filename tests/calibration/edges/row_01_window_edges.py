"""Row 1: a stall at an edge of an open load's window is in the figures of the requests that were due."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tests.calibration.claims import Figure
from tests.calibration.edges.known_run import KnownRun, run_known
from tests.calibration.edges.known_service import Script
from tests.calibration.edges.registry import Edge

WINDOW_S, WARMUP_S, STALL_S = 6.0, 2.0, 2.0
# of a stall across the window's end, and of one across its begin
AT_S = {"end": WARMUP_S + WINDOW_S - 1.2, "begin": WARMUP_S - 0.8}
OPTIONS = ("--rate", "100", "--window-s", f"{WINDOW_S:g}", "--warmup-s", f"{WARMUP_S:g}")
OPTIONS = (*OPTIONS, "--warmup-most-s", f"{WARMUP_S:g}")
SHARE = 0.03


def stalled(folder: Path, edge: str) -> KnownRun:
    """A service of 5 ms that pauses once, across an edge of the window."""
    script = Script(phases=[[0.0, 5.0]], stalls=[[AT_S[edge], STALL_S, 0.0]])
    return run_known(folder, {"known": script}, *OPTIONS)


def truth_ms(run: KnownRun) -> float:
    """The p99 of what came due in the window, from every sample of the trial."""
    trial = run.trial()
    samples = run.samples(trial)
    due, done = (samples[name].to_numpy() / 1e6 for name in ("due_ns", "done_ns"))
    return run.truth_p(0.99, trial, np.asarray(done - due))


def measure(folder: Path) -> Sequence[Figure]:
    """The p99 and, as requests wait across the edge, that the window is void."""
    figures = []
    for edge in AT_S:
        run = stalled(folder / edge, edge)
        trial, truth = run.trial(), truth_ms(run)
        found, n = trial.latency_ms.p99 or 0.0, trial.requests
        long = truth > 500 * STALL_S / 2
        near = abs(found - truth) <= SHARE * truth
        figures.append(
            Figure(
                f"p99, a stall at the window's {edge}", truth, found, f"within {SHARE:.0%}", near and long, n
            )
        )
        cut = any(one.code == "window_cut" and one.voids for one in trial.doubts)
        figures.append(Figure(f"void, a stall at the window's {edge}", 1, cut, "void", cut, n))
    return figures


def broken(folder: Path) -> Sequence[Figure]:
    """As it was: the requests that ended in the window."""
    run = stalled(folder, "end")
    trial, samples = run.trial(), run.samples(run.trial())
    done_s = samples["done_ns"].to_numpy() / 1e9
    ended = (done_s >= trial.warmup_s) & (done_s < trial.warmup_s + trial.window_s)
    response_ms = (samples["done_ns"] - samples["due_ns"]).to_numpy()[ended] / 1e6
    found, truth = float(np.quantile(response_ms, 0.99)), truth_ms(run)
    holds = abs(found - truth) <= SHARE * truth
    return [Figure("p99 of what ended", truth, found, f"within {SHARE:.0%}", holds, int(ended.sum()))]


EDGES = [
    Edge(
        1,
        "a stall at an edge of the window is in the figures",
        measure,
        broken,
        (
            "tests/statistics/test_edges_of_windows.py",
            "test_a_stall_anywhere_is_in_the_figures_of_the_requests_that_were_due",
        ),
    )
]
