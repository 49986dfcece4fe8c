"""The search for the highest rate at which a service-level objective holds."""

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Generic, TypeVar

import numpy as np

from bench.measure.plan import Objective, SessionPlan
from bench.measure.steps.probe import probe_of
from bench.measure.steps.step import Agenda, Step, StepContext, Taking
from bench.measure.steps.trial import TrialStep, attempt, trial_spec
from bench.model import Probe, Run, SloResult, gravity

LOWEST_SHARE = 0.10
# the search ends once the highest rate that held and the lowest that did not are this close
RESOLUTION = 0.05
# a rate counts once so many fresh trials of it held, beside the first, before so many missed
CONFIRMATIONS, MOST_MISSES = 3, 3
# a rate that a trial missed is tried again before it counts as missed: the host may have had a hiccup
MISSES = 2
# as often may a trial of a rate say nothing before another rate is tried
SILENT = 3
STEP_DOWN = 0.95
MOST_PROBES = 40
# the trials that one rate's confirmation takes at most, which are kept for the lowest rate
LAST_TRIES = CONFIRMATIONS + MOST_MISSES - 1
Event = TypeVar("Event")


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchStep(Step):
    """The search for the highest rate at which a strategy holds the plan's objective."""

    kind: str = "objective"
    overhead_s: ClassVar[float] = 0.0
    void_is_news: ClassVar[bool] = False

    @classmethod
    def planned(cls, agenda: Agenda) -> Sequence[Step]:
        """One for each strategy and set of payloads, if the plan has an objective."""
        plan = agenda.plan
        return [] if plan.objective is None else cls.of_each_set(plan, [one.name for one in plan.strategies])

    @classmethod
    def windows_s(cls, plan: SessionPlan) -> float:
        """As many trials as a search makes at most."""
        return MOST_PROBES * (TrialStep.overhead_s + TrialStep.windows_s(plan))

    def is_done(self, run: Run) -> bool:
        """Whether the run has the result of this search."""
        return any(map(self.is_about, run.objectives))

    def take(self, context: StepContext) -> Taking[None]:
        """Try rates, each in a fresh copy, and yield every trial before the result."""
        objective = context.plan.objective
        if objective is None:
            raise ValueError("a search needs an objective")
        capacity = next((one for one in context.run.capacities if self.is_about(one)), None)
        if capacity is None:
            return  # the run has the result, and why there is none
        capacity_rps = capacity.throughput_rps

        def probe(rate: float, round_: int) -> Taking[Probe]:
            spec = trial_spec(context, self, objective.at(rate), round_)
            tried = yield from attempt(context, spec, self.label(), context.folder)
            yield tried.trial
            return probe_of(objective, rate, round_, tried)

        yield self._result(objective, capacity_rps, (yield from search(probe, capacity_rps)))

    def _result(self, objective: Objective, capacity_rps: float, ended: "SearchEnd") -> SloResult:
        goodput = [p.goodput_rps for p in ended.probes if p.held and p.rate_per_s == ended.rate_per_s]
        return SloResult(
            strategy=self.strategy,
            payload_class=self.payload_class,
            encoding=self.encoding,
            quantile=objective.quantile,
            bound_ms=objective.bound_ms,
            capacity_rps=capacity_rps,
            rate_per_s=ended.rate_per_s,
            goodput_rps=round(float(np.mean(goodput)), 3) if goodput else None,
            probes=ended.probes,
            why_none=ended.why_none,
            known=ended.known,
        )


@dataclass(frozen=True, slots=True)
class SearchEnd:
    """The highest rate that held in fresh trials, else why there is none, and all probes in order.

    `known` says whether the search learned that: if no trial of the lowest rate says, it did not.
    """

    rate_per_s: float | None
    probes: tuple[Probe, ...]
    why_none: str = ""
    known: bool = True


Try = Callable[[float, int], Generator[Event, None, Probe]]


