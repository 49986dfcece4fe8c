"""The in-process loop: a strategy's own pipeline without HTTP, whole and in parts, for what serving costs."""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.load.answers import answer_is_right
from bench.load.plan import TOLERANCE
from bench.measure.payloads import ENCODINGS
from bench.measure.runtime.instance import Runtime, StartError
from bench.model import LoopResult, Payload, Strategy

START_ALLOWANCE_S = 120.0
PARTS = ("prepare", "infer")


@dataclass(frozen=True, slots=True)
class LoopRun:
    """One run of the whole loop or of a part of it; `batch_size` is None where items go one by one."""

    requests_per_s: float
    cpu_ms_per_request: float
    batch_size: int | None = None


LoopParts = Mapping[str, LoopRun]
"""What one start of a loop found, by part; "whole" is always there."""


def run_loop(runtime: Runtime, strategy: Strategy, payloads: Sequence[Payload], seconds: float) -> LoopParts:
    """Run the loop over the payloads; raises StartError where it fails or answers wrongly.

    A loop is told bodies and their content type and answers in JSON: what says more in its path or headers,
    or is answered otherwise, is a StartError too. `can_loop` says so beforehand.
    """
    if not can_loop(payloads[0].encoding):
        raise StartError(f"{strategy.name}: a loop takes {', '.join(filter(can_loop, ENCODINGS))} alone")
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
        found = json.loads(lines[-1])
        answers = [json.dumps(answer).encode() for answer in found["answers"]]
        # a loop that knows no parts tells of none
        parts = {part: _read(told) for part, told in found.get("parts", {}).items()}
        result = {"whole": _read(found), **parts}
    except (IndexError, ValueError, KeyError, TypeError, AttributeError, ZeroDivisionError) as error:
        raise StartError(
            f"{strategy.name}: its loop's last line is not what it should be ({error!r})"
        ) from None
    for payload, answer in zip(payloads, answers, strict=False):
        if not answer_is_right(answer, payload.label, payload.probabilities, TOLERANCE):
            raise StartError(f"{strategy.name}: its loop answers {payload.file} wrongly")
    if len(answers) != len(payloads):
        raise StartError(f"{strategy.name}: its loop gave {len(answers)} answers to {len(payloads)} bodies")
    return result


def _read(told: Mapping[str, Any]) -> LoopRun:
    """One run as a loop tells of it."""
    requests, size = told["requests"], told.get("batch_size")
    return LoopRun(requests / told["seconds"], 1e3 * told["cpu_seconds"] / requests, size)


def can_loop(encoding: str) -> bool:
    """Say whether the in-process loop can be given this encoding."""
    return ENCODINGS[encoding].path is None and ENCODINGS[encoding].reply == "json"


class LoopBook:
    """Collects the loops of a session by strategy, payload class and part."""

    def __init__(self) -> None:
        self._runs: dict[str, dict[tuple[str, str], list[LoopRun]]] = {}

    def add(self, strategy: str, payload_class: str, parts: LoopParts) -> None:
        """Note one start."""
        for part, run in parts.items():
            self._runs.setdefault(strategy, {}).setdefault((payload_class, part), []).append(run)

    def results(self, strategy: str) -> tuple[LoopResult, ...]:
        """The strategy's loops as run.json keeps them."""
        return tuple(
            LoopResult(
                payload_class,
                tuple(round(run.requests_per_s, 3) for run in runs),
                tuple(round(run.cpu_ms_per_request, 4) for run in runs),
                part,
                runs[0].batch_size,
            )
            for (payload_class, part), runs in self._runs.get(strategy, {}).items()
        )
