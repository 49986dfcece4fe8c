"""Varied payloads and repeated payloads in turn, to find a service that keeps its answers."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import ClassVar

import numpy as np

from bench.load.drive_plan import weighted_passes
from bench.measure.judge import TrialSpec
from bench.measure.payloads import MOST_COPY_BYTES, varied_copies
from bench.measure.progress import Progress
from bench.measure.runtime.instance import Instance, StrategyStartError
from bench.measure.steps.start import fresh_copy
from bench.measure.steps.step import Agenda, Step, StepContext, Taking, scratch_folder
from bench.measure.steps.trial import run_trial, trial_spec
from bench.model import REPEAT_ALLOWED, ClosedLoad, Doubt, Payload, RepeatCheck, Run, Strategy, Trial
from bench.request_sets.request_set import SetRequest

# two windows of varied payloads, two of repeated payloads
WINDOWS, WARMUP_S, WINDOW_S = 4, 1.0, 2.0
LOAD = ClosedLoad(8, WARMUP_S, WINDOW_S)
COPIES = 2000
# at most this share of the varied requests may be sent a second time
TWICE = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class RepeatStep(Step):
    """Whether a strategy answers repeated payloads faster than varied ones."""

    kind: str = "repeat"
    overhead_s: ClassVar[float] = 5.0 + WINDOWS * (WARMUP_S + WINDOW_S)

    @classmethod
    def planned(cls, agenda: Agenda) -> Sequence[Step]:
        """One for each strategy, with the smallest bodies: there a cache saves the largest share."""
        plan = agenda.plan
        if not plan.check_repeats:
            return []
        payload_class, encoding = plan.smallest_set
        return [
            cls(strategy=one.name, payload_class=payload_class, encoding=encoding) for one in plan.strategies
        ]

    def is_done(self, run: Run) -> bool:
        """Whether the run has this check."""
        return any(map(self.is_about, run.repeats))

    def take(self, context: StepContext) -> Taking[None]:
        """Send both in turn to one copy, which would keep what it caches."""
        strategy = context.strategy(self.strategy)
        in_turn = originals(context.plan.payloads[self.payload_set], context.requests_to(strategy))
        made = varied_copies(in_turn, self.encoding, COPIES, strategy.model)
        copies = context.verified(strategy, made)
        if not copies:
            why = "its requests hold no pictures, and nothing else can be varied and keep its answer"
            yield _unknown(strategy, why, "make sure that it has no cache, or send many different requests")
            return
        repeated = trial_spec(context, self, LOAD)
        try:
            with fresh_copy(context, strategy) as start:
                yield from start.told
                varied, again, twice = drive_in_turn(repeated, copies, start.instance, context.progress)
        except StrategyStartError as error:
            yield _unknown(strategy, str(error), "see the service's log")
            return
        wrong = sum(trial.wrong_answers + (trial.wrong_answers_outside or 0) for trial in varied)
        if wrong:
            text = f"{strategy.name} answered {wrong} copies of images wrongly, which it had not seen before"
            remedy = "see whether it computes each answer from its own image"
            yield Doubt("copies_wrong", text, remedy, voids=False, cause="service")
        check = repeat_check(self, varied, again)
        if check is None:
            yield _unknown(strategy, "it gave none", "see the service's log")
            return
        cached = repeat_doubt(check)
        if cached is None and twice > TWICE:
            remedy = "look for a cache of answers in its settings"
            yield _unknown(strategy, came_twice(len(copies)), remedy)
            return
        yield check
        if cached is not None:
            yield cached


def originals(payloads: Sequence[Payload], requests: Sequence[SetRequest]) -> list[SetRequest]:
    """The requests to copy in turn: those of the payloads, each as often as its weight says.

    Else varied and repeated payloads would differ in size, and their rates for that.
    """
    by_name = {one.name: one for one in requests}
    of_class = [by_name[payload.name] for payload in payloads]
    weights = [payload.weight for payload in payloads]
    if len(set(weights)) == 1:
        return of_class
    return [of_class[index] for index in islice(weighted_passes(weights, "copies"), COPIES)]


def drive_in_turn(
    repeated: TrialSpec, copies: Sequence[Payload], instance: Instance, progress: Progress
) -> tuple[list[Trial], list[Trial], float]:
    """Trials of half of the copies, of the repeated payloads, and of both once more, on one instance.

    Returns the varied trials, the repeated trials, and the largest share of a half that was sent again.
    """
    half = len(copies) // 2
    varied, again, twice = [], [], 0.0
    with scratch_folder() as folder:
        for new in (copies[:half], copies[half:]):
            spec = dataclasses.replace(repeated, payloads=tuple(new))
            tried = run_trial(spec, instance, folder, progress)
            varied.append(tried.trial)
            sent = 0 if tried.samples is None else len(tried.samples)
            twice = max(twice, sent / len(new) - 1)
            again.append(run_trial(repeated, instance, folder, progress).trial)
    return varied, again, twice


def came_twice(copies: int) -> str:
    """Why copies were sent a second time: there are few if bodies are large, else the service is fast."""
    if copies < COPIES:
        room = MOST_COPY_BYTES // 1024**2
        return f"no more than {copies} copies of such bodies fit into {room} MiB, so they came twice"
    return "it is so fast that copies came twice"


def repeat_check(step: Step, varied: Sequence[Trial], repeated: Sequence[Trial]) -> RepeatCheck | None:
    """The rates of varied and of repeated payloads; None if either has no trial with a rate."""
    rates = [[t.throughput_rps for t in trials if t.throughput_rps] for trials in (varied, repeated)]
    if not all(rates):
        return None
    means = [round(float(np.mean(known)), 3) for known in rates]
    return RepeatCheck(step.strategy, step.payload_class, step.encoding, *means)


def repeat_doubt(check: RepeatCheck) -> Doubt | None:
    """The doubt if repeated payloads were answered faster than a service without a cache could."""
    if check.repeated_rps <= REPEAT_ALLOWED * check.varied_rps:
        return None
    text = (
        f"{check.strategy} answers repeated payloads {check.repeated_rps / check.varied_rps:.2f} times as "
        "fast as varied ones: it seems to keep answers, and figures of repeated images are of its cache"
    )
    remedy = "switch off what caches answers, or vary the payloads"
    return Doubt("answers_cached", text, remedy, voids=False, cause="service")


def _unknown(strategy: Strategy, why: str, remedy: str) -> Doubt:
    text = f"whether {strategy.name} keeps answers is not known: {why}"
    return Doubt("caching_unknown", text, remedy, voids=False, cause="harness")
