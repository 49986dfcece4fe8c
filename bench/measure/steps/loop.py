"""The in-process loop: a strategy's own pipeline without HTTP, whole and in parts, for what serving costs."""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from bench.measure.judge import tolerance_of
from bench.measure.plan import SessionPlan
from bench.measure.run_builder import MeasuredLoop
from bench.measure.runtime.instance import Runtime, StrategyStartError
from bench.measure.steps.step import Agenda, Step, StepContext, Taking
from bench.model import Doubt, LoopResult, Payload, Run, Strategy
from bench.model.expectations import BytesExpectation
from bench.request_sets.comparators import comparison
from bench.request_sets.encodings import ENCODINGS
from bench.request_sets.request_set import AS_IS

START_ALLOWANCE_S = 120.0
PARTS = ("prepare", "infer")


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopStep(Step):
    """The in-process loop of a strategy over one class of payloads, once in each round."""

    kind: str = "loop"
    overhead_s: ClassVar[float] = 4.0

    @classmethod
    def planned(cls, agenda: Agenda) -> Sequence[Step]:
        """A round's loops, shuffled: of all strategies that have a loop, in one encoding.

        A loop reads what the service reads, so one encoding is enough to say what serving costs.
        """
        plan = agenda.plan
        if plan.loop_s <= 0:
            return []
        able = [encoding for (_, encoding), payloads in plan.payloads.items() if can_loop(payloads)][:1]
        loops = [
            cls(strategy=name, payload_class=payload_class, encoding=encoding, round=agenda.round)
            for name in (one.name for one in plan.own_side if one.loop_command)
            for (payload_class, encoding), payloads in plan.payloads.items()
            if encoding in able and can_loop(payloads)
        ]
        agenda.rng.shuffle(loops)
        return loops

    @classmethod
    def windows_s(cls, plan: SessionPlan) -> float:
        """The whole loop, and each of its two parts for half as long."""
        return 2 * plan.loop_s

    def is_done(self, run: Run) -> bool:
        """Whether the run has as many loops of this class as there were rounds until this one."""
        loops = run.strategies[self.strategy].loops
        taken = [
            len(one.requests_per_s)
            for one in loops
            if (one.payload_class, one.part) == (self.payload_class, "whole")
        ]
        return max(taken, default=0) >= self.round

    def take(self, context: StepContext) -> Taking[None]:
        """Run the loop; one that fails is a doubt and does not end the run."""
        strategy = context.strategy(self.strategy)
        payloads = context.payloads_to(strategy, self.payload_set)
        try:
            loops = run_loop(context.runtime, strategy, payloads, context.plan.loop_s)
        except StrategyStartError as error:
            yield Doubt("loop_failed", str(error), "see the service's log", voids=False, cause="service")
            return
        yield from loops


def run_loop(
    runtime: Runtime, strategy: Strategy, payloads: Sequence[Payload], seconds: float
) -> tuple[MeasuredLoop, ...]:
    """Run the loop over the payloads, whole and in parts.

    Raises StrategyStartError if the loop fails or answers wrongly.

    A loop gets bodies and their content type and answers in JSON. Payloads that also need a path or headers,
    or another form of answer, are a StrategyStartError too: `can_loop` says so beforehand.
    """
    if not can_loop(payloads):
        able = ", ".join(name for name in ENCODINGS if _loops(name) and name != AS_IS)
        raise StrategyStartError(f"{strategy.name}: a loop takes {able} alone")
    request = {
        "seconds": seconds,
        "warmup_seconds": min(1.0, seconds / 3),
        "content_type": payloads[0].content_type,
        "bodies": [base64.b64encode(payload.body).decode("ascii") for payload in payloads],
        "parts": PARTS,
        "part_seconds": seconds / 2,
    }
    output = runtime.run_loop(strategy, json.dumps(request).encode(), 3 * seconds + START_ALLOWANCE_S)
    lines = output.decode(errors="replace").strip().splitlines()
    try:
        raw = json.loads(lines[-1])
        answers = [json.dumps(answer).encode() for answer in raw["answers"]]
        # a loop need not have parts
        runs = {"whole": raw, **raw.get("parts", {})}
        loops = tuple(_loop(strategy, payloads[0], part, run) for part, run in runs.items())
    except (IndexError, ValueError, KeyError, TypeError, AttributeError, ZeroDivisionError) as error:
        raise StrategyStartError(
            f"{strategy.name}: its loop's last line is not what it should be ({error!r})"
        ) from None
    for payload, answer in zip(payloads, answers, strict=False):
        if not comparison(payload.expect, "json", tolerance_of(strategy))(answer).right:
            raise StrategyStartError(f"{strategy.name}: its loop answers {payload.name} wrongly")
    if len(answers) != len(payloads):
        raise StrategyStartError(
            f"{strategy.name}: its loop gave {len(answers)} answers to {len(payloads)} bodies"
        )
    return loops


def _loop(strategy: Strategy, payload: Payload, part: str, raw: Mapping[str, Any]) -> MeasuredLoop:
    """The run of one part, as the loop's JSON has it."""
    requests = raw["requests"]
    rate, cpu_ms = requests / raw["seconds"], 1e3 * raw["cpu_seconds"] / requests
    loop = LoopResult(
        payload.payload_class, (round(rate, 3),), (round(cpu_ms, 4),), part, raw.get("batch_size")
    )
    return MeasuredLoop(strategy.name, loop)


def can_loop(payloads: Sequence[Payload]) -> bool:
    """Whether the in-process loop can take these payloads.

    It gets one content type for all of them and nothing else of a request, takes them in turn, and its
    answers are written anew.
    """
    alike = len({(payload.content_type, payload.weight) for payload in payloads}) == 1
    return alike and all(
        _loops(one.encoding)
        and not (one.path or one.headers or isinstance(one.expect, BytesExpectation))
        and one.method == "POST"
        for one in payloads
    )


def _loops(encoding: str) -> bool:
    return ENCODINGS[encoding].path is None and ENCODINGS[encoding].reply in ("json", AS_IS)