def search(probe: Try[Event], capacity_rps: float) -> Generator[Event, None, SearchEnd]:
    """Bisect the rate between a tenth of the capacity and all of it, then confirm the rate that held.

    `probe` tries a rate for the n-th time (from 1), from fresh, and says whether the objective held; it may
    yield events on its way. A trial that misses may have met a hiccup of the host, so a rate is missed only
    if a second trial of it misses too, and the search goes on from a missed lowest rate as from any other. A
    rate of which nothing is known counts as missed, so that no rate is overstated. The rate that the
    bisection ends with has been lucky once: it counts only if three fresh trials of it hold before three
    miss, and gives way until they do, in growing steps; the lowest rate is the last. At most MOST_PROBES
    trials are made.
    """
    tries: _Tries[Event] = _Tries(probe)
    lowest, highest = LOWEST_SHARE * capacity_rps, capacity_rps
    low = yield from _bisected(tries, lowest, highest)
    while True:
        for rate in _descending(low, lowest):
            if tries.left > LAST_TRIES and (yield from tries.confirmed(rate)):
                return tries.found(rate)
        if (yield from tries.confirmed(lowest)):
            return tries.found(lowest)
        # a service of which a rate held once is worth another round of fresh trials
        if tries.left <= LAST_TRIES or not any(one.held for one in tries.made):
            return tries.never(lowest)


def _descending(rate: float, lowest: float) -> Iterator[float]:
    """Rates from this one down, above the lowest: by a twentieth twice, then by steps that double."""
    for step in (1 - STEP_DOWN, 1 - STEP_DOWN, 0.1, 0.2, 0.4, 0.8):
        if rate > lowest:
            yield rate
        rate *= 1 - step


def _bisected(tries: "_Tries[Event]", lowest: float, highest: float) -> Generator[Event, None, float]:
    """The highest rate that held once; the lowest if none did, of which fresh trials have the last word."""
    low, high = lowest, highest
    found = yield from tries.holds(low)
    if found and (yield from tries.holds(high)):
        return high
    while high / low > 1 + RESOLUTION and tries.left > 2 * LAST_TRIES:
        middle = (low * high) ** 0.5
        if (yield from tries.holds(middle)):
            low, found = middle, True
        elif found:
            high = middle
        elif (yield from tries.holds((middle * high) ** 0.5)):
            low, found = (middle * high) ** 0.5, True
        else:
            return lowest
    return low


@dataclass(slots=True)
class _Tries(Generic[Event]):
    """The trials that a search has made."""

    probe: Try[Event]
    made: list[Probe] = field(default_factory=list)

    @property
    def left(self) -> int:
        """How many more may be made."""
        return MOST_PROBES - len(self.made)

    def holds(self, rate: float) -> Generator[Event, None, bool]:
        """Whether a trial of the rate holds, before too many miss or say nothing."""
        return (yield from self._held(rate, 1, MISSES))

    def confirmed(self, rate: float) -> Generator[Event, None, bool]:
        """Whether enough fresh trials of the rate hold, before too many miss or say nothing."""
        return (yield from self._held(rate, CONFIRMATIONS, MOST_MISSES))

    def found(self, rate: float) -> SearchEnd:
        """The end of a search that found a rate."""
        return SearchEnd(_readable(rate), tuple(self.made))

    def never(self, rate: float) -> SearchEnd:
        """The end of a search that found no rate, of which this was the lowest."""
        of_rate = [one for one in self.made if one.rate_per_s == _readable(rate)]
        told = [one for one in of_rate if one.known]
        if not told:
            why = (_gravest(of_rate) or of_rate[-1]).why_not
            return SearchEnd(None, tuple(self.made), f"not known: {why}", known=False)
        if any(one.held for one in self.made):
            why, missed = "not confirmed: rates that held once did not hold in fresh trials", self.made
        else:
            trials = "1 trial" if len(told) == 1 else f"{len(told)} trials"
            why, missed = f"never held: not at {of_rate[0].rate_per_s:g}/s in {trials}", told
        worst = _gravest(missed)
        why += f": {worst.why_not}" if worst else ""
        return SearchEnd(None, tuple(self.made), why)

    def _held(self, rate: float, wanted: int, misses: int) -> Generator[Event, None, bool]:
        rate, held, missed, silent = _readable(rate), 0, 0, 0
        while held < wanted and missed < misses and silent < SILENT and self.left:
            number = 1 + sum(one.rate_per_s == rate for one in self.made)
            one = yield from self.probe(rate, number)
            self.made.append(one)
            held += one.held
            missed += one.known and not one.held
            silent += not one.known
        return held == wanted


def _gravest(probes: Sequence[Probe]) -> Probe | None:
    """The probe in which the service did the gravest thing; None if it was late and no more."""
    told = [(gravity(one.code), one) for one in probes if one.code is not None]
    return min(told, key=lambda one: one[0])[1] if told else None


def _readable(rate: float) -> float:
    """A rate with three digits, as it is offered."""
    return float(f"{rate:.3g}")
