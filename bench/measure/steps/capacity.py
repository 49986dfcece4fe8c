"""A strategy's capacity before a search: the most that it answers in a closed loop."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from bench.measure.plan import SessionPlan
from bench.measure.steps.step import Agenda, Step, StepContext, Taking, scratch_folder
from bench.measure.steps.trial import attempt, longest_s, trial_spec
from bench.model import Capacity, Run, SloResult, Trial, in_words

# a trial that the host spoiled says nothing about the service, and is made again once
TRIES = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class CapacityStep(Step):
    """The capacity of a strategy with one set of payloads."""

    kind: str = "capacity"
    overhead_s: ClassVar[float] = 6.5
    fresh_starts: ClassVar[int] = 1

    @classmethod
    def planned(cls, agenda: Agenda) -> Sequence[Step]:
        """One for each strategy and set of payloads, if an objective is searched, which begins from it.

        A share of capacity is one of what the closed loop of the rounds answers.
        """
        plan = agenda.plan
        return [] if plan.objective is None else cls.of_each_set(plan, [one.name for one in plan.strategies])

    @classmethod
    def windows_s(cls, plan: SessionPlan) -> float:
        """A warm-up and a window."""
        return plan.typical_load.warmup_s + plan.typical_load.window_s

    def most_s(self, plan: SessionPlan) -> float:
        """As many of the longest trials as it may make."""
        return TRIES * (self.overhead_s + longest_s(plan.typical_load))

    def is_done(self, run: Run) -> bool:
        """Whether the run has this capacity."""
        return any(map(self.is_about, run.capacities))

    def take(self, context: StepContext) -> Taking[None]:
        """Drive a closed loop; if two trials are both invalid, the search has no begin and ends unknown."""
        windows = context.plan.typical_load
        load = context.plan.closed_load(windows.warmup_s, windows.window_s)
        spec = trial_spec(context, self, load)
        with scratch_folder() as folder:
            for _ in range(TRIES):
                trial = (yield from attempt(context, spec, self.label(), folder)).trial
                if trial.valid and trial.throughput_rps:
                    yield Capacity(
                        self.strategy, self.payload_class, self.encoding, load.clients, trial.throughput_rps
                    )
                    return
        unknown = self._unknown(context.plan, trial)
        context.progress.note(f"{self.label()}: {unknown.why_none}")
        yield unknown

    def _unknown(self, plan: SessionPlan, last: Trial) -> SloResult:
        """The end of a search that cannot begin, for the reasons that the last trial has."""
        if plan.objective is None:
            raise ValueError("a capacity before the rounds is for a search")
        reasons = [one for one in last.reasons if one.voids] or last.reasons
        why = "; ".join(map(in_words, reasons)) or "nothing was answered"
        return SloResult(
            strategy=self.strategy,
            payload_class=self.payload_class,
            encoding=self.encoding,
            quantile=plan.objective.quantile,
            bound_ms=plan.objective.bound_ms,
            capacity_rps=None,
            rate_per_s=None,
            goodput_rps=None,
            probes=(),
            why_none=f"not known: its capacity is not, from which a search begins: {why}",
            known=False,
        )
