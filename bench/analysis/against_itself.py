"""A strategy measured against itself under two names: what can this machine tell apart?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench import statistics
from bench.analysis.comparisons import ALPHA, Compared, compared
from bench.analysis.summary import Summary
from bench.model import Run


@dataclass(frozen=True, slots=True)
class Pair:
    """The two names of one strategy."""

    first: str
    second: str


@dataclass(frozen=True, slots=True)
class SelfTest:
    """The comparisons of a strategy's second name with its first. None should show a difference.

    `judged` holds the comparisons over two rounds or more; the other fields are about these. `outside` counts
    the intervals that miss 1, and `expected_outside` says how many would miss it by chance.
    `false_differences` holds the comparisons whose verdict is a difference. `detectable` has, for each
    metric, the least difference that shows in the hardest case.
    """

    pair: Pair
    comparisons: tuple[Compared, ...]
    judged: tuple[Compared, ...]
    rounds: int
    outside: int
    expected_outside: float
    false_differences: tuple[Compared, ...]
    detectable: Mapping[str, float]


def pairs_of(run: Run) -> list[Pair]:
    """The strategies that the run measured against themselves, each with its two names.

    They are a strategy and its twin, or the only two of a run, and share one title.
    """
    results = run.strategies
    again = {one.twin.of: name for name, one in results.items() if one.twin and one.twin.side == "again"}
    pairs = [Pair(name, again[name]) for name in results if name in again]
    # services that run already have one title, and are two for all that anybody knows
    if not pairs and len(results) == 2 and not any(one.attached for one in results.values()):
        pairs = [Pair(*results)]
    return [pair for pair in pairs if results[pair.first].title == results[pair.second].title]


def self_comparisons(summary: Summary, pairs: Sequence[Pair]) -> tuple[Compared, ...]:
    """The second names against the first, in the order of cases and metrics, as one family."""
    return compared(summary, {pair.second: pair.first for pair in pairs})


def self_tests(pairs: Sequence[Pair], comparisons: Sequence[Compared]) -> list[SelfTest]:
    """What the comparisons show of each pair."""
    return [_self_test(pair, [one for one in comparisons if one.strategy == pair.second]) for pair in pairs]


def rounds_needed(one: Compared, effect: float) -> int | None:
    """How many rounds find a difference of this size with the comparison's noise; None if it is unknown."""
    spread = one.comparison.spread
    return None if spread is None else statistics.rounds_needed(spread, effect)


def _self_test(pair: Pair, comparisons: Sequence[Compared]) -> SelfTest:
    judged = tuple(one for one in comparisons if one.comparison.n > 1)
    detectable: dict[str, float] = {}
    for one in judged:
        effect = one.comparison.minimal_detectable_effect or 0.0
        detectable[one.metric] = max(effect, detectable.get(one.metric, 0.0))
    return SelfTest(
        pair=pair,
        comparisons=tuple(comparisons),
        judged=judged,
        rounds=max((one.comparison.n for one in judged), default=0),
        outside=sum(one.comparison.shows_difference for one in judged),
        expected_outside=ALPHA * len(judged),
        false_differences=tuple(one for one in judged if one.differs),
        detectable=detectable,
    )
