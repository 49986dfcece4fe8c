"""Plans, trials and runs as values, for tests of what is planned and recorded."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.cores import Cores
from bench.measure.plan import SessionPlan, StepSubject
from bench.measure.progress import Silent
from bench.measure.steps.step import StepContext
from bench.model import (
    SCHEMA_VERSION,
    Capacity,
    Ceiling,
    ClosedLoad,
    Environment,
    ImageSize,
    LatencyMs,
    Layer,
    LoopResult,
    OpenLoad,
    Payload,
    RepeatCheck,
    Run,
    ShareLoad,
    Startup,
    Strategy,
    StrategyResult,
    Trial,
)
from bench.model.expectations import LabelExpectation

NAMES = ("fast", "slow")
SETS = (("seed", "json"), ("small", "json"), ("seed", "raw"), ("small", "raw"))
LOADS = (ClosedLoad(8, 1, 2), OpenLoad(50, 1, 2), ShareLoad(0.7, 1, 2))


def strategy(name: str) -> Strategy:
    encodings = ("json", "raw")
    return Strategy(
        name, name, f"{name}-service", 8080, "/predict/", "/ready", encodings, ("loop",), keeps_model=True
    )


def payload(chosen: str, encoding: str) -> Payload:
    size = 1000 if chosen == "seed" else 100
    return Payload(
        "a.jpg", chosen, encoding, "application/json", b"x" * size, LabelExpectation("rain", {"rain": 1.0})
    )


def plan(**changes: object) -> SessionPlan:
    made = SessionPlan(
        strategies=tuple(map(strategy, NAMES)),
        payloads={one: (payload(*one),) for one in SETS},
        loads=LOADS,
        rounds=3,
        startups=4,
        loop_s=1.0,
        seed=7,
        quick=False,
        command="python -m bench run",
        warm_startups=2,
        check_repeats=True,
    )
    return replace(made, **changes)  # type: ignore[arg-type]  # fields by name


def trial(step: StepSubject, **changes: object) -> Trial:
    load = step.load.at(100.0) if isinstance(step.load, ShareLoad) else step.load
    assert load is not None
    made = Trial(
        step.strategy, step.round, step.payload_class, step.encoding, load, 2, 1, 9, 9, 0, 0,
        4.5, LatencyMs(1, 2, 3), 1.0, 1, 1.0, (), True, None,
    )  # fmt: skip
    return replace(made, **changes)  # type: ignore[arg-type]


def run_of(plan_: SessionPlan, done: Sequence[StepSubject]) -> Run:
    """What a run has on record that has done these steps."""
    image = ImageSize(1, 1, (Layer("x", 1, 1, "sha256:1"),))
    results = {}
    for name in NAMES:
        mine = [step for step in done if step.strategy == name]
        fresh = sum(step.kind in ("parity", "trial", "capacity", "start") for step in mine)
        warm = sum(step.kind == "warm start" for step in mine)
        loops = Counter(step.payload_class for step in mine if step.kind == "loop")
        results[name] = StrategyResult(
            name,
            image if any(step.kind == "size" for step in mine) else None,
            Startup((1.0,) * fresh, {}, "cold") if fresh else None,
            tuple(LoopResult(chosen, (1.0,) * n, (1.0,) * n) for chosen, n in loops.items()),
            Startup((1.0,) * warm, {}, "warm") if warm else None,
        )
    return Run(
        SCHEMA_VERSION, "2026-01-01T00:00:00Z", plan_.command, "process", False, plan_.planned_trials,
        Environment(),
        tuple(Ceiling(*s.payload_set, 8, 1.0, 1.0, None, None) for s in done if s.kind == "ceiling"),
        results,
        tuple(trial(step) for step in done if step.kind == "trial"),
        (),
        tuple(Capacity(s.strategy, *s.payload_set, 8, 1.0) for s in done if s.kind == "capacity"),
        tuple(RepeatCheck(s.strategy, *s.payload_set, 1.0, 1.0) for s in done if s.kind == "repeat"),
    )  # fmt: skip


def context(plan_: SessionPlan, run: Run) -> StepContext:
    """What a step is taken with, where nothing may be started."""
    nothing: Any = None
    return StepContext(plan_, (), nothing, Cores((0,), (1,), (0, 1)), Path(), Silent(), run, None)
