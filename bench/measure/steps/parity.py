"""Before anything is timed: each strategy must answer every image of the set correctly."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from bench.errors import BenchError
from bench.measure.http_client import check
from bench.measure.judge import start_failed, tolerance_of
from bench.measure.payloads import PayloadImage, make_payload
from bench.measure.run_builder import MeasuredParity
from bench.measure.runtime.instance import Instance, StrategyStartError
from bench.measure.steps.start import fresh_copy
from bench.measure.steps.step import Agenda, Step, StepContext, Taking, UnfitStrategyError
from bench.model import Doubt, ParityResult, Strategy

SHOWN_OFFENDERS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class ParityStep(Step):
    """Whether a strategy answers all images rightly.

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
        """Ask a fresh copy about all images; raises UnfitStrategyError if an answer is wrong."""
        strategy = context.strategy(self.strategy)
        try:
            with fresh_copy(context, strategy) as start:
                yield start.measured
                parity, wrong = offenders(start.instance, strategy, context.images_of(strategy))
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
    instance: Instance, strategy: Strategy, images: Sequence[PayloadImage]
) -> tuple[ParityResult, list[str]]:
    """How far off the strategy is, and its wrong answers, a clause each.

    It is asked about all images in all encodings that it takes.
    """
    tolerance, wrong, asked = tolerance_of(strategy), [], 0
    off: list[tuple[float, str]] = []
    for encoding in strategy.encodings:
        for image in images:
            payload = make_payload(image, encoding, strategy.model)
            found = check(instance.host, instance.port, strategy.path, payload, tolerance)
            asked += 1
            if found.off is not None:
                off.append((found.off, f"{image.file} as {encoding}"))
            if found.complaint is not None:
                wrong.append(f"{strategy.name} on {image.file} as {encoding}: {found.complaint}")
    largest, at = max(off, default=(None, ""))
    return ParityResult(asked, len(wrong), tolerance, largest, at), wrong


def _require_same_image(context: StepContext, strategy: Strategy) -> None:
    """Raise BenchError if a run would go on with another image, or reach its containers in another way."""
    if context.earlier is None:
        return
    before, now = context.earlier.environment, context.runtime.describe()
    if before.address_kind and before.address_kind != now.address_kind:
        raise BenchError("containers are reached in another way than the run began with: measure anew")
    image = now.images.get(strategy.name)
    if (before.images or {}).get(strategy.name, image) != image:
        raise BenchError(f"{strategy.name}'s image is another than the run began with: measure anew")
