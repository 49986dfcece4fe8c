"""The driver's ceiling: the most that the driver reaches, against a target that answers at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import msgspec

from bench.errors import BenchError
from bench.load.ceiling import measure_ceiling
from bench.measure.plan import SessionPlan
from bench.measure.steps.step import Agenda, Step, StepContext, Taking
from bench.model import Doubt, Run

WARMUP_S = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class CeilingStep(Step):
    """The driver's ceiling with one set of payloads."""

    kind: str = "ceiling"
    overhead_s: ClassVar[float] = 3.0

    @classmethod
    def planned(cls, agenda: Agenda) -> Sequence[Step]:
        """One for each set of payloads."""
        return cls.of_each_set(agenda.plan, [""])

    @classmethod
    def windows_s(cls, plan: SessionPlan) -> float:
        """The window of the driver and that of ApacheBench."""
        return 2 * _window_s(plan)

    def is_done(self, run: Run) -> bool:
        """Whether the run has the ceiling of this set of payloads."""
        return any((one.payload_class, one.encoding) == self.payload_set for one in run.ceilings)

    def take(self, context: StepContext) -> Taking[None]:
        """Drive a target that answers at once."""
        plan = context.plan
        if plan.fleet.remote:
            yield _unknown(
                "the driver's ceiling is not known: workers on other hosts cannot reach a target here"
            )
            return
        load = msgspec.structs.replace(plan.closed_load(WARMUP_S, _window_s(plan)), warmup_most_s=None)
        payloads = plan.payloads[self.payload_set]
        try:
            ceiling = measure_ceiling(payloads, load, context.cores.service, plan.seed, fleet=plan.fleet)
        except BenchError as error:
            yield _unknown(f"the driver's ceiling with {self.payload_class} payloads is not known: {error}")
            return
        yield ceiling


def _unknown(text: str) -> Doubt:
    remedy = "judge by the driver's busiest core in report.md"
    return Doubt("ceiling_unknown", text, remedy, voids=False, cause="harness")


def _window_s(plan: SessionPlan) -> float:
    return 1.0 if plan.quick or plan.base else 5.0
