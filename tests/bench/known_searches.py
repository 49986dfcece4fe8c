"""Searches for an objective over simulated queues, on a host that has hiccups: the truth is known."""

import math
from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import cache

import numpy as np

from bench.measure.plan import Objective
from bench.measure.steps.slo_search import SearchEnd, search
from bench.model import Probe
from tests.calibration.tail_coverage import Queue, Service

Tries = Callable[[float, int], Generator[None, None, Probe]]
How = Callable[[Tries, float, float], Generator[None, None, SearchEnd]]
# what is sent so late was held up with the driver, and a trial with a greater share of it says nothing
LATE_SEND_S, LATE_SENDS = 0.01, 0.01
# the truth is found over so many stretches of so many seconds
STRETCHES, STRETCH_S = 6, 2000.0
TOO_HIGH = 1.1


@dataclass(frozen=True, slots=True)
class Host:
    """A service of a capacity (requests/s) that stops for a while, so many times a minute.

    If the `whole` host stops, the driver stops too: what it sends late shows that the trial says nothing.
    Else only the service stops, by its own doing or by another's that nobody sees.
    """

    service: Service
    capacity_per_s: float
    hiccups_a_minute: float = 0.0
    hiccup_s: float = 1.0
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Simulated:
    """A window's requests, how many of them were not within the bound, and how many were sent late."""

    requests: int
    missed: int
    late_sends: int


@cache
def highest_rate(host: Host, objective: Objective) -> float:
    """The highest rate at which the service holds the objective for ever, 0 if at none above a tenth.

    What the whole host does is not the service's.
    """
    quiet = host.whole or not host.hiccups_a_minute

    def holds(load: float) -> bool:
        if quiet:
            return Queue(host.service, load, host.capacity_per_s).p99_s * 1e3 <= objective.bound_ms
        return _missed_for_ever(host, objective, load * host.capacity_per_s) <= 1 - objective.quantile

    low, high = 0.1, 0.999
    if not holds(low):
        return 0.0
    while high - low > 0.002:
        middle = (low + high) / 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low * host.capacity_per_s


def _missed_for_ever(host: Host, objective: Objective, rate: float) -> float:
    rng = np.random.default_rng(5)
    all_ = [simulated(host, rate, 20.0, STRETCH_S, objective.bound_ms, rng) for _ in range(STRETCHES)]
    return sum(one.missed for one in all_) / sum(one.requests for one in all_)


def simulated(
    host: Host, rate: float, warmup_s: float, window_s: float, bound_ms: float, rng: np.random.Generator
) -> Simulated:
    """What a window saw; the queue is empty when its warm-up begins."""
    seconds = warmup_s + window_s
    due = np.sort(rng.uniform(0, seconds, rng.poisson(rate * seconds)))
    work = np.full(len(due), 1.0) if host.service == "constant" else rng.exponential(1.0, len(due))
    stops = rng.uniform(0, seconds, rng.poisson(host.hiccups_a_minute * seconds / 60))
    at = np.concatenate([due, stops])
    order = np.argsort(at, kind="stable")
    of_each = np.concatenate([work / host.capacity_per_s, np.full(len(stops), host.hiccup_s)])[order]
    worked = np.cumsum(of_each)
    response = worked + np.maximum.accumulate(at[order] - worked + of_each) - at[order]
    inside = (order < len(due)) & (at[order] >= warmup_s)
    late = np.zeros(int(inside.sum()), dtype=bool)
    for stop in stops if host.whole else ():
        late |= (at[order][inside] >= stop) & (at[order][inside] < stop + host.hiccup_s - LATE_SEND_S)
    return Simulated(len(late), int((response[inside] * 1e3 > bound_ms).sum()), int(late.sum()))


def searched(host: Host, objective: Objective, rng: np.random.Generator, how: How = search) -> SearchEnd:
    """A search over trials of the simulated host."""
    allowed = 1 - objective.quantile

    def probe(rate: float, round_: int) -> Generator[None, None, Probe]:
        yield
        load = objective.at(rate)
        seen = simulated(host, rate, load.warmup_s, load.window_s, objective.bound_ms, rng)
        if seen.late_sends > LATE_SENDS * seen.requests:
            return Probe(rate, round_, None, 0.0, rate, held=False, why_not="late sends", known=False)
        held = seen.missed <= allowed * seen.requests
        why = "" if held else "late"
        return Probe(rate, round_, None, rate, rate, held, why, requests=seen.requests, missed=seen.missed)

    def ended() -> Generator[None, None, None]:
        ends.append((yield from how(probe, host.capacity_per_s, allowed)))

    ends: list[SearchEnd] = []
    for _ in ended():
        pass
    return ends[0]


@dataclass(frozen=True, slots=True)
class Searches:
    """Over many searches: shares of them, the rate found to the truth, and the trials.

    `never` said that no rate holds, `unknown` that nothing is known; `too_high` found a rate a tenth above
    the truth or more, or any if none holds. The rates to the truth are NaN if either is none.
    """

    never: float
    unknown: float
    too_high: float
    p05_to_truth: float
    median_to_truth: float
    p95_to_truth: float
    median_probes: float
    most_probes: int


def many(
    host: Host, objective: Objective, searches: int, rng: np.random.Generator, how: How = search
) -> Searches:
    """Search so many times."""
    ends = [searched(host, objective, rng, how) for _ in range(searches)]
    truth = highest_rate(host, objective)
    found = np.array([end.rate_per_s for end in ends if end.rate_per_s is not None])
    to_truth = found / truth if truth and len(found) else np.array([math.nan])
    probes = [len(end.probes) for end in ends]
    return Searches(
        never=sum(end.rate_per_s is None and end.known for end in ends) / searches,
        unknown=sum(not end.known for end in ends) / searches,
        too_high=float(np.sum(found > TOO_HIGH * truth)) / searches,
        p05_to_truth=float(np.quantile(to_truth, 0.05)),
        median_to_truth=float(np.median(to_truth)),
        p95_to_truth=float(np.quantile(to_truth, 0.95)),
        median_probes=float(np.median(probes)),
        most_probes=max(probes),
    )
