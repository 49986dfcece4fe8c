"""Before anything is timed: each strategy must answer every request of the set correctly."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from bench.errors import BenchError
from bench.measure.http_client import check
from bench.measure.judge import start_failed, tolerance_of
from bench.measure.payloads import fitting_encodings, make_payload
from bench.measure.run_builder import MeasuredParity
from bench.measure.runtime.instance import Instance, StrategyStartError
from bench.measure.steps.start import fresh_copy
from bench.measure.steps.step import Agenda, Step, StepContext, Taking, UnfitStrategyError
from bench.model import Doubt, ParityResult, Strategy
from bench.request_sets.comparators import comparator_of
from bench.request_sets.request_set import AS_IS, SetRequest, unchecked

SHOWN_OFFENDERS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class ParityStep(Step):
    """Whether a strategy answers all requests rightly.

    A run that goes on checks it again: what is measured must be right on the day on which it is measured.
    """

    kind: str = "parity"
    overhead_s: ClassVar[float] = 9.0
    fresh_starts: ClassVar[int] = 1

    @classmethod
    def planned(cls, agenda: Agenda) -> Sequence[Step]:
        """One for each strategy, unless an earlier plan of the same strategies checked them."""
        plan = agenda.plan
        return [] if plan.checked else [cls(strategy=one.name) for one in plan.strategies]

    def take(self, context: StepContext) -> Taking[None]:
        """Send all requests to a fresh copy; raises UnfitStrategyError if an answer is wrong."""
        strategy = context.strategy(self.strategy)
        try:
            with fresh_copy(context, strategy) as start:
                yield from start.told
                timed = tuple(encoding for _, encoding in context.plan.payloads)
                parity, wrong = offenders(start.instance, strategy, context.requests_to(strategy), timed)
                ends = start.instance.fate() if wrong else ()
        except StrategyStartError as error:
            doubt = start_failed(str(error))
            raise UnfitStrategyError(f"nothing was timed: {error}", doubt) from error
        if ends:  # what it did not answer is not wrong
            text, remedy = ends[0].text, ends[0].remedy
            told = f"nothing was timed: while {strategy.name}'s answers were checked, {text}: {remedy}"
            raise UnfitStrategyError(told, ends[0])
        yield MeasuredParity(strategy.name, parity)
        _require_same_image(context, strategy)
        if wrong:
            more = f"; and {len(wrong) - SHOWN_OFFENDERS} more" if len(wrong) > SHOWN_OFFENDERS else ""
            told = f"{strategy.name} gives wrong answers: {'; '.join(wrong[:SHOWN_OFFENDERS])}{more}"
            doubt = Doubt("wrong_answers", told, "see the service's log", voids=True, cause="service")
            raise UnfitStrategyError(f"nothing was timed, {told}", doubt)


def offenders(
    instance: Instance, strategy: Strategy, requests: Sequence[SetRequest], timed: Sequence[str] = ()
) -> tuple[ParityResult, list[str]]:
    """How far off the strategy is, and its wrong answers, a clause each.

    It is sent all requests in all encodings that it takes, but those of which the answers hang on the
    encoding only in the encodings that are `timed`.
    """
    tolerance, wrong, asked = tolerance_of(strategy), [], 0
    off: dict[str | None, list[tuple[float, str]]] = {"probability": [], "tolerance": []}
    for encoding in (*strategy.encodings, AS_IS):
        for request in requests:
            if encoding not in _asked(request, strategy, timed):
                continue
            what = f"{request.name} as {'it is' if encoding == AS_IS else encoding}"
            payload = make_payload(request, encoding, strategy.model)
            found = check(instance.host, instance.port, strategy.path, payload, tolerance, instance.access)
            asked += 1
            if found.off is not None and math.isfinite(found.off):
                off.setdefault(found.measure, []).append((found.off, what))
            if found.complaint is not None:
                said = f" {found.said}" if found.said else ""
                wrong.append(f"{strategy.name} on {what}: {found.complaint}{said}")
    largest, at = max(off["probability"], default=(None, ""))
    share, share_at = max(off["tolerance"], default=(None, ""))
    return ParityResult(
        asked, len(wrong), tolerance, largest, at, share, share_at, unchecked(requests)
    ), wrong


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
