"""The search for the highest rate at which a service-level objective holds."""

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Generic, TypeVar

import numpy as np

from bench.measure.plan import Objective, SessionPlan
from bench.measure.steps.probe import probe_of
from bench.measure.steps.step import Agenda, Step, StepContext, Taking
from bench.measure.steps.trial import TrialStep, attempt, longest_s, trial_spec
from bench.model import Probe, Run, SloResult, gravity

LOWEST_SHARE = 0.10
# the search ends once the highest rate that held and the lowest that did not are this close
RESOLUTION = 0.05
# a rate counts if the requests of so many fresh trials hold the objective, taken together
CONFIRMATIONS = 6
# a rate that a trial missed is tried again before it counts as missed: the host may have had a hiccup
MISSES = 2
# by so much a rate gives way, time after time, if fresh trials do not hold
STEPS_DOWN = (0.05, 0.05, 0.05, 0.1, 0.1, 0.2, 0.4, 0.8)
# of the trials that say something, at most so many are made
MOST_PROBES = 60
# as many it usually makes (METHODOLOGY.md: the median of simulated searches on a quiet host)
USUAL_PROBES = 23
# trials that say nothing are made again: at most so many of a search, and at most so many in a row
MOST_SILENT, SILENT = 100, 25
# the fresh trials that the lowest rate gets: at least so many, and at most so many if there is room
LAST_LEAST, LAST_TRIES = 3, 2 * CONFIRMATIONS
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
        """As many trials as a search usually makes."""
        return USUAL_PROBES * (TrialStep.overhead_s + TrialStep.windows_s(plan))

    def most_s(self, plan: SessionPlan) -> float:
        """As many of the longest trials as may say something; those that say nothing come on top."""
        return MOST_PROBES * (TrialStep.overhead_s + longest_s(plan.typical_load, plan.window_most_s))

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
            spec = replace(spec, window_least_s=objective.window_s)
            tried = yield from attempt(context, spec, self.label(), context.folder)
            yield tried.trial
            return probe_of(objective, rate, round_, tried)

        ended = yield from search(probe, capacity_rps, 1 - objective.quantile)
        yield self._result(objective, capacity_rps, ended)

    def _result(self, objective: Objective, capacity_rps: float, ended: "SearchEnd") -> SloResult:
        goodput = [p.goodput_rps for p in ended.probes if p.known and p.rate_per_s == ended.rate_per_s]
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


def search(probe: Try[Event], capacity_rps: float, allowed: float) -> Generator[Event, None, SearchEnd]:
    """Bisect the rate between a tenth of the capacity and all of it, then confirm the rate that held.

    `probe` tries a rate for the n-th time (from 1), from fresh, and says whether the objective held, which
    allows this share of the requests to miss; it may yield events on its way. A trial that says nothing is
    made again and is no evidence; if there are too many of them, the search ends without knowing. In the
    bisection a rate is missed only if a second trial of it misses too, and the search goes on from a missed
    lowest rate as from any other. The rate that it ends with has been lucky: it counts only if fresh trials
    of it hold, taken together, and gives way until they do, in growing steps; the lowest rate is the last.
    """
    tries: _Tries[Event] = _Tries(probe, allowed)
    lowest, highest = LOWEST_SHARE * capacity_rps, capacity_rps
    try:
        low = yield from _bisected(tries, lowest, highest)
        for rate in _descending(low, lowest):
            if tries.left >= 2 * CONFIRMATIONS and (yield from tries.confirmed(rate, CONFIRMATIONS)):
                return tries.found(rate)
        if (yield from tries.confirmed(lowest, min(LAST_TRIES, tries.left), LAST_LEAST)):
            return tries.found(lowest)
    except _SilenceError:
        return tries.unknown()
    return tries.never(lowest)


class _SilenceError(Exception):
    """Too many trials said nothing."""


def _descending(rate: float, lowest: float) -> Iterator[float]:
    """Rates from this one down, above the lowest, in growing steps."""
    for step in STEPS_DOWN:
        if rate > lowest:
            yield rate
        rate *= 1 - step


