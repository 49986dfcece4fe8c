"""The rates up to which objectives held in two runs, each found by one search a run."""

import math
from dataclasses import dataclass
from typing import Literal

from bench.analysis.cases import is_search
from bench.model import Run, SloResult

# by simulation, two searches of one service on a quiet host differ by at most so much in 95 of 100 pairs
# (tests/bench/test_noisy_search.py); a host with hiccups makes them differ by more
SEARCHES_DIFFER = 0.20

ObjectiveKey = tuple[str, str, str, float, float]
HeldOutcome = Literal["unknown", "neither", "base alone", "head alone", "open", "ratio"]
"""How an objective fared in two runs: a run does not know, it held in neither or in one, or in both.

*Open*: two searches of one service may differ as much. *Ratio*: they differ by more, which a single search
each does not prove.
"""


@dataclass(frozen=True, slots=True)
class HeldRates:
    """What the searches of two runs found of one objective of a strategy; None if a search did not end."""

    base: SloResult | None
    head: SloResult | None

    @property
    def of(self) -> SloResult:
        """A result that names strategy, payloads and objective, which are the same in both."""
        known = self.base or self.head
        if known is None:
            raise ValueError("an objective is of a run")
        return known

    @property
    def ratio(self) -> float | None:
        """Head's rate to base's; None unless both held at a rate. One search a run gives it no interval."""
        base, head = (one.rate_per_s if one else None for one in (self.base, self.head))
        return head / base if base and head else None

    @property
    def outcome(self) -> HeldOutcome:
        """What can be said."""
        if not all(one is not None and one.known for one in (self.base, self.head)):
            return "unknown"
        if self.ratio is not None:
            alike = abs(math.log(self.ratio)) <= math.log1p(SEARCHES_DIFFER)
            return "open" if alike else "ratio"
        if self.base and self.base.rate_per_s:
            return "base alone"
        return "head alone" if self.head and self.head.rate_per_s else "neither"


def held_rates(base: Run, head: Run) -> tuple[HeldRates, ...]:
    """Every objective that both runs searched for, even if one of them has no result yet."""
    ours, theirs = by_objective(base), by_objective(head)
    return tuple(
        HeldRates(ours.get(key), theirs.get(key))
        for key in dict.fromkeys([*ours, *theirs])
        if _searched(base, key) and _searched(head, key)
    )


def by_objective(run: Run) -> dict[ObjectiveKey, SloResult]:
    """The results of a run's searches by strategy, payloads and objective."""
    return {
        (one.strategy, one.payload_class, one.encoding, one.quantile, one.bound_ms): one
        for one in run.objectives
    }


def _searched(run: Run, key: ObjectiveKey) -> bool:
    """Whether the run has a result, or was made for it and ended before."""
    strategy, payload_class, encoding, quantile, bound_ms = key
    asked = run.options
    wanted = asked.objective if asked is not None and is_search(run) else None
    if asked is None or wanted is None or key in by_objective(run):
        return key in by_objective(run)
    offered = strategy in run.strategies and payload_class in asked.payloads and encoding in asked.encodings
    return offered and (wanted.quantile, wanted.bound_ms) == (quantile, bound_ms)
