"""The in-process loop: a strategy's own pipeline without HTTP, for the share that serving costs."""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass

from bench.load.answers import answer_is_right
from bench.load.plan import TOLERANCE
from bench.measure.instance import Runtime, StartError
from bench.model import LoopResult, Payload, Strategy

START_ALLOWANCE_S = 120.0


@dataclass(frozen=True, slots=True)
class LoopRun:
    """One run of a loop."""

    requests_per_s: float
    cpu_ms_per_request: float


def run_loop(runtime: Runtime, strategy: Strategy, payloads: Sequence[Payload], seconds: float) -> LoopRun:
    """Run the loop over the payloads; raises StartError where it fails or answers wrongly."""
    request = {
        "seconds": seconds,
        "warmup_seconds": min(1.0, seconds / 3),
        "content_type": payloads[0].content_type,
        "bodies": [base64.b64encode(payload.body).decode("ascii") for payload in payloads],
    }
    output = runtime.run_loop(strategy, json.dumps(request).encode(), seconds + START_ALLOWANCE_S)
    lines = output.decode(errors="replace").strip().splitlines()
    try:
        found = json.loads(lines[-1])
        answers = [json.dumps(answer).encode() for answer in found["answers"]]
        result = LoopRun(found["requests"] / found["seconds"], 1e3 * found["cpu_seconds"] / found["requests"])
    except (IndexError, ValueError, KeyError, TypeError, ZeroDivisionError) as error:
        raise StartError(
            f"{strategy.name}: its loop's last line is not what it should be ({error!r})"
        ) from None
    for payload, answer in zip(payloads, answers, strict=False):
        if not answer_is_right(answer, payload.label, payload.probabilities, TOLERANCE):
            raise StartError(f"{strategy.name}: its loop answers {payload.file} wrongly")
    if len(answers) != len(payloads):
        raise StartError(f"{strategy.name}: its loop gave {len(answers)} answers to {len(payloads)} bodies")
    return result


class LoopBook:
    """Collects the loops of a session by strategy and payload class."""

    def __init__(self) -> None:
        self._runs: dict[str, dict[str, list[LoopRun]]] = {}

    def add(self, strategy: str, payload_class: str, run: LoopRun) -> None:
        """Note one run."""
        self._runs.setdefault(strategy, {}).setdefault(payload_class, []).append(run)

    def results(self, strategy: str) -> tuple[LoopResult, ...]:
        """The strategy's loops as run.json keeps them."""
        return tuple(
            LoopResult(
                name,
                tuple(round(run.requests_per_s, 3) for run in runs),
                tuple(round(run.cpu_ms_per_request, 4) for run in runs),
            )
            for name, runs in self._runs.get(strategy, {}).items()
        )