def _bisected(tries: "_Tries[Event]", lowest: float, highest: float) -> Generator[Event, None, float]:
    """The highest rate that held once; the lowest if none did, of which fresh trials have the last word."""
    low, high = lowest, highest
    found = yield from tries.holds(low)
    if found and (yield from tries.holds(high)):
        return high
    while high / low > 1 + RESOLUTION and tries.left >= LAST_TRIES + CONFIRMATIONS + 2 * MISSES:
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
    allowed: float
    made: list[Probe] = field(default_factory=list)

    @property
    def told(self) -> list[Probe]:
        """The trials that say something."""
        return [one for one in self.made if one.known]

    @property
    def left(self) -> int:
        """How many more of these may be made."""
        return MOST_PROBES - len(self.told)

    def holds(self, rate: float) -> Generator[Event, None, bool]:
        """Whether a trial of the rate holds, before too many miss."""
        for _ in range(MISSES):
            if (yield from self._one(rate)).held:
                return True
        return False

    def confirmed(self, rate: float, most: int, least: int = 1) -> Generator[Event, None, bool]:
        """Whether fresh trials of the rate hold together, and all trials until now of rates up to this one.

        What misses at a lower rate would miss at this one too. Up to `most` trials are made if the first
        ones do not hold, but no more than `least` once these cannot make up for what missed.
        """
        fresh: list[Probe] = []
        while len(fresh) < CONFIRMATIONS or (not self._hold(fresh) and len(fresh) < most):
            fresh.append((yield from self._one(rate)))
            requests, missed = _counts(fresh)
            if len(fresh) >= least and missed > self.allowed * requests * most / len(fresh):
                return False
        until = [one for one in self.told if one.rate_per_s <= _readable(rate)]
        return self._hold(fresh) and self._hold(until)

    def _hold(self, probes: Sequence[Probe]) -> bool:
        """Whether the requests of these trials hold the objective, taken together."""
        requests, missed = _counts(probes)
        return missed <= self.allowed * requests

    def found(self, rate: float) -> SearchEnd:
        """The end of a search that found a rate."""
        return SearchEnd(_readable(rate), tuple(self.made))

    def unknown(self) -> SearchEnd:
        """The end of a search in which too many trials said nothing."""
        silent = [one for one in self.made if not one.known]
        why = (_gravest(silent) or silent[-1]).why_not
        return SearchEnd(None, tuple(self.made), f"not known: {why}", known=False)

    def never(self, rate: float) -> SearchEnd:
        """The end of a search that found no rate, of which this was the lowest."""
        if any(one.held for one in self.made):
            why, missed = "not confirmed: rates that held once did not hold in fresh trials", self.told
        else:
            missed = [one for one in self.told if one.rate_per_s == _readable(rate)]
            trials = "1 trial" if len(missed) == 1 else f"{len(missed)} trials"
            why = f"never held: not at {_readable(rate):g}/s in {trials}"
        worst = _gravest(missed)
        why += f": {worst.why_not}" if worst else ""
        return SearchEnd(None, tuple(self.made), why)

    def _one(self, rate: float) -> Generator[Event, None, Probe]:
        """A trial of the rate that says something; raises _SilenceError after too many that do not."""
        rate = _readable(rate)
        for _ in range(SILENT):
            number = 1 + sum(one.rate_per_s == rate for one in self.made)
            self.made.append((yield from self.probe(rate, number)))
            if self.made[-1].known:
                return self.made[-1]
            if len(self.made) - len(self.told) >= MOST_SILENT:
                break
        raise _SilenceError


def _counts(probes: Sequence[Probe]) -> tuple[int, int]:
    """The requests of all these trials, and how many of them missed."""
    return sum(one.requests for one in probes), sum(one.missed for one in probes)


def _gravest(probes: Sequence[Probe]) -> Probe | None:
    """The probe in which the service did the gravest thing; None if it was late and no more."""
    told = [(gravity(one.code), one) for one in probes if one.code is not None]
    return min(told, key=lambda one: one[0])[1] if told else None


def _readable(rate: float) -> float:
    """A rate with three digits, as it is offered."""
    return float(f"{rate:.3g}")
