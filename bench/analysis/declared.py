"""What the strategies of a run declare of their answers, and which of them do the same work."""

from collections.abc import Sequence
from dataclasses import dataclass

from bench.model import EXACT, PROMISES, HeldOutResult, Quality, Run


@dataclass(frozen=True, slots=True)
class Declared:
    """What a strategy declares, and what it answered to the held-out set; None if it was not asked."""

    quality: Quality = EXACT
    held_out: HeldOutResult | None = None

    @property
    def exact(self) -> bool:
        """Whether it promises the reference's answers."""
        return self.quality.promise == "exact"


UNDECLARED = Declared()
"""A strategy of which a run says nothing, as all of older runs: it is exact."""


def declared(run: Run) -> dict[str, Declared]:
    """What each strategy of the run declares."""
    return {name: Declared(one.quality, one.held_out) for name, one in run.strategies.items()}


def same_promise(one: Quality, other: Quality) -> bool:
    """Whether two strategies promise the same, so that a ratio of their speeds is of the same work."""
    return one == other or one.promise == other.promise == "exact"


def nearest_promise(found: Sequence[Declared]) -> str:
    """The promise among these that comes nearest to the reference: exact before bounded before agreement."""
    return min((one.quality.promise for one in found), key=PROMISES.index, default=EXACT.promise)
