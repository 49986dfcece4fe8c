"""Row 3: all trials of an overloaded load are judged alike, and the row says so with its count and spread."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bench.analysis.comparisons import compared
from bench.analysis.summary import summarise
from bench.load.launch import MOST_IN_FLIGHT
from bench.load.window import summarise as judge_window
from bench.model import ARRIVALS
from tests.calibration.claims import Figure
from tests.calibration.edges.known_run import KnownRun, run_known
from tests.calibration.edges.known_service import Script
from tests.calibration.edges.registry import Edge
from tests.statistics.processes import samples_of

# of a capacity of 100/s: a queue that only grows, and one that is full and refuses
SERVICES = {
    "growing": Script(phases=[[0.0, 10.0]], servers="one"),
    "refusing": Script(phases=[[0.0, 10.0]], servers="one", most_queued=20),
}
# a seed by whose schedules two rounds are overloaded, one is unsteady alone, and one is neither
NEAR_RATE, NEAR_SEED, NEAR_ROUNDS, NEAR_WARMUP_S, NEAR_WINDOW_S = 105.0, 44, 4, 1.5, 6.0
NEAR_OPTIONS = ("--rate", f"{NEAR_RATE:g}", "--seed", f"{NEAR_SEED}", "--rounds", f"{NEAR_ROUNDS}")
NEAR_OPTIONS += ("--window-s", f"{NEAR_WINDOW_S:g}", "--warmup-s", f"{NEAR_WARMUP_S:g}")
NEAR_OPTIONS += ("--warmup-most-s", f"{NEAR_WARMUP_S:g}")
OPTIONS = ("--rate", "140", "--window-s", "4", "--warmup-s", "1", "--rounds", "2")
# more requests wait than the driver has clients: a queue that grows by 300/s, and a stall at 250/s
FULL = {
    "queue": (
        Script(phases=[[0.0, 5.0]], servers="one"),
        ("--rate", "500", "--window-s", "4", "--warmup-s", "1"),
    ),
    "stall": (
        Script(stalls=[[4.0, 3.0, 0.0]]),
        ("--rate", "250", "--window-s", "9", "--warmup-s", "1", "--warmup-most-s", "1"),
    ),
}
LATE_MS, LATE_SHARE = 10, 0.01


def overloaded(folder: Path) -> KnownRun:
    """Both services, each in two rounds."""
    return run_known(folder, SERVICES, *OPTIONS)


def measure(folder: Path) -> Sequence[Figure]:
    """Every trial counts as overloaded and none is void by it; a row has no interval and no verdict."""
    run = overloaded(folder).run
    summary, figures = summarise(run), []
    for row in summary.rows.values():
        made = row.made_trials
        figures.append(
            Figure(
                f"{row.strategy}: overloaded trials", made, row.overloaded_trials, "all", row.overloaded, made
            )
        )
        alike = not any(
            one.voids for t in run.trials if t.strategy == row.strategy for one in t.doubts
            if one.code in ("overloaded", "not_steady", "window_cut")
        )  # fmt: skip
        bare = all(one is None or one.low is None for one in row.estimates.values())
        holds = alike and bare and not any(row.strategy == one.strategy for one in compared(summary))
        figures.append(
            Figure(f"{row.strategy}: judged alike", 1, holds, "no void, interval, verdict", holds, made)
        )
    return [*figures, *(figure for case in FULL for figure in full(folder, case))]


def full(folder: Path, case: str) -> Sequence[Figure]:
    """A trial in which more requests wait than the driver has clients: valid, and the service's doing."""
    script, options = FULL[case]
    made = run_known(folder / case, {"known": script}, *options)
    trial, figures = made.trial(), []
    waited, late = shares(made)
    n = trial.requests
    figures.append(Figure(f"{case}: sent late, but for busy clients", 0, late, "1%", late <= LATE_SHARE, n))
    figures.append(Figure(f"{case}: waited for a client", 0.1, waited, "more", waited > 0.1, n))
    codes = {one.code for one in trial.doubts}
    said = "clients_busy" in codes and "late_sends" not in codes and trial.valid
    figures.append(Figure(f"{case}: valid, and said", 1, said, "valid", said, n))
    if case == "queue":
        figures.append(Figure("queue: overloaded", 1, trial.overloaded, "said", trial.overloaded, n))
    return figures


