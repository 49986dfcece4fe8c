"""A search takes no hiccup of the host for the service's, and no lucky rate for one that holds."""

from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from bench.measure.plan import Objective
from bench.measure.steps.slo_search import LOWEST_SHARE, SearchEnd, search
from bench.model import Probe
from tests.bench.known_searches import Host, How, Tries, many
from tests.calibration.claims import Figure
from tests.calibration.edges.registry import Edge
from tests.calibration.tail_coverage import Queue

SEARCHES = 40
BOUND_MS = 2.0 * Queue("exponential", 0.5, 400.0).p99_s * 1e3
OBJECTIVE = Objective(0.99, BOUND_MS, warmup_s=4.0, window_s=10.0)
Changed = Callable[[Probe], Probe]


def first_decides(probe: Tries, capacity_rps: float, allowed: float) -> Generator[None, None, SearchEnd]:
    """A lowest rate that misses once ends the search."""
    first = yield from probe(LOWEST_SHARE * capacity_rps, 1)
    return (yield from search(probe, capacity_rps, allowed)) if first.held else SearchEnd(None, (first,))


def with_probes(changed: Changed) -> How:
    """The search, whose probes say something else."""

    def how(probe: Tries, capacity_rps: float, allowed: float) -> Generator[None, None, SearchEnd]:
        def other(rate: float, round_: int) -> Generator[None, None, Probe]:
            return changed((yield from probe(rate, round_)))

        return (yield from search(other, capacity_rps, allowed))

    return how


# once a trial of a rate held, nothing that fresh trials miss counts
lucky = with_probes(lambda one: replace(one, missed=0))
# a trial in which the driver was late counts as missed
host_blamed = with_probes(
    lambda one: one if one.known else replace(one, known=True, requests=1000, missed=1000)
)


def _outlives(how: How) -> Sequence[Figure]:
    rng, found = np.random.default_rng(11), []
    for hiccups in (0.0, 6.0):
        of = many(Host("exponential", 400.0, hiccups, 0.1), OBJECTIVE, SEARCHES, rng, how)
        claim = f"a search finds nothing, {hiccups:g} hiccups of 0.1 s a minute"
        found.append(_share(claim, of.never + of.unknown, 0.05))
    return found


def _takes_no_luck(how: How) -> Sequence[Figure]:
    rng, found = np.random.default_rng(12), []
    for hiccup_s in (0.3, 1.0):
        of = many(Host("exponential", 400.0, 6.0, hiccup_s), OBJECTIVE, SEARCHES, rng, how)
        claim = f"a service that stops for {hiccup_s:g} s six times a minute is given a rate"
        found.append(_share(claim, of.too_high, 0.2))
    return found


def _blames_no_service(how: How) -> Sequence[Figure]:
    rng = np.random.default_rng(13)
    of = many(Host("exponential", 400.0, 6.0, 0.2, whole=True), OBJECTIVE, SEARCHES, rng, how)
    claim = "a search finds nothing, the whole host stops for 0.2 s six times a minute"
    return [_share(claim, of.never + of.unknown, 0.1)]


def _share(claim: str, measured: float, bound: float) -> Figure:
    return Figure(claim, 0.0, measured, f"at most {bound:g}", measured <= bound, SEARCHES)


def _edge(title: str, figures: Callable[[How], Sequence[Figure]], broken: How) -> Edge:
    def measured(_: Path) -> Sequence[Figure]:
        return figures(search)

    def with_the_rule_broken(_: Path) -> Sequence[Figure]:
        return figures(broken)

    return Edge(11, title, measured, with_the_rule_broken)


EDGES = (
    _edge("a search outlives a hiccup", _outlives, first_decides),
    _edge("a search takes no lucky rate for one that holds", _takes_no_luck, lucky),
    _edge("a search does not hold against a service what its host did", _blames_no_service, host_blamed),
)
