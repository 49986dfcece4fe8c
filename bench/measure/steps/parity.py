"""Before anything is timed: each strategy must answer every request of the set as it declares."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from bench.errors import BenchError
from bench.measure.checked_answer import CheckedAnswer, allowed_of, checked_answer, tally
from bench.measure.held_out_answers import REQUEST_S, ask_held_out
from bench.measure.held_promises import doubts, missed, wrong_answers, wrong_doubt
from bench.measure.http_client import post
from bench.measure.judge import start_failed, tolerance_of
from bench.measure.own_answers import OwnAnswers, Place
from bench.measure.payloads import fitting_encodings, make_payload
from bench.measure.plan import SessionPlan
from bench.measure.run_builder import MeasuredHeldOut, MeasuredParity
from bench.measure.runtime.instance import Instance, StrategyStartError
from bench.measure.steps.start import fresh_copy
from bench.measure.steps.step import Agenda, Step, StepContext, Taking, UnfitStrategyError
from bench.model import EXACT, ParityResult, Strategy
from bench.model.expectations import LabelExpectation
from bench.request_sets.comparators import comparator_of
from bench.request_sets.held_out import HELD_OUT
from bench.request_sets.promises import verified
from bench.request_sets.request_set import AS_IS, SetRequest, unchecked


@dataclass(frozen=True, slots=True, kw_only=True)
class ParityStep(Step):
    """Whether a strategy answers all requests, and the held-out ones, as it declares.

    A run that goes on checks it again: what is measured must be right on the day on which it is measured.
    """

    kind: str = "parity"
    overhead_s: ClassVar[float] = 9.0
    fresh_starts: ClassVar[int] = 1

    @classmethod
    def planned(cls, agenda: Agenda) -> Sequence[Step]:
        """One for each strategy, or for those that are not exact if an earlier plan checked all of them.

        What these answer now is what they must answer under load, and nothing keeps that.
        """
        plan = agenda.plan
        return [
            cls(strategy=one.name, at=_beside(plan, one))
            for one in plan.strategies
            if not plan.checked or one.quality != EXACT
        ]

    @classmethod
    def windows_s(cls, plan: SessionPlan) -> float:
        """How long the held-out requests take, in the mean of the strategies."""
        asked = [len(plan.held_out_for(one)) for one in plan.strategies]
        return REQUEST_S * sum(asked) / len(asked)

    def take(self, context: StepContext) -> Taking[None]:
        """Ask a fresh copy everything; raises UnfitStrategyError if its answers are not as it declares."""
        strategy = context.strategy(self.strategy)
        requests = context.requests_to(strategy)
        timed = tuple(encoding for _, encoding in context.plan.payloads)
        try:
            with fresh_copy(context, strategy) as start:
                yield from start.told
                answers = ask_all(start.instance, strategy, requests, timed)
                held_out = context.plan.held_out_for(strategy)
                apart = ask_held_out(start.instance, strategy, held_out, timed)
                wrong = [*wrong_answers(strategy, answers), *wrong_answers(strategy, apart, f"{HELD_OUT}/")]
                ends = start.instance.fate() if wrong else ()
        except StrategyStartError as error:
            doubt = start_failed(str(error))
            raise UnfitStrategyError(f"nothing was timed: {error}", doubt) from error
        if ends:  # what it did not answer is not wrong
            text, remedy = ends[0].text, ends[0].remedy
            told = f"nothing was timed: while {strategy.name}'s answers were checked, {text}: {remedy}"
            raise UnfitStrategyError(told, ends[0])
        yield MeasuredParity(strategy.name, parity_of(strategy, answers, unchecked(requests)))
        judged = tally(apart or answers)
        if apart:
            yield MeasuredHeldOut(strategy.name, judged)
        _require_same_image(context, strategy)
        unfit = wrong_doubt(strategy, wrong) or missed(strategy, judged)
        if unfit:
            raise UnfitStrategyError(f"nothing was timed, {unfit.text}", unfit)
        yield from doubts(strategy, judged, held_out=bool(apart))
        if strategy.quality != EXACT:
            yield OwnAnswers(strategy.name, own_answers(strategy, answers))


def ask_all(
    instance: Instance, strategy: Strategy, requests: Sequence[SetRequest], timed: Sequence[str] = ()
) -> list[CheckedAnswer]:
    """The strategy's answers to all requests in all encodings that it takes.

    Where answers hang on the encoding, a request is sent only in the encodings that are `timed`.
    """
    found = []
    for encoding in (*strategy.encodings, AS_IS):
        for request in requests:
            if encoding not in _asked(request, strategy, timed):
                continue
            payload = make_payload(request, encoding, strategy.model)
            answer = post(instance.host, instance.port, strategy.path, payload, instance.access)
            found.append(checked_answer(payload, answer, strategy, instance.access))
    return found


def parity_of(strategy: Strategy, answers: Sequence[CheckedAnswer], unchecked_requests: int) -> ParityResult:
    """How far off these answers are, and how many of them are wrong."""
    off: dict[str | None, list[tuple[float, str]]] = {"probability": [], "tolerance": []}
    for one in answers:
        if one.found.off is not None and math.isfinite(one.found.off):
            off.setdefault(one.found.measure, []).append((one.found.off, one.what))
    largest, at = max(off["probability"], default=(None, ""))
    share, share_at = max(off["tolerance"], default=(None, ""))
    wrong, allowed = sum(bool(one.wrong) for one in answers), allowed_of(strategy)
    return ParityResult(len(answers), wrong, allowed, largest, at, share, share_at, unchecked_requests)


def own_answers(strategy: Strategy, answers: Sequence[CheckedAnswer]) -> dict[Place, LabelExpectation]:
    """What must come back from the strategy from now on, where a label is expected: what it answered."""
    return {
        (one.name, one.encoding): verified(one.expect, one.label, tolerance_of(strategy))
        for one in answers
        if one.label is not None and isinstance(one.expect, LabelExpectation)
    }


def _beside(plan: SessionPlan, strategy: Strategy) -> str:
    """The held-out requests in the words of a step."""
    count = len(plan.held_out_for(strategy))
    return f"and {count} held-out requests" if count else ""


def _asked(request: SetRequest, strategy: Strategy, timed: Sequence[str]) -> tuple[str, ...]:
    """The encodings in which a request is sent to the strategy."""
    able = fitting_encodings(request, strategy.encodings)
    if comparator_of(request.expect).of_one_form and able != (AS_IS,):
        return tuple(one for one in able if one in timed)
    return able


def _require_same_image(context: StepContext, strategy: Strategy) -> None:
    """Raise BenchError if a run would go on with another image, or reach its containers in another way."""
    if context.earlier is None:
        return
    before, now = context.earlier.environment, context.runtime.describe()
    if before.address_kind and before.address_kind != now.address_kind:
        raise BenchError("containers are reached in another way than the run began with: measure again")
    image = now.images.get(strategy.name)
    if (before.images or {}).get(strategy.name, image) != image:
        raise BenchError(f"{strategy.name}'s image is another than the run began with: measure again")
