"""The size of a strategy's image."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from bench.cores import pinned
from bench.measure.run_builder import MeasuredSize
from bench.measure.steps.step import Agenda, Step, StepContext, Taking
from bench.model import Doubt, Run


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeStep(Step):
    """The size of a strategy's image, summed over its layers."""

    kind: str = "size"
    overhead_s: ClassVar[float] = 4.0

    @classmethod
    def planned(cls, agenda: Agenda) -> Sequence[Step]:
        """One for each strategy, unless it is known already, or only a rate is searched for."""
        plan = agenda.plan
        if plan.checked or plan.objective is not None:
            return []
        return [cls(strategy=one.name) for one in plan.started]

    def is_done(self, run: Run) -> bool:
        """Whether the run has the image's size."""
        return run.strategies[self.strategy].image is not None

    def take(self, context: StepContext) -> Taking[None]:
        """Measure the image; a size that cannot be learned is a doubt and does not end the run."""
        try:
            # nothing is timed meanwhile, so compressing may take every core
            with pinned(context.cores.available):
                size = context.runtime.image_size(context.strategy(self.strategy))
        except Exception as error:  # noqa: BLE001  # a size is worth no run, whatever the engine's store does
            text = f"the size of {self.strategy}'s image is not known: {error!r}"
            remedy = "see that the engine can save the image, and its disk is not full"
            yield Doubt("size_unknown", text, remedy, voids=False, cause="host")
            return
        if size is not None:
            yield MeasuredSize(self.strategy, size)
