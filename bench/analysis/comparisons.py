"""What is compared within a run: strategies in each case, and cases of a strategy, by every judged metric."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

from bench import statistics
from bench.analysis.cases import Case
from bench.analysis.metrics import Metric, metrics_in
from bench.analysis.summary import Row, Summary
from bench.statistics import CONFIDENCE, Comparison

ALPHA = 1 - CONFIDENCE
LEAST_ROUNDS = 3
# fewer cannot reach a two-sided sign-flip p of 5%: of 2^n patterns of signs, two are as far as all alike
ENOUGH_ROUNDS = 6
# at shares of their capacities strategies are compared if what they reached differs by at most so much
UTILISATION_ALLOWED = 0.05


Outcome = Literal["less", "more", "open", "open among many"]
"""What a comparison says of the ratio: it is below or above 1, or neither is shown.

*Open among many*: its own interval excludes 1, but among so many comparisons one may do so by chance.
"""


Relation = Literal["baseline", "strategies", "cases"]
"""Two strategies of which one is the baseline, two other strategies, or two cases of one strategy."""
Obstacle = Literal["overloaded", "utilisation", "utilisation_unknown"]
"""Why two rows are not compared: a service was overloaded, or they were not equally busy, or nobody knows."""


@dataclass(frozen=True, slots=True)
class Pairing:
    """Two rows to compare: a strategy in a case, against a base strategy in its case."""

    strategy: str
    case: Case
    base: str
    base_case: Case
    relation: Relation


@dataclass(frozen=True, slots=True)
class NotCompared:
    """Two rows that are not compared, and why; the shares of capacity that base and strategy reached."""

    pairing: Pairing
    why: Obstacle
    utilisations: tuple[float | None, float | None] = (None, None)
    overloaded: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Compared:
    """One strategy in one case compared with another strategy, or with another case of its own, by a metric.

    `adjusted_p` is the p of the paired t-test on log ratios after Holm's correction over all comparisons of
    the run. It is None if only one round has both. `same_work` says whether both promise the same of their
    answers.
    """

    strategy: str
    case: Case
    metric: str
    comparison: Comparison
    adjusted_p: float | None
    base: str
    base_case: Case
    relation: Relation
    same_work: bool = True

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
    """All comparisons as one family: to the baseline first, then other pairs of strategies, then of cases.

    `bases` has, for each strategy to compare, the strategy to compare it with: then these are the family.

    Throughput is compared in closed loops only: in an open loop each strategy answers what it is offered. A
    bootstrap takes some milliseconds a comparison.
    """
    family = [
        (pairing, metric.name, comparison)
        for pairing in _pairings(summary, bases)
        for metric in metrics_in("comparisons")
        if (comparison := _comparison(summary, pairing, metric, bootstrap=bootstrap)) is not None
    ]
    # not the p of the signs: at six rounds it is 0.031 at best, which no correction leaves below 0.05
    adjusted = statistics.holm([comparison.t_p_value for *_, comparison in family])
    return tuple(
        Compared(
            strategy=one.strategy,
            case=one.case,
            metric=metric,
            comparison=found,
            adjusted_p=p,
            base=one.base,
            base_case=one.base_case,
            relation=one.relation,
            same_work=summary.same_work(one.strategy, one.base),
        )
        for (one, metric, found), p in zip(family, adjusted, strict=True)
    )


def to_baseline(family: Iterable[Compared]) -> list[Compared]:
    """The comparisons with the baseline."""
    return [one for one in family if one.relation == "baseline"]


def not_compared(summary: Summary, bases: Mapping[str, str] | None = None) -> tuple[NotCompared, ...]:
    """The pairs that have figures and are not compared, in the order of the comparisons."""
    found = []
    for pairing in _pairings(summary, bases):
        theirs, ours = _rows(summary, pairing)
        why = None if ours is None or theirs is None else _within_run(theirs, ours)
        if why is not None and ours is not None and theirs is not None:
            reached = [row.utilisation.centre if row.utilisation else None for row in (theirs, ours)]
            over = dict.fromkeys(row.strategy for row in (theirs, ours) if row.overloaded)
            found.append(NotCompared(pairing, why, (reached[0], reached[1]), tuple(over)))
    return tuple(found)


def _pairings(summary: Summary, bases: Mapping[str, str] | None) -> list[Pairing]:
    if bases is not None:
        every = [(case, name, base) for case in summary.cases for name, base in bases.items()]
        return [Pairing(name, case, base, case, "strategies") for case, name, base in every]
    first = summary.baseline
    if first is None or summary.searched:
        return []  # a search chose each strategy its own rates: what differs is the rate
    others = [name for name in summary.strategies if name != first]
    return [
        *(Pairing(name, case, first, case, "baseline") for case in summary.cases for name in others),
        *(
            Pairing(name, case, base, case, "strategies")
            for case in summary.cases
            for base, name in combinations(others, 2)
        ),
        *(
            Pairing(name, case, name, base, "cases")
            for name in (first, *others)
            for base, case in _case_pairs(summary)
        ),
    ]


def _case_pairs(summary: Summary) -> list[tuple[Case, Case]]:
    """The cases that differ in one thing that was chosen: encodings, clients, or neighbouring rates.

    The classes of payloads are compared only in a run of a single strategy, which has no better question.
    """
    alone = len(summary.strategies) == 1
    rated = [case for case in summary.cases if case.kind in ("open", "common")]
    found = []
    for base, case in combinations(summary.cases, 2):
        alike = (base.payload_class == case.payload_class, base.encoding == case.encoding)
        if base.load == case.load:
            # either other payloads, or another encoding of the same
            wanted = alike == (True, False) or (alone and alike == (False, True))
        elif base.kind == case.kind == "closed":
            wanted = alike == (True, True)
        else:
            wanted = alike == (True, True) and _neighbours(rated, base, case)
        if wanted:
            found.append((base, case))
    return found


def _neighbours(rated: Sequence[Case], base: Case, case: Case) -> bool:
    """Whether both are rates, of one kind and pattern, with no other between them."""
    key = (base.payload_class, base.encoding, base.kind, base.arrivals)
    alike = [one for one in rated if (one.payload_class, one.encoding, one.kind, one.arrivals) == key]
    return base in alike and case in alike and abs(alike.index(base) - alike.index(case)) == 1


def _rows(summary: Summary, pairing: Pairing) -> tuple[Row | None, Row | None]:
    """The rows of base and strategy."""
    ours = summary.rows.get((pairing.strategy, pairing.case))
    return summary.rows.get((pairing.base, pairing.base_case)), ours


def obstacle(theirs: Row, ours: Row, *, offered_alike: bool) -> Obstacle | None:
    """Why two rows are not compared; None if they are. Offered alike, they may be unequally busy."""
    if theirs.overloaded or ours.overloaded:
        return "overloaded"
    if offered_alike:
        return None
    if theirs.utilisation is None or ours.utilisation is None:
        return "utilisation_unknown"
    reached = sorted((theirs.utilisation.centre, ours.utilisation.centre))
    return "utilisation" if reached[1] > (1 + UTILISATION_ALLOWED) * reached[0] else None


def _within_run(theirs: Row, ours: Row) -> Obstacle | None:
    return obstacle(theirs, ours, offered_alike=theirs.case.same_for_all and ours.case.same_for_all)


def _comparison(summary: Summary, pairing: Pairing, metric: Metric, *, bootstrap: bool) -> Comparison | None:
    theirs, ours = _rows(summary, pairing)
    if ours is None or theirs is None or _within_run(theirs, ours) is not None:
        return None
    if metric.set_by_schedule and (ours.case.at_due_times or theirs.case.at_due_times):
        return None
    a, b = _above_zero(theirs.rounds[metric.name]), _above_zero(ours.rounds[metric.name])
    return statistics.paired_ratio(a, b, bootstrap=bootstrap)


def _above_zero(rounds: Mapping[int, float]) -> dict[int, float]:
    """The rounds whose value has a logarithm; a round without a right answer is reported as invalid."""
    return {number: value for number, value in rounds.items() if value > 0}
