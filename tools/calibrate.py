"""The driver's figures for servers whose truth is known, as a Markdown table: truth, measured and error.

python tools/calibrate.py [--seconds S] [--runs N] [--only trials|edges|tails|steadiness]

The trials are those of tests/calibration with longer windows, S seconds of windows in all. If something else
on its cores disturbs a trial, it is run up to three times; the least disturbed trial is kept and reported as
disturbed.

The second table has the edges of the instrument (tests/calibration/edges): what was reported wrongly once, by
the rule that holds now and by the rule as it was, which must not hold.

The third table has the tail's confirmation over simulated queues of known p99, N runs a cell
(tests/calibration/tail_coverage): how often a bound just below the truth is confirmed, by the rule and by the
binomial over pooled requests, and how often a bound of half as much again is.

The last two tables have the steadiness of response times (tests/calibration/steady_windows): how often steady
windows are called unsteady, of N simulated windows a cell, and how often a change is found at a fifth, a half
and four fifths of the window, of N / 4.

The exit code is 1 if a claim does not hold, or if a broken rule does.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # a program's own folder comes first in the path

import numpy as np

from bench.cores import choose_cores
from bench.doctor.sending import read_sending
from bench.model import ARRIVALS
from tests.calibration import experiments
from tests.calibration.apparatus import run
from tests.calibration.claims import (
    Figure,
    clock_figures,
    constant_figures,
    exponential_figures,
    hidden_stall_figure,
    little_figure,
    measured_waits_ms,
    queue_figures,
    textbook_figure,
    throughput_figure,
    visible_stall_figures,
)
from tests.calibration.edges.registry import Measure, edges
from tests.calibration.noise import at_most
from tests.calibration.steady_windows import (
    CHANGED_AT,
    CHANGED_OFFERS,
    CHANGES,
    OFFERS,
    STEADY,
    told,
)
from tests.calibration.tail_coverage import Coverage, Design, Queue, Service, coverage, pooled
from tests.calibration.trials import Trial
from tests.calibration.truths import exponential_ms, textbook_wait

LEAST_S, MOST_S = 70.0, 1000.0
LONG = 1_000_000
LEAST_RUNS, MOST_RUNS = 50, 10_000
TAILS = Design(rounds=12, window_s=10.0)
QUEUES: tuple[tuple[Service, str], ...] = (("constant", "M/D/1"), ("exponential", "M/M/1"))
LOADS, CAPACITIES_PER_S = (0.5, 0.7, 0.9), (50.0, 300.0, 1000.0)
CLOCK_S = 8.0
Shown = tuple[str, Sequence[Figure], Trial | None]


def constants(seconds: float) -> Iterator[Shown]:
    """Yield trials of constant service times in open and closed loops."""
    for arrivals, name in (("poisson", "open loop, Poisson"), ("constant", "open loop, even")):
        trial = experiments.constant_open(run, seconds, arrivals)  # type: ignore[arg-type]
        yield name, constant_figures(trial, trial.requests.response_ms), trial
    trial = experiments.constant_closed(run, seconds)
    figures = constant_figures(trial, trial.requests.response_ms)
    laws = [throughput_figure(trial, trial.figures.throughput_rps), little_figure(trial)]
    yield "closed loop", [*figures, *laws], trial


def exponentials(seconds: float) -> Iterator[Shown]:
    """Yield trials of exponential service times in an open and a closed loop."""
    trial = experiments.exponential_open(run, seconds)
    mean_ms = experiments.EXPONENTIAL_MEAN_MS
    yield "open loop", exponential_figures(trial, trial.requests.response_ms, mean_ms), trial
    trial = experiments.exponential_closed(run, seconds)
    figures = exponential_figures(trial, trial.requests.response_ms, None)
    yield "closed loop", [*figures, little_figure(trial)], trial


def stalls(seconds: float) -> Iterator[Shown]:
    """Yield trials of one stall, in an open and in a closed loop, at the same time."""
    open_, closed, _ = experiments.stalled(run, seconds)
    every_s, stall_s = experiments.STALL_EVERY_S, experiments.STALL_S
    figures = visible_stall_figures(open_, open_.requests.response_ms, every_s, stall_s)
    yield "open loop", figures, open_
    yield "closed loop", [hidden_stall_figure(closed, stall_s)], closed


def queues(seconds: float) -> Iterator[Shown]:
    """Yield a long schedule compared with the textbook, then trials compared with their own schedules."""
    rate, service_ms = experiments.QUEUE_RATE, experiments.QUEUE_SERVICE_MS
    due_ns = ARRIVALS["poisson"].due_ns(rate, LONG / rate, 1)
    n = len(due_ns)
    drawn = {0.0: np.full(n, service_ms), 1.0: exponential_ms(n, service_ms, 1)}
    for variation, name in ((0.0, "M/D/1"), (1.0, "M/M/1")):
        truth_ms = textbook_wait(rate, service_ms, variation)
        yield "the schedule alone", [textbook_figure(name, due_ns, drawn[variation], truth_ms)], None
        trial = experiments.queue(run, seconds, variation)
        yield "open loop", queue_figures(name, trial, measured_waits_ms(trial)[0]), trial


def clocks() -> Iterator[Shown]:
    """Yield how late the driver sends to a target that answers at once."""
    cores = choose_cores(None, None)
    for rate_per_s in (50.0, 200.0, 1000.0):
        found = read_sending(cores, CLOCK_S, rate_per_s)
        median_ms, p99_ms = found.median_ms or float("nan"), found.p99_ms or float("nan")
        yield "open loop", clock_figures(rate_per_s, median_ms, p99_ms, int(rate_per_s * CLOCK_S)), None


def shown(seconds: float) -> Iterator[Shown]:
    """Yield all trials; each gets its share of the seconds."""
    yield from constants(0.1 * seconds)
    yield from exponentials(0.12 * seconds)
    yield from stalls(0.1 * seconds)
    yield from queues(0.17 * seconds)
    yield from clocks()


def row(name: str, figure: Figure) -> str:
    """Return one row of the table."""
    error = f"{figure.error:+.2%}" if figure.truth else ""
    cells = (figure.claim, name, f"{figure.truth:.4g}", f"{figure.measured:.4g}", error, figure.bound)
    return f"| {' | '.join(cells)} | {figure.n} | {'yes' if figure.holds else '**no**'} |"


def print_trials(seconds: float) -> bool:
    """Run every trial and print its rows, disturbances on stderr; return whether all claims hold."""
    print("| claim | load | truth | measured | error | bound | n | holds |")
    print("| --- | --- | ---: | ---: | ---: | --- | ---: | --- |")
    all_hold = True
    for name, figures, trial in shown(seconds):
        for figure in figures:
            print(row(name, figure), flush=True)
        all_hold &= all(figure.holds for figure in figures)
        if trial is not None:
            print(f"{figures[0].claim}, {name}, {trial.told}", file=sys.stderr)
    return all_hold


def print_edges() -> bool:
    """Measure every edge and print its rows; return whether all hold and every broken rule is found."""
    print("| row | edge | claim | truth | measured | bound | by the broken rule | holds |")
    print("| ---: | --- | --- | ---: | ---: | --- | ---: | --- |")
    all_hold = True
    for edge in edges():
        figures, broken = taken(edge.measure), taken(edge.broken)
        found = not all(figure.holds for figure in broken)
        all_hold &= found and all(figure.holds for figure in figures)
        by_claim = {figure.claim: figure for figure in broken}
        for figure in figures:
            old = by_claim.get(figure.claim)
            cells = (
                f"{edge.row} | {edge.title} | {figure.claim} | {figure.truth:.4g} | {figure.measured:.4g}",
                figure.bound,
                "" if old is None else f"{old.measured:.4g}",
                "yes" if figure.holds and found else "**no**",
            )
            print(f"| {' | '.join(cells)} |", flush=True)
    return all_hold


def print_tails(runs: int) -> bool:
    """Simulate the tail's confirmation and print its rows; return whether no cell errs too often."""
    print(f"{TAILS.rounds} rounds of {TAILS.window_s:g} s after {TAILS.warmup_s:g} s, {runs} runs a cell\n")
    capacities = ", ".join(f"{capacity:g}" for capacity in CAPACITIES_PER_S)
    told = "confirmed, wrongly | pooled binomial | 1.5 times the p99 confirmed | holds"
    print(f"| capacities of {capacities} requests/s | {told} |")
    print("| --- | ---: | ---: | ---: | --- |")
    all_hold = True
    for (service, name), load in product(QUEUES, LOADS):
        queues_ = [Queue(service, load, capacity) for capacity in CAPACITIES_PER_S]
        found = [coverage(queue, TAILS, runs, np.random.default_rng(16)) for queue in queues_]
        broken = [coverage(queue, TAILS, runs, np.random.default_rng(16), pooled) for queue in queues_]
        holds = all(errors(one) <= at_most(0.01, runs) for one in found)
        all_hold &= holds
        cells = (
            f"{name} at {load:g}",
            ", ".join(f"{100 * errors(one):.1f}" for one in found) + "%",
            ", ".join(f"{100 * errors(one):.0f}" for one in broken) + "%",
            ", ".join(f"{100 * one.at_one_and_half:.0f}" for one in found) + "%",
            "yes" if holds else "**no**",
        )
        print(f"| {' | '.join(cells)} |", flush=True)
    return all_hold


