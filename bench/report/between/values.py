"""What a comparison of two runs is made of."""

from dataclasses import dataclass

from bench.model.fingerprint import Difference
from bench.report.compare import ALPHA, ENOUGH_ROUNDS, JUDGED, LEAST_ROUNDS, Judged
from bench.statistics import Comparison, Estimate

METRICS: dict[str, Judged] = {
    **JUDGED,
    "memory": Judged("peak MiB", "smaller", "larger"),
    "startup": Judged("first answer, s", "faster", "slower"),
}
NOT_TOLD_APART = "not told apart"
STAR = "*"
"""Marks what is not told apart although its own interval excludes 1: it does not stand among so many."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One metric of one strategy in both runs: base, head, and head over base.

    `place` is the case in words, or the state of the model cache for a start; `metric` is a name in
    `METRICS`. `comparison` is Welch's, None where a side has no value; `adjusted_p` is its p after Holm's
    correction over all that the two runs share. Memory is in bytes.
    """

    strategy: str
    place: str
    metric: str
    base: Estimate | None
    head: Estimate | None
    comparison: Comparison | None
    adjusted_p: float | None

    @property
    def differs(self) -> bool:
        """Whether a difference is shown, among all comparisons, by at least three values on each side."""
        enough = self.comparison is not None and self.comparison.n >= LEAST_ROUNDS
        return enough and self.adjusted_p is not None and self.adjusted_p <= ALPHA

    @property
    def word(self) -> str:
        """The verdict in a word, or why there is none; empty where there are too few values for one."""
        found, judged = self.comparison, METRICS[self.metric]
        if found is None or self.adjusted_p is None or found.n < LEAST_ROUNDS:
            return ""
        if self.differs:
            word = judged.above if found.ratio > 1 else judged.below
            values = "starts" if self.metric == "startup" else "rounds"
            return word if found.n >= ENOUGH_ROUNDS else f"{word} ({found.n} {values})"
        return f"{NOT_TOLD_APART}{STAR}" if found.shows_difference else NOT_TOLD_APART


@dataclass(frozen=True, slots=True)
class Counted:
    """A count that has no noise, compared exactly; None where it is not known.

    `of` is what it is a part of on each side (wrong answers of requests), None for a size.
    """

    strategy: str
    place: str
    what: str
    base: int | None
    head: int | None
    of: tuple[int, int] | None = None

    @property
    def word(self) -> str:
        """Whether the head's is the same, by share where it is a part; empty where a side is not known."""
        if self.base is None or self.head is None:
            return ""
        of_base, of_head = self.of or (1, 1)
        ours, theirs = self.head * of_base, self.base * of_head
        if ours == theirs:
            return "same"
        below, above = ("fewer", "more") if self.of else ("smaller", "larger")
        return above if ours > theirs else below


@dataclass(frozen=True, slots=True)
class Between:
    """Two runs compared.

    `doubts` says in words what makes the comparison doubtful, `differing` which facts of the environments
    are not alike. `only_base` and `only_head` list what one run alone has. `machines` says of each when and
    on what it was measured.
    """

    base_name: str
    head_name: str
    machines: tuple[str, str]
    sentence: str
    doubts: tuple[str, ...]
    differing: tuple[Difference, ...]
    measured: tuple[Measured, ...]
    counted: tuple[Counted, ...]
    only_base: tuple[str, ...]
    only_head: tuple[str, ...]
    own_rates: bool
    """Whether some latencies are at a share of each strategy's own capacity in its own run."""

    @property
    def judges(self) -> bool:
        """Whether anything measured has a verdict: where not, the comparison shows nothing."""
        return any(one.word for one in self.measured)
