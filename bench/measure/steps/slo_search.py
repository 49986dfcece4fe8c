"""The search for the highest rate at which a service-level objective holds."""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import ClassVar, TypeVar

import numpy as np

from bench.load.samples import Samples
from bench.measure.plan import Objective, SessionPlan
from bench.measure.steps.capacity import TRIES
from bench.measure.steps.step import Agenda, Step, StepContext, Taking
from bench.measure.steps.trial import TrialStep, Tried, attempt, trial_spec
from bench.model import OUTCOMES, Probe, Run, SloResult, Trial, in_words
from bench.statistics import least_n

OK = OUTCOMES.index("ok")
LOWEST_SHARE = 0.10
# the search ends once the highest rate that held and the lowest that did not are this close
RESOLUTION = 0.05
CONFIRMATIONS = 3
STEP_DOWN = 0.95
MOST_PROBES = 14
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
        """Try rates, each in a fresh copy, and yield each trial that counts before the result."""
        objective = context.plan.objective
        if objective is None:
            raise ValueError("a search needs an objective")
        capacity_rps = next(one for one in context.run.capacities if self.is_about(one)).throughput_rps

        def probe(rate: float, round_: int) -> Taking[Probe]:
            spec = trial_spec(context, self, objective.at(rate), round_)
            judged = None
            for _ in range(TRIES):
                tried = yield from attempt(context, spec, self.label(), context.folder)
                judged = judge_probe(objective, rate, round_, tried)
                if judged is not None:
                    break
            yield tried.trial
            return judged or _undecided(rate, round_, tried)

        yield self._result(objective, capacity_rps, (yield from search(probe, capacity_rps)))

    def _result(self, objective: Objective, capacity_rps: float, ended: "SearchEnd") -> SloResult:
        goodput = [p.goodput_rps for p in ended.probes if p.rate_per_s == ended.rate_per_s]
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
    """The highest rate that held in every confirmation, else why there is none, and all probes in order.

    `known` says whether the search learned that: if its first probe does not say, it did not.
    """

    rate_per_s: float | None
    probes: tuple[Probe, ...]
    why_none: str = ""
    known: bool = True


def search(
    probe: Callable[[float, int], Generator[Event, None, Probe]], capacity_rps: float
) -> Generator[Event, None, SearchEnd]:
    """Bisect the rate between a tenth of the capacity and all of it, then confirm the rate that held.

    `probe` tries a rate in a round (from 1) and says whether the objective held; it may yield events on its
    way. A rate of which this is not known counts as a rate that did not hold, so that no rate is overstated.
    The rate that the bisection ends with has been lucky once: it counts only if fresh trials of it hold too,
    and gives way by a twentieth until they do. At most MOST_PROBES trials are made.
    """
    probes: list[Probe] = []

    def holds(rate: float, round_: int) -> Generator[Event, None, bool]:
        probes.append((yield from probe(_readable(rate), round_)))
        return probes[-1].held

    def confirmed(rate: float) -> Generator[Event, None, bool]:
        for number in range(2, CONFIRMATIONS + 1):
            if not (yield from holds(rate, number)):
                return False
        return True

    low, high = LOWEST_SHARE * capacity_rps, capacity_rps
    if not (yield from holds(low, 1)):
        first = probes[0]
        why = f"never held: not at {first.rate_per_s:g}/s" if first.known else f"not known: {first.why_not}"
        return SearchEnd(None, tuple(probes), why, known=first.known)
    if (yield from holds(high, 1)):
        low = high
    while high / low > 1 + RESOLUTION:
        middle = (low * high) ** 0.5
        low, high = (middle, high) if (yield from holds(middle, 1)) else (low, middle)
    rate = low
    while rate >= LOWEST_SHARE * capacity_rps and len(probes) + CONFIRMATIONS - 1 <= MOST_PROBES:
        if (yield from confirmed(rate)):
            return SearchEnd(_readable(rate), tuple(probes))
        rate *= STEP_DOWN
    return SearchEnd(None, tuple(probes), "not confirmed: rates that held once did not hold in fresh trials")


def judge_probe(objective: Objective, rate: float, round_: int, tried: Tried) -> Probe | None:
    """Whether the objective held in a trial; None if the trial does not say."""
    trial, samples = tried.trial, tried.samples
    if samples is None:
        return None
    begin_ns, end_ns = int(trial.warmup_s * 1e9), int((trial.warmup_s + trial.window_s) * 1e9)
    due = (samples.due_ns >= begin_ns) & (samples.due_ns < end_ns)
    offered, good = int(due.sum()), within(samples, objective.bound_ms)
    if offered < least_n(objective.quantile) or not (trial.valid or _service_alone(trial)):
        return None
    missed = 1 - int((due & good).sum()) / offered
    allowed = 1 - objective.quantile
    if not trial.valid and missed <= allowed:
        return None
    ended = (samples.done_ns >= begin_ns) & (samples.done_ns < end_ns)
    held = missed <= allowed
    return Probe(
        rate_per_s=rate,
        round=round_,
        quantile_ms=_quantile_ms(samples, due, objective.quantile),
        goodput_rps=round(int((ended & good).sum()) / trial.window_s, 3),
        throughput_rps=trial.throughput_rps or 0.0,
        held=held,
        why_not="" if held else f"{missed:.1%} of the requests were not within {objective.bound_ms:g} ms",
    )


def _service_alone(trial: Trial) -> bool:
    """Whether everything that voids the trial is the service's own doing."""
    return trial.error is None and all(one.cause == "service" for one in trial.doubts if one.voids)


def within(samples: Samples, bound_ms: float) -> "np.typing.NDArray[np.bool_]":
    """Which requests were answered rightly within the bound, from due to done."""
    good: np.typing.NDArray[np.bool_] = (samples.outcome == OK) & (
        samples.done_ns - samples.due_ns <= bound_ms * 1e6
    )
    return good


def _quantile_ms(samples: Samples, due: "np.typing.NDArray[np.bool_]", quantile: float) -> float | None:
    """The quantile over all requests that came due; requests without a right answer rank above all others."""
    times = np.where(samples.outcome == OK, (samples.done_ns - samples.due_ns) / 1e6, np.inf)[due]
    rank = max(1, int(np.ceil(quantile * len(times) - 1e-9)))
    value = float(np.partition(times, rank - 1)[rank - 1])
    return round(value, 3) if np.isfinite(value) else None


def _undecided(rate: float, round_: int, tried: Tried) -> Probe:
    trial = tried.trial
    said = "; ".join(map(in_words, trial.reasons))
    why = said or f"{trial.requests} requests are too few: lengthen --window-s"
    return Probe(rate, round_, None, 0.0, trial.throughput_rps or 0.0, held=False, why_not=why, known=False)


def _readable(rate: float) -> float:
    """A rate with three digits, as it is offered."""
    return float(f"{rate:.3g}")