def print_steadiness(windows: int) -> bool:
    """Simulate steady windows and changes in windows; return whether no steady service is void too often."""
    offers = [f"{one.rate:g}/s, {one.window_s:g} s" for one in OFFERS]
    print(f"| called unsteady, {windows} windows a cell | {' | '.join(offers)} | holds |")
    print(f"| --- | {'---: | ' * len(offers)}--- |")
    rng, shares = np.random.default_rng(12), []
    for name, served in STEADY.items():
        found = [told(served, offer, windows, rng).unsteady for offer in OFFERS]
        holds = max(found) <= at_most(0.015, windows)
        shares += found
        cells = [f"{100 * one:.1f}%" for one in found]
        print(f"| {name} | {' | '.join(cells)} | {'yes' if holds else '**no**'} |", flush=True)
    mean, most = float(np.mean(shares)), max(shares)
    print(f"\n{mean:.2%} of all windows, at most {most:.2%} in a cell\n")
    offers = [f"{one.rate:g}/s" for one in CHANGED_OFFERS]
    print(f"| found, at 20, 50 and 80% of the window | {' | '.join(offers)} |")
    print(f"| --- |{' ---: |' * len(offers)}")
    for name, changed in CHANGES.items():
        cells = [
            ", ".join(
                f"{100 * told(changed(at), offer, windows // 4, rng).unsteady:.0f}" for at in CHANGED_AT
            )
            for offer in CHANGED_OFFERS
        ]
        print(f"| {name} | {' | '.join(f'{one}%' for one in cells)} |", flush=True)
    return mean <= 0.01 and most <= at_most(0.015, windows)


