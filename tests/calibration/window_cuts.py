"""How often an open window is called cut: steady queues, which are not, and stalls across its end, which are.

`python -m tests.calibration.window_cuts [RUNS]` prints the table of METHODOLOGY.md.
"""

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from bench.load.window import cut, window_of
from tests.statistics.processes import Floats, samples_of

RATES = (5, 10, 20, 33, 50, 100, 200)
STALL_RATES = (5, 10, 20, 33, 100)
SINGLE_LOADS = (0.3, 0.5, 0.7, 0.8, 0.9, 0.95)
SERVICE_TIMES_S = (0.005, 0.05, 0.5)
STALL_S, WINDOW_S, DRAIN_S, LEAST_WARMUP_S = 3.0, 10.0, 5.0, 5.0

Kind = Literal["M/M/1", "M/D/1", "constant"]


@dataclass(frozen=True)
class Steady:
    """Poisson arrivals at a rate; `size` is one server's utilisation, or how long each request takes (s)."""

    kind: Kind
    size: float
    rate: float

    @property
    def warmup_s(self) -> float:
        """Until the queue has forgotten that it was empty: some of its relaxation times."""
        if self.kind == "constant":
            return LEAST_WARMUP_S + self.size
        relaxed_s = self.size / self.rate / (1 - math.sqrt(self.size)) ** 2
        return max(LEAST_WARMUP_S, min(10 * relaxed_s, 20_000 / self.rate))

    def ends(self, due: Floats, rng: np.random.Generator, stall: tuple[float, float]) -> Floats:
        """When requests end that come due then, if the whole service pauses from an instant to another."""
        begin, end = stall
        if self.kind == "constant":
            done = due + self.size
            return np.where((done > begin) & (due < end), np.maximum(done, end), done)
        mean_s = self.size / self.rate
        service = rng.exponential(mean_s, len(due)) if self.kind == "M/M/1" else np.full(len(due), mean_s)
        # by a clock that stands still during the pause
        ready = np.where(due < begin, due, np.maximum(due, end) - (end - begin))
        worked = np.cumsum(service)
        done = worked + np.maximum.accumulate(ready - worked + service)
        return np.where(done > begin, done + (end - begin), done)


def called_cut(
    queue: Steady,
    runs: int,
    *,
    window_s: float = WINDOW_S,
    ahead_s: float | None = None,
    least: float | None = None,
) -> float:
    """The share of windows that are called cut; with `ahead_s` a stall begins so long before their end.

    `least` is the bound of the rule as it was: so many requests, and three deviations.
    """
    rng = np.random.default_rng([int(1000 * queue.size), int(queue.rate), int(window_s), len(queue.kind)])
    begin_s, found = queue.warmup_s, 0
    end_s = begin_s + window_s
    length_s = end_s + DRAIN_S
    # without a stall it pauses long after the last request
    pause_s = 10 * length_s if ahead_s is None else end_s - ahead_s
    for _ in range(runs):
        due = np.sort(rng.uniform(0, length_s, rng.poisson(queue.rate * length_s)))
        done = queue.ends(due, rng, (pause_s, pause_s + STALL_S))
        window = window_of(samples_of(due, done), None, begin_s, window_s)
        if least is None:
            found += any(True for _ in cut(window))
        else:
            found += abs(window.grown()) > least + 3 * math.sqrt(2 * float(np.median(window.in_flight())))
    return found / runs


def steady_queues(rate: float) -> list[Steady]:
    """All steady queues of the table at this rate."""
    single = [Steady(kind, load, rate) for kind in ("M/M/1", "M/D/1") for load in SINGLE_LOADS]
    return [*single, *(Steady("constant", seconds, rate) for seconds in SERVICE_TIMES_S)]


def print_table(runs: int) -> None:
    """Print both tables: false alarms, the worst over the rates, and stalls found at each rate."""
    for window_s in (10.0, 60.0):
        for like in steady_queues(RATES[0]):
            shares = [called_cut(Steady(like.kind, like.size, r), runs, window_s=window_s) for r in RATES]
            print_row(f"steady, {window_s:g} s, {like.kind}, {like.size:g}", shares)
    for like in [Steady("constant", 0.005, 1), *(Steady("M/M/1", load, 1) for load in (0.3, 0.5, 0.7, 0.9))]:
        for ahead_s in (1.2, 2.0):
            shares = [called_cut(Steady(like.kind, like.size, r), runs, ahead_s=ahead_s) for r in STALL_RATES]
            print_row(f"stalled {ahead_s:g} s before the end, {like.kind}, {like.size:g}", shares)
    old = [called_cut(Steady("constant", 0.005, r), runs, ahead_s=1.2, least=40) for r in STALL_RATES]
    print_row("the rule as it was, 1.2 s, constant, 0.005", old)


def print_row(name: str, shares: Sequence[float]) -> None:
    """Print the shares of a row and the largest of them."""
    print(name, *(f"{share:.1%}" for share in shares), f"(most {max(shares):.1%})", flush=True)


if __name__ == "__main__":
    print_table(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
