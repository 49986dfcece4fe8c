"""Row 5: a service that is slow at first is measured once it is warm, or is said not to be warm."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tests.calibration.claims import Figure
from tests.calibration.edges.known_run import KnownRun, run_known
from tests.calibration.edges.known_service import Script
from tests.calibration.edges.registry import Edge

WARM_MS, COLD_MS, WARM_AFTER_S, CLIENTS, WINDOW_S, LEAST_S = 12.0, 60.0, 10.0, 4, 3.0, 1.5
STEPS = 48
RAMP = [
    [WARM_AFTER_S * step / STEPS, COLD_MS - (COLD_MS - WARM_MS) * step / STEPS] for step in range(STEPS + 1)
]
CUT_OFF = {
    "open": (RAMP, ("--rate", "60")),
    "slower": ([[at_s, COLD_MS + WARM_MS - ms] for at_s, ms in RAMP], ("--concurrency", str(CLIENTS))),
}
OPTIONS = ("--concurrency", str(CLIENTS), "--warmup-s", str(LEAST_S), "--window-s", str(WINDOW_S))
SETTLED_RPS = CLIENTS * 1e3 / WARM_MS
LOWEST, HIGHEST = 0.80, 1.01
CLAIM = "a service slow for its first 10 s, requests/s"


def measure(folder: Path) -> Sequence[Figure]:
    """With a warm-up that goes on as long as a trend is seen, and one that is cut off."""
    patient = ramped(folder / "patient", "60")
    rate = patient.trial().throughput_rps or 0.0
    cut = ramped(folder / "cut", "5").trial()
    said = any(one.code == "warmup_open" and one.voids for one in cut.doubts)
    return [
        settled(rate, settled_rps(patient)),
        Figure(
            "a warm-up cut off at 5 s: said, and void", 1.0, float(said), "said", said and not cut.valid, 1
        ),
        *(cut_off(folder, case) for case in CUT_OFF),
    ]


def cut_off(folder: Path, case: str) -> Figure:
    """Whether a warm-up that is cut off is said where nothing is void by it."""
    phases, load = CUT_OFF[case]
    times = ("--warmup-s", str(LEAST_S), "--window-s", str(WINDOW_S), "--warmup-most-s", "5")
    trial = run_known(folder / case, {"known": Script(phases=phases)}, *load, *times).trial()
    found = [one for one in trial.doubts if one.code == "warmup_open" and not one.voids]
    word = "faster" if case == "open" else "slower"
    said = any(word in one.text for one in found)
    return Figure(f"{case}: a warm-up cut off at 5 s", 1.0, float(said), "said", said, 1)


def broken(folder: Path) -> Sequence[Figure]:
    """With the old rule: warm as soon as three spans of the least warm-up agree within a tenth."""
    run = ramped(folder / "old", "60")
    done_s = np.sort(run.samples(run.trial())["done_ns"].to_numpy() / 1e9)
    begin_s = old_begin_s(done_s)
    inside = (done_s >= begin_s) & (done_s < begin_s + WINDOW_S)
    return [settled(float(inside.sum()) / WINDOW_S, settled_rps(run))]


def old_begin_s(done_s: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> float:
    """When three spans, each a third of the least warm-up, hold equally many answers but for a tenth."""
    span_s = LEAST_S / 3
    for now_s in np.arange(LEAST_S, 60.0, 0.1):
        edges = now_s - span_s * np.arange(3, -1, -1)
        counts, _ = np.histogram(done_s, bins=edges)
        least, most = int(counts.min()), int(counts.max())
        if least > 0 and most - least <= max(0.1 * most, 3 * np.sqrt(least + most)):
            return float(now_s) + 0.5
    return 60.0


def ramped(folder: Path, most_s: str) -> KnownRun:
    """A run of the service that gets faster."""
    return run_known(folder, {"known": Script(phases=RAMP)}, *OPTIONS, "--warmup-most-s", most_s)


def settled_rps(run: KnownRun) -> float:
    """The rate of the service once it is warm, by its own log; by the script if nothing was asked then.

    A busy machine slows it: a request costs half a millisecond beside the service's own time, or more.
    """
    trial = run.trial()
    begin_s, end_s = max(trial.warmup_s, WARM_AFTER_S), trial.warmup_s + trial.window_s
    if end_s - begin_s < WINDOW_S / 4:
        return SETTLED_RPS
    return run.answered(trial, begin_s, end_s) / (end_s - begin_s)


def settled(rate: float, truth: float) -> Figure:
    bound = f"{LOWEST:.0%} to {HIGHEST:.0%} of the settled rate"
    return Figure(CLAIM, truth, rate, bound, LOWEST <= rate / truth <= HIGHEST, 1)


EDGES = [
    Edge(
        5,
        "a warm-up goes on as long as a trend is seen",
        measure,
        broken,
        ("tests/bench/test_warmup.py", "test_a_service_that_grows_faster_is_awaited"),
    )
]
