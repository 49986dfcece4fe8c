"""Which strategy a run speaks for: how the strategies stand in what a reader decides by, and what is shown.

In two steps: of the strategies that reach ENOUGH of the best in every case, it speaks for the one that stands
first in most of the rest (lateness at equal rates, start, memory, image). Among strategies that stand first
equally often, the first figures decide.

Strategies that promise less of their answers than others are not among them: how these stand against the
chosen one is said beside it.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

from bench import statistics
from bench.analysis.cases import Case
from bench.analysis.comparisons import ALPHA, LEAST_ROUNDS, compared
from bench.analysis.declared import nearest_promise
from bench.analysis.held_rates import SEARCHES_DIFFER
from bench.analysis.starts import startup_s
from bench.analysis.summary import Row, Summary, equal_rates, rows_at
from bench.model import Run, SloResult
from bench.statistics import Comparison
from bench.statistics.ratios import unpaired_comparison

Criterion = Literal["requests", "held", "lateness", "start", "memory", "image"]
"""What a reader decides by: requests/s of a full service, the rate at which an objective held, p99 at rates
that are the same for all, seconds to the first right answer, peak memory, and bytes of the image to pull."""

MORE_IS_BETTER: frozenset[Criterion] = frozenset({"requests", "held"})
# a strategy that answers less than this share of the best is not weighed by anything else
ENOUGH = 0.8
# bytes of an image hang on no chance, but so little is no reason to choose; of searches there is one each
LEAST_APART: Mapping[Criterion, float] = {"image": 0.01, "held": SEARCHES_DIFFER}

Pair = frozenset[str]


@dataclass(frozen=True, slots=True)
class Standing:
    """How strategies stand in one thing: their figures, the best first, and which pairs are told apart.

    `judged` has the pairs that were measured often enough to be told apart, `apart` those that are. `case` is
    None of what has no case; of an objective, `objective` is one of its results.
    """

    criterion: Criterion
    case: Case | None
    figures: Mapping[str, float]
    judged: frozenset[Pair]
    apart: frozenset[Pair]
    objective: SloResult | None = None

    @property
    def best(self) -> str:
        """The strategy with the best figure."""
        return next(iter(self.figures))

    @property
    def ahead(self) -> tuple[str, ...]:
        """The strategy with the best figure, and those that are not told apart from it."""
        best = self.best
        return tuple(one for one in self.figures if one == best or frozenset((one, best)) not in self.apart)

    def beats(self, name: str, other: str) -> bool:
        """Whether a strategy has a better figure than another, from which it is told apart."""
        first = next(one for one in self.figures if one in (name, other))
        return first == name and frozenset((name, other)) in self.apart

    def enough(self, name: str) -> bool:
        """Whether a strategy reaches ENOUGH of the best figure, or rounds did not tell it apart from it."""
        best, figure = self.figures[self.best], self.figures[name]
        share = figure / best if self.criterion in MORE_IS_BETTER else best / figure
        return share >= ENOUGH or (name in self.ahead and frozenset((name, self.best)) in self.judged)


@dataclass(frozen=True, slots=True)
class Lesser:
    """A strategy that promises less of its answers than those that can be chosen, beside the best of these.

    `standings` are of the two alone, in what decides first. `ahead` are those in which it is better: told
    apart from the other, or, where `proven` is false, by the figures alone.
    """

    strategy: str
    standings: tuple[Standing, ...]
    proven: bool

    @property
    def ahead(self) -> tuple[Standing, ...]:
        """The standings in which it is better than the strategy of the higher promise."""
        first = [one for one in self.standings if one.best == self.strategy]
        return tuple(one for one in first if one.apart or not self.proven)

    def beside(self, one: Standing) -> str:
        """The strategy that it stands beside."""
        return next(name for name in one.figures if name != self.strategy)


@dataclass(frozen=True, slots=True)
class Choice:
    """What a run says to somebody who must choose: the strategies that can be chosen, and how they stand.

    `strategies` have a valid figure in every case in which any has one, and of all that do, their promise of
    their answers is the nearest to the reference. `lesser` has those that promise less, `left_out` those that
    lack a figure. `blank` has the cases without any. `near` has the strategies that reach ENOUGH of the best
    in every case. `pick` is one of these, or None if there are none or fewer than two strategies have
    figures; it is `proven` if more than one round was measured. The first `primary` of the standings are what
    decides first: requests/s of closed loads, else rates that held, else lateness.
    """

    strategies: tuple[str, ...]
    left_out: tuple[str, ...]
    blank: tuple[Case, ...]
    standings: tuple[Standing, ...]
    primary: int
    near: tuple[str, ...]
    pick: str | None
    proven: bool
    lesser: tuple[Lesser, ...] = ()

    @property
    def leads(self) -> tuple[Criterion, ...]:
        """The criteria in all of whose standings the pick alone is ahead."""
        criteria = dict.fromkeys(one.criterion for one in self.standings)
        return tuple(
            criterion
            for criterion in criteria
            if all(one.ahead == (self.pick,) for one in self.standings if one.criterion == criterion)
        )

    @property
    def rivals(self) -> tuple[str, ...]:
        """The other strategies that are near the best in every case."""
        return tuple(name for name in self.near if name != self.pick)

    @property
    def beats_rivals_in(self) -> tuple[Criterion, ...]:
        """The criteria in all of whose standings the pick has a better figure than each rival, told apart."""
        every = dict.fromkeys(one.criterion for one in self.standings)
        worse = {
            one.criterion
            for one in self.standings
            if not all(self.pick and one.beats(self.pick, rival) for rival in self.rivals)
        }
        return tuple(criterion for criterion in every if criterion not in worse)

    @property
    def level(self) -> tuple[str, ...]:
        """The rivals that are ahead in as many of the standings after the first as the pick is."""
        return tuple(name for name in self.rivals if self._ahead_in(name) == self._ahead_in(self.pick))

    @property
    def ahead_in(self) -> tuple[Criterion, ...]:
        """The criteria after the first in any of whose standings the pick is ahead, alone or not."""
        found = (one.criterion for one in self.standings[self.primary :] if self.pick in one.ahead)
        return tuple(dict.fromkeys(found))

    def _ahead_in(self, name: str | None) -> int:
        return sum(name in one.ahead for one in self.standings[self.primary :])

    @property
    def open(self) -> tuple[str, ...]:
        """The strategies that nothing tells apart from the pick."""
        known = {pair for one in self.standings for pair in one.apart}
        others = [name for name in self.strategies if self.pick and name != self.pick]
        return tuple(name for name in others if frozenset((name, self.pick)) not in known)


def choose(run: Run, summary: Summary) -> Choice:
    """How the strategies of a run stand and which of them it speaks for.

    A single round tells nobody apart: by its figures alone the best of what decides first is picked.
    """
    lateness = _lateness(summary)
    wanted = _held(run) if summary.searched else _requests(summary)
    wanted, more = (wanted, lateness) if any(one.figures for one in wanted) else (lateness, [])
    first = [one for one in wanted if one.figures]
    known = tuple(name for name in summary.strategies if first and all(name in one.figures for one in first))
    names = _of_the_nearest_promise(summary, known)
    told = _told(run, summary, names)
    standings = tuple(
        _standing(one, names, told)
        for one in [*first, *more, *_costs(run, summary)]
        if names and all(name in one.figures for name in names)
    )
    primary = len(first) if names else 0
    rest = () if summary.one_round else standings[primary:]
    near = tuple(name for name in names if all(one.enough(name) for one in standings[:primary]))
    several = len(known) > 1
    pick = _pick(near, standings[:primary], rest) if several else None
    return Choice(
        strategies=names,
        left_out=tuple(name for name in summary.strategies if names and name not in known),
        blank=tuple(one.case for one in wanted if one.case and not one.figures),
        standings=standings,
        primary=primary,
        near=near,
        pick=pick,
        proven=not summary.one_round,
        lesser=tuple(
            Lesser(name, tuple(_beside(one, name, pick, names, told) for one in first), not summary.one_round)
            for name in known
            if name not in names
        ),
    )


def _of_the_nearest_promise(summary: Summary, known: Sequence[str]) -> tuple[str, ...]:
    """Those of the strategies whose promise is the nearest to the reference of all of them."""
    wanted = nearest_promise([summary.quality_of(name) for name in known])
    return tuple(name for name in known if summary.quality_of(name).quality.promise == wanted)


@dataclass(frozen=True, slots=True)
class _Figures:
    """What strategies have in one thing, before anybody is told apart."""

    criterion: Criterion
    case: Case | None
    figures: Mapping[str, float]
    objective: SloResult | None = None


# the pairs that were measured often enough to be told apart, and whether they are
Told = Mapping[tuple[Criterion, Case | None, Pair], bool]


def _pick(near: Sequence[str], primary: Sequence[Standing], rest: Sequence[Standing]) -> str | None:
    def rank(name: str) -> tuple[int, float]:
        size = sum(math.log(one.figures[name]) for one in primary)
        return sum(name in one.ahead for one in rest), size if primary[
            0
        ].criterion in MORE_IS_BETTER else -size

    return max(near, key=rank, default=None)


def _beside(found: _Figures, name: str, pick: str | None, names: Sequence[str], told: Told) -> Standing:
    """How a strategy stands beside the pick, or beside the best of `names` if there is no pick."""
    more = found.criterion in MORE_IS_BETTER
    best = (max if more else min)(names, key=lambda one: found.figures[one])
    return _standing(found, (pick or best, name), told)


def _standing(found: _Figures, names: Sequence[str], told: Told) -> Standing:
    more, least = found.criterion in MORE_IS_BETTER, LEAST_APART.get(found.criterion)
    figures = dict(
        sorted(((name, found.figures[name]) for name in names), key=lambda one: one[1], reverse=more)
    )
    apart: dict[Pair, bool] = {}
    for a, b in combinations(names, 2):
        pair, key = frozenset((a, b)), (found.criterion, found.case, frozenset((a, b)))
        if least is not None:
            apart[pair] = abs(math.log(figures[a] / figures[b])) > math.log1p(least)
        elif key in told:
            apart[pair] = told[key]
    differing = frozenset(pair for pair, differs in apart.items() if differs)
    return Standing(found.criterion, found.case, figures, frozenset(apart), differing, found.objective)


def _held(run: Run) -> list[_Figures]:
    """The rates at which each objective held, of the strategies that held it at any."""
    groups: dict[tuple[object, ...], list[SloResult]] = {}
    for one in run.objectives:
        groups.setdefault((one.payload_class, one.encoding, one.quantile, one.bound_ms), []).append(one)
    return [
        _Figures("held", None, {one.strategy: one.rate_per_s for one in found if one.rate_per_s}, found[0])
        for found in groups.values()
    ]


def _requests(summary: Summary) -> list[_Figures]:
    """The requests/s in each case that stands for the run, if its loads are closed."""
    cases = [case for case in summary.focus if not case.at_due_times]
    return [_Figures("requests", case, _estimates(rows_at(summary, [case]), "throughput")) for case in cases]


def _lateness(summary: Summary) -> list[_Figures]:
    """The p99 of each payloads at the highest rate that is the same for all and overloaded none."""
    return [
        _Figures("lateness", case, _estimates(rows_at(summary, [case]), "p99"))
        for case in equal_rates(summary).values()
    ]


def _costs(run: Run, summary: Summary) -> list[_Figures]:
    """Seconds to the first right answer, the most memory of any case in focus, and the image to pull."""
    memory = {name: _memory_by_round(summary, name) for name in summary.strategies}
    starts = {name: startup_s(result) for name, result in run.strategies.items()}
    images = {name: one.image.compressed_bytes for name, one in run.strategies.items() if one.image}
    return [
        _Figures("start", None, {name: one.centre for name, one in starts.items() if one}),
        _Figures("memory", None, {name: max(one.values()) for name, one in memory.items() if one}),
        _Figures("image", None, {name: float(one) for name, one in images.items() if one}),
    ]


def _estimates(rows: Iterable[Row], metric: str) -> dict[str, float]:
    found = {row.strategy: row.estimates[metric] for row in rows if not row.overloaded}
    return {name: one.centre for name, one in found.items() if one is not None and one.centre > 0}


def _memory_by_round(summary: Summary, name: str) -> dict[int, float]:
    """The most memory of a strategy in each round, over the cases that stand for the run."""
    most: dict[int, float] = {}
    for row in rows_at(summary, summary.focus):
        for number, value in row.rounds["memory"].items() if row.strategy == name else ():
            most[number] = max(most.get(number, 0.0), value)
    return most


def _told(run: Run, summary: Summary, names: Sequence[str]) -> Told:
    """What rounds and starts tell of pairs: by the run's comparisons, and by a family of memory and start."""
    criteria: dict[str, Criterion] = {"throughput": "requests", "p99": "lateness"}
    judged: dict[tuple[Criterion, Case | None, Pair], bool] = {
        (criteria[one.metric], one.case, frozenset((one.strategy, one.base))): one.differs
        for one in (() if summary.one_round else compared(summary))
        if one.relation != "cases" and one.outcome is not None and one.metric in criteria
    }
    return {**judged, **_costs_told(run, summary, names)}


def _costs_told(
    run: Run, summary: Summary, names: Sequence[str]
) -> dict[tuple[Criterion, Case | None, Pair], bool]:
    """Whether memory and start of pairs differ, after Holm's correction over all these comparisons."""
    memory = {name: _memory_by_round(summary, name) for name in names}
    starts = {name: one.startup.first_correct_answer_s for name, one in run.strategies.items() if one.startup}
    family: list[tuple[Criterion, Pair, Comparison | None]] = []
    for a, b in combinations(names, 2):
        pair = frozenset((a, b))
        family.append(("memory", pair, statistics.paired_ratio(memory[a], memory[b], bootstrap=False)))
        family.append(("start", pair, unpaired_comparison(starts.get(a, ()), starts.get(b, ()))))
    known = [(what, pair, one) for what, pair, one in family if one is not None and one.n >= LEAST_ROUNDS]
    adjusted = statistics.holm([one.t_p_value for *_, one in known])
    return {
        (what, None, pair): p is not None and p <= ALPHA
        for (what, pair, _), p in zip(known, adjusted, strict=True)
    }
