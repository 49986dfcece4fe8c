"""A search does not end with nothing because one trial met a hiccup of the host."""

from collections.abc import Callable, Generator, Sequence
from pathlib import Path

import numpy as np

from bench.measure.plan import Objective
from bench.measure.steps.slo_search import LOWEST_SHARE, SearchEnd, search
from bench.model import Probe
from tests.bench.known_searches import Host, How, many
from tests.calibration.claims import Figure
from tests.calibration.edges.registry import Edge
from tests.calibration.tail_coverage import Queue

SEARCHES = 40
BOUND_MS = 2.0 * Queue("exponential", 0.5, 400.0).p99_s * 1e3
OBJECTIVE = Objective(0.99, BOUND_MS, warmup_s=4.0, window_s=10.0)


def first_decides(
    probe: Callable[[float, int], Generator[None, None, Probe]], capacity_rps: float
) -> Generator[None, None, SearchEnd]:
    """The search as it was: a lowest rate that misses once ends it."""
    first = yield from probe(LOWEST_SHARE * capacity_rps, 1)
    return (yield from search(probe, capacity_rps)) if first.held else SearchEnd(None, (first,))


def _figures(how: How) -> Sequence[Figure]:
    rng, found = np.random.default_rng(11), []
    for hiccups, bound in ((0.0, 0.01), (6.0, 0.08)):
        host = Host("exponential", 400.0, hiccups, 0.1)
        nothing = many(host, OBJECTIVE, SEARCHES, rng, how).nothing
        claim = f"a search finds nothing, {hiccups:g} hiccups of 0.1 s a minute"
        found.append(Figure(claim, 0.0, nothing, f"at most {bound:g}", nothing <= bound, SEARCHES))
    return found


def _measure(folder: Path) -> Sequence[Figure]:
    del folder
    return _figures(search)


def _broken(folder: Path) -> Sequence[Figure]:
    del folder
    return _figures(first_decides)


EDGES = (Edge(11, "a search outlives a hiccup", _measure, _broken),)