def shares(made: KnownRun) -> tuple[float, float]:
    """Which shares of the window's requests were sent late as all clients were busy, and late otherwise."""
    trial, samples = made.trial(), made.samples(made.trial())
    due, sent, done = (samples[f"{name}_ns"].to_numpy() / 1e6 for name in ("due", "sent", "done"))
    began, ended = np.sort(sent), np.sort(done)
    in_flight = np.searchsorted(began, due) - np.searchsorted(ended, due)
    # those that others overtake find no client either
    busy = in_flight >= 0.95 * MOST_IN_FLIGHT
    begin_ms = 1e3 * trial.warmup_s
    inside = (due >= begin_ms) & (due < begin_ms + 1e3 * trial.window_s)
    late = (sent - due > LATE_MS)[inside]
    return float(np.mean(late & busy[inside])), float(np.mean(late & ~busy[inside]))


def full_broken(folder: Path) -> Sequence[Figure]:
    """As it was: whatever is sent after it was due is the driver's fault."""
    script, options = FULL["queue"]
    made = run_known(folder / "queue", {"known": script}, *options)
    late, n = sum(shares(made)), made.trial().requests
    return [Figure("sent late", 0, late, "1%", late <= LATE_SHARE, n)]


def broken(folder: Path) -> Sequence[Figure]:
    """As it was: trials void by a queue that grows are left out, those that refuse count."""
    run = overloaded(folder).run
    kept = [
        one.strategy
        for one in run.trials
        if not any(doubt.code == "overloaded" and "grow" in doubt.text for doubt in one.doubts)
    ]
    figures = list(full_broken(folder))
    for name in SERVICES:
        left = kept.count(name)
        figures.append(Figure(f"{name}: trials that count", 2, left, "all or none", left == 2, 2))
    return figures


def near_capacity(folder: Path) -> Sequence[Figure]:
    """At 105% of capacity a round is overloaded, another unsteady, a third neither: all of them count."""
    run = run_known(folder, {"known": SERVICES["growing"]}, *NEAR_OPTIONS).run
    (row,) = summarise(run).rows.values()
    over, spread = row.overloaded_trials, row.spread("p50")
    p50 = [one.latency_ms.p50 for one in run.trials if one.latency_ms.p50 is not None]
    # each trial judged alone, as its own schedule makes it: shown, and not held to
    alone = sum(one.valid for one in run.trials)
    reached = (0.0, 0.0) if spread is None else (spread.least, spread.most)
    return [
        _counted(row.valid_trials, f"all; judged alone {alone}"),
        Figure("overloaded rounds", NEAR_ROUNDS, over, "some", over > 0, NEAR_ROUNDS),
        Figure("least p50 of the spread", min(p50), reached[0], "all rounds'", reached[0] == min(p50), 1),
        Figure("most p50 of the spread", max(p50), reached[1], "all rounds'", reached[1] == max(p50), 1),
    ]


def judged_alone(folder: Path) -> Sequence[Figure]:
    """As it was: each round's schedule, served one by one in 10 ms, is judged without the others."""
    del folder
    seconds, valid = NEAR_WARMUP_S + NEAR_WINDOW_S, 0
    for number in range(1, NEAR_ROUNDS + 1):
        due = np.asarray(ARRIVALS["poisson"].due_ns(NEAR_RATE, seconds, 1000 * NEAR_SEED + number)) / 1e9
        worked = 0.01 * np.arange(1, len(due) + 1)
        done = worked + np.maximum.accumulate(due - worked + 0.01)
        valid += judge_window(samples_of(due, done), None, NEAR_WARMUP_S, NEAR_WINDOW_S).valid
    return [_counted(valid, "all")]


def _counted(valid: int, bound: str) -> Figure:
    return Figure("rounds that count", NEAR_ROUNDS, valid, bound, valid == NEAR_ROUNDS, NEAR_ROUNDS)


EDGES = [
    Edge(
        3,
        "overload is one rule for all trials of a load",
        measure,
        broken,
        ("tests/bench/test_client_pool.py", "test_a_stall_with_more_requests_than_clients_is_no_late_driver"),
    ),
    Edge(
        3,
        "at 105% of capacity all rounds count",
        near_capacity,
        judged_alone,
        ("tests/analysis/test_overload.py", "test_at_a_load_just_above_capacity_all_rounds_count"),
    ),
]
