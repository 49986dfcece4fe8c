"""One long trial a strategy, from the first request on: what grows or falls with uptime."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import msgspec

from bench.load import uptime_spans
from bench.measure.judge import TrialSpec
from bench.measure.plan import SessionPlan
from bench.measure.steps.pair import PairStep, try_both
from bench.measure.steps.step import Agenda, Step, StepContext, Taking, TrialInterrupted
from bench.measure.steps.trial import TrialStep, Tried, attempt, trial_spec
from bench.model import Doubt, DoubtCode, Load, LongTrial, Run, UptimeChange, in_words

# a long trial is there to see what is not steady
ANY_CHANGE = 1.0
UNITS = {"throughput": "requests/s", "p99": "ms"}
# after these nothing is answered any more, or by another process
ENDS: frozenset[DoubtCode] = frozenset(
    {"start_failed", "out_of_memory", "exited", "restarted", "interrupted"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LongStep(TrialStep):
    """A long trial of a strategy with one set of payloads, after the rounds."""

    kind: str = "long trial"
    overhead_s: ClassVar[float] = 7.0

    @classmethod
    def planned(cls, agenda: Agenda) -> Sequence[Step]:
        """One for each strategy and set of payloads, if long trials are asked for."""
        return [] if agenda.plan.base else long_steps(cls, agenda.plan)

    @classmethod
    def windows_s(cls, plan: SessionPlan) -> float:
        """The whole long trial, its warm-up too."""
        return plan.long_s

    def most_s(self, plan: SessionPlan) -> float:
        """As long as it is planned."""
        return self.overhead_s + plan.long_s

    def is_done(self, run: Run) -> bool:
        """Whether the run has the long trial."""
        return any(self.is_about(one.trial) for one in run.longs)

    def take(self, context: StepContext) -> Taking[None]:
        """Start a copy, drive it for long and stop it; Ctrl-C leaves nothing of it."""
        load = lengthened(context.plan.long_load, context.plan.long_s)
        spec = trial_spec(context, self, load)
        spec = replace(spec, bounds=replace(spec.bounds, steady=ANY_CHANGE))
        try:
            tried = yield from attempt(context, spec, self.label(), context.folder)
        except TrialInterrupted:
            raise KeyboardInterrupt from None
        yield from told(context, spec, tried)


@dataclass(frozen=True, slots=True, kw_only=True)
class LongPairStep(PairStep):
    """A long trial of a strategy and of its twin, another commit's, at once."""

    kind: str = "long pair"
    overhead_s: ClassVar[float] = 8.0

    @classmethod
    def planned(cls, agenda: Agenda) -> Sequence[Step]:
        """One for each strategy and set of payloads, if base and head are measured side by side."""
        return long_steps(cls, agenda.plan) if agenda.plan.base else []

    @classmethod
    def windows_s(cls, plan: SessionPlan) -> float:
        """The whole long trial, its warm-up too."""
        return plan.long_s

    def most_s(self, plan: SessionPlan) -> float:
        """As long as it is planned."""
        return self.overhead_s + plan.long_s

    def take(self, context: StepContext) -> Taking[None]:
        """Drive both sides for long, at once."""
        load = lengthened(context.plan.long_load, context.plan.long_s)
        try:
            both = yield from try_both(context, self, load)
        except TrialInterrupted:
            raise KeyboardInterrupt from None
        for spec, tried in both:
            yield from told(context, spec, tried)


def long_steps(kind: type[TrialStep], plan: SessionPlan) -> list[Step]:
    """A step of this kind for each strategy of this side and set of payloads."""
    if plan.long_s <= 0 or not plan.loads:
        return []
    return [
        kind(
            strategy=one.name,
            payload_class=payload_class,
            encoding=encoding,
            load=plan.long_load,
            at=" ".join(filter(None, (plan.said(encoding), f"for {plan.long_s:g} s"))),
        )
        for one in plan.own_side
        for payload_class, encoding in plan.payloads
    ]


def lengthened(load: Load, length_s: float) -> Load:
    """The load for so many seconds in all, its usual least warm-up among them."""
    warmup_s = min(load.warmup_s, length_s / 2)
    return msgspec.structs.replace(
        load, warmup_s=warmup_s, warmup_most_s=None, window_s=round(length_s - warmup_s, 3)
    )


def told(context: StepContext, spec: TrialSpec, tried: Tried) -> Taking[None]:
    """What a long trial shows, and the doubts that follow from it for the whole run."""
    trial, length_s = tried.trial, context.plan.long_s
    begin_s, end_s = windows_uptime(context, spec)
    who = f"{trial.strategy} ({trial.payload_class}, {trial.load.label})"
    if tried.samples is None:
        yield LongTrial(trial, length_s, begin_s, end_s)
        found: tuple[UptimeChange, ...] = ()
    else:
        found = uptime_spans.changes(tried.samples, begin_s, end_s, length_s)
        spans = uptime_spans.tenths(tried.samples, length_s, tried.memory)
        yield LongTrial(trial, length_s, begin_s, end_s, spans, found, tried.memory)
    held = [one for one in trial.reasons if one.voids or one.code == "start_failed"]
    ended = [one for one in held if one.code in ENDS]
    if held:
        # what a service's end explains is not told beside it
        text = f"the long trial of {who}: {'; '.join(map(in_words, ended[:1] or held))}"
        yield Doubt("long_trial_doubtful", text, "see the service's log", voids=False, cause=held[0].cause)
    if not ended:
        for one in found:
            yield _changes(who, one, begin_s, end_s)


def windows_uptime(context: StepContext, spec: TrialSpec) -> tuple[float, float]:
    """The uptimes that the windows of the strategy's ordinary trials under this load cover, in seconds.

    Without such a trial, those that a window after the least warm-up would cover.
    """
    mine = (spec.strategy.name, spec.payload_class, spec.encoding, spec.load.name)
    ordinary = [
        one
        for one in context.run.trials
        if (one.strategy, one.payload_class, one.encoding, one.load.name) == mine and one.error is None
    ]
    usual = context.plan.typical_load
    begins = [one.warmup_s for one in ordinary] or [usual.warmup_s]
    ends = [one.warmup_s + one.window_s for one in ordinary] or [usual.warmup_s + usual.window_s]
    return min(begins), max(ends)


def _changes(who: str, one: UptimeChange, begin_s: float, end_s: float) -> Doubt:
    unit = UNITS[one.metric]
    text = (
        f"{who}: {one.metric} is {one.beyond:.4g} {unit} from {one.begin_s:.0f} to {one.end_s:.0f} s of "
        f"uptime, and {one.within:.4g} in the uptimes of the windows ({begin_s:.1f} to {end_s:.1f} s): "
        f"{one.beyond / one.within - 1:+.0%}, so the windows do not stand for what comes later"
    )
    remedy = "lengthen --warmup-s and --window-s, or see what the service fills, frees or loads as it runs"
    return Doubt("changes_with_uptime", text, remedy, voids=False, cause="service")