def errors(found: Coverage) -> float:
    """The share of runs with a bound that does not hold, told or asked for."""
    return max(found.wrong, found.bound_below)


def taken(measure: Measure) -> Sequence[Figure]:
    """The figures of an edge, measured in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="bench-edge-") as folder:
        return measure(Path(folder))


def main() -> int:
    """Print the tables and return the exit code."""
    parser = argparse.ArgumentParser(prog="python tools/calibrate.py", description=__doc__)
    parser.add_argument("--seconds", type=float, default=280.0, help="seconds of windows in all (280)")
    parser.add_argument("--runs", type=int, default=1000, help="simulated runs or windows a cell (1000)")
    parser.add_argument("--only", choices=("trials", "edges", "tails", "steadiness"), help="some tables")
    args = parser.parse_args()
    if not LEAST_S <= args.seconds <= MOST_S:
        parser.error(f"--seconds must lie from {LEAST_S:g} to {MOST_S:g}")
    if not LEAST_RUNS <= args.runs <= MOST_RUNS:
        parser.error(f"--runs must lie from {LEAST_RUNS} to {MOST_RUNS}")
    tables = {
        "trials": lambda: print_trials(args.seconds),
        "edges": print_edges,
        "tails": lambda: print_tails(args.runs),
        "steadiness": lambda: print_steadiness(args.runs),
    }
    held = [table() for name, table in tables.items() if args.only in (None, name)]
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())
