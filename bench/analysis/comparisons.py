"""Every strategy compared with the baseline, in every case and by every metric that is judged."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from bench import statistics
from bench.analysis.cases import Case
from bench.analysis.metrics import Metric, metrics_in
from bench.analysis.summary import Summary
from bench.statistics import CONFIDENCE, Comparison

ALPHA = 1 - CONFIDENCE
LEAST_ROUNDS = 3
# fewer cannot reach a two-sided sign-flip p of 5%: of 2^n patterns of signs, two are as far as all alike
ENOUGH_ROUNDS = 6


Outcome = Literal["less", "more", "open", "open among many"]
"""What a comparison says of the ratio: it is below or above 1, or neither is shown.

*Open among many*: its own interval excludes 1, but among so many comparisons one may do so by chance.
"""


@dataclass(frozen=True, slots=True)
class Compared:
    """One strategy compared with the baseline in one case by one metric.

    `adjusted_p` is the p of the paired t-test on log ratios after Holm's correction over all comparisons of
    the run. It is None if only one round has both strategies.
    """

    strategy: str
    case: Case
    metric: str
    comparison: Comparison
    adjusted_p: float | None

    @property
    def differs(self) -> bool:
        """Whether a difference is shown, by the corrected t-test and, as far as they can, by the signs."""
        sign_p = self.comparison.p_value
        if self.adjusted_p is None or sign_p is None or self.adjusted_p > ALPHA:
            return False
        return sign_p <= max(ALPHA, 2.0 ** (1 - self.comparison.n))

    @property
    def outcome(self) -> Outcome | None:
        """The verdict; None if fewer than three rounds have both strategies."""
        comparison = self.comparison
        if self.adjusted_p is None or comparison.n < LEAST_ROUNDS:
            return None
        if self.differs:
            return "more" if comparison.ratio > 1 else "less"
        return "open among many" if comparison.shows_difference else "open"


def compared(
    summary: Summary, bases: Mapping[str, str] | None = None, *, bootstrap: bool = False
) -> tuple[Compared, ...]:
    """All comparisons, in the order of cases and metrics, as one family.

    `bases` has, for each strategy to compare, the name of the strategy to compare it with. Without it, every
    other strategy is compared with the run's baseline.

    Throughput is compared in closed loops only: in an open loop each strategy answers what it is offered. A
    bootstrap takes some milliseconds a comparison.
    """
    if bases is None:
        base = summary.baseline
        bases = {} if base is None else {name: base for name in summary.strategies if name != base}
    family = [
        (name, case, metric.name, comparison)
        for case in summary.cases
        for name, base in bases.items()
        for metric in metrics_in("comparisons")
        if (comparison := _comparison(summary, base, name, case, metric, bootstrap=bootstrap)) is not None
    ]
    # not the p of the signs: at six rounds it is 0.031 at best, which no correction leaves below 0.05
    adjusted = statistics.holm([comparison.t_p_value for *_, comparison in family])
    return tuple(Compared(*one, p) for one, p in zip(family, adjusted, strict=True))


def _comparison(
    summary: Summary, base: str, name: str, case: Case, metric: Metric, *, bootstrap: bool
) -> Comparison | None:
    ours, theirs = summary.rows.get((name, case)), summary.rows.get((base, case))
    if ours is None or theirs is None or (metric.set_by_schedule and case.at_due_times):
        return None
    a, b = _above_zero(theirs.rounds[metric.name]), _above_zero(ours.rounds[metric.name])
    return statistics.paired_ratio(a, b, bootstrap=bootstrap)


def _above_zero(rounds: Mapping[int, float]) -> dict[int, float]:
    """The rounds whose value has a logarithm; a round without a right answer is reported as invalid."""
    return {number: value for number, value in rounds.items() if value > 0}
