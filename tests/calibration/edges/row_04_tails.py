"""A tail is confirmed by rounds and blocks, and wrongly at most once in a hundred."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tests.calibration.claims import Figure
from tests.calibration.edges.registry import Edge
from tests.calibration.noise import at_most
from tests.calibration.tail_coverage import Design, Queue, Rule, by_rounds, coverage, pooled

RUNS = 60
DESIGN = Design(rounds=12, window_s=5.0)


def _figures(rule: Rule) -> Sequence[Figure]:
    rng, bound = np.random.default_rng(4), at_most(0.01, RUNS)
    found = []
    for service, load in (("constant", 0.5), ("exponential", 0.7), ("exponential", 0.9)):
        queue = Queue("constant" if service == "constant" else "exponential", load, 300.0)
        wrong = coverage(queue, DESIGN, RUNS, rng, rule).wrong
        claim = f"a p99 above its bound confirmed, {service} service at {load:.0%} of capacity"
        found.append(Figure(claim, 0.0, wrong, f"at most {bound:.3f} of the runs", wrong <= bound, RUNS))
    return found


def _measure(folder: Path) -> Sequence[Figure]:
    del folder
    return _figures(by_rounds)


def _broken(folder: Path) -> Sequence[Figure]:
    del folder
    return _figures(pooled)


EDGES = (Edge(4, "tails are confirmed by rounds", _measure, _broken),)
