"""Searches for an objective over simulated queues, on a host that has hiccups: the truth is known."""

import math
from collections.abc import Callable, Generator
from dataclasses import dataclass

import numpy as np

from bench.measure.plan import Objective
from bench.measure.steps.slo_search import SearchEnd, search
from bench.model import Probe
from tests.calibration.tail_coverage import Queue, Service

Tries = Callable[[float, int], Generator[None, None, Probe]]
How = Callable[[Tries, float], Generator[None, None, SearchEnd]]


@dataclass(frozen=True, slots=True)
class Host:
    """A service of a capacity (requests/s) on a host that stops for a while, so many times a minute."""

    service: Service
    capacity_per_s: float
    hiccups_a_minute: float = 0.0
    hiccup_s: float = 1.0


def highest_rate(host: Host, objective: Objective) -> float:
    """The highest rate at which the objective holds without hiccups, of a queue that has run forever."""
    low, high = 0.0, 0.999
    while high - low > 1e-5:
        middle = (low + high) / 2
        kept = Queue(host.service, middle, host.capacity_per_s).p99_s * 1e3 <= objective.bound_ms
        low, high = (middle, high) if kept else (low, middle)
    return low * host.capacity_per_s


def missed(host: Host, objective: Objective, rate: float, rng: np.random.Generator) -> float:
    """The share of a trial's requests that are not within the bound; the queue starts empty."""
    load = objective.at(rate)
    seconds = load.warmup_s + load.window_s
    due = np.sort(rng.uniform(0, seconds, rng.poisson(rate * seconds)))
    work = np.full(len(due), 1.0) if host.service == "constant" else rng.exponential(1.0, len(due))
    stops = rng.uniform(0, seconds, rng.poisson(host.hiccups_a_minute * seconds / 60))
    at = np.concatenate([due, stops])
    order = np.argsort(at, kind="stable")
    of_each = np.concatenate([work / host.capacity_per_s, np.full(len(stops), host.hiccup_s)])[order]
    worked = np.cumsum(of_each)
    response = worked + np.maximum.accumulate(at[order] - worked + of_each) - at[order]
    inside = (order < len(due)) & (at[order] >= load.warmup_s)
    return float(np.mean(response[inside] * 1e3 > objective.bound_ms)) if inside.any() else 0.0


def searched(host: Host, objective: Objective, rng: np.random.Generator, how: How = search) -> SearchEnd:
    """A search over trials of the simulated host."""

    def probe(rate: float, round_: int) -> Generator[None, None, Probe]:
        yield
        held = missed(host, objective, rate, rng) <= 1 - objective.quantile
        return Probe(rate, round_, None, rate, rate, held, "" if held else "late")

    def ended() -> Generator[None, None, None]:
        ends.append((yield from how(probe, host.capacity_per_s)))

    ends: list[SearchEnd] = []
    for _ in ended():
        pass
    return ends[0]


@dataclass(frozen=True, slots=True)
class Searches:
    """Over many searches: the share that found nothing, the rate found to the truth, and the trials."""

    nothing: float
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
    rates = np.array([end.rate_per_s / truth for end in ends if end.rate_per_s is not None] or [math.nan])
    probes = [len(end.probes) for end in ends]
    return Searches(
        1 - sum(end.rate_per_s is not None for end in ends) / searches,
        float(np.median(rates)),
        float(np.quantile(rates, 0.95)),
        float(np.median(probes)),
        max(probes),
    )
