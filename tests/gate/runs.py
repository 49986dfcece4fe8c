"""Runs for the gate, made from the throughput of each strategy and round."""

import dataclasses
from collections.abc import Mapping, Sequence

from bench.gate import Batch, Judgement, RuleFinding, Rules
from bench.gate.rules import rules_of
from bench.model import (
    SCHEMA_VERSION,
    ClosedLoad,
    Environment,
    ImageSize,
    LatencyMs,
    Run,
    StrategyResult,
    Trial,
    Twin,
)
from tests.running.doubts import doubt

CLIENTS = 50
IMAGE_BYTES = 300_000_000
SPOILED = "the host stole 7.5% of the service core's time"
BASE = "@base"
EQUAL = (100.0, 104.0, 97.0, 99.0, 101.0, 102.0)


def trial(strategy: str, number: int, rate: float | None, **changes: object) -> Trial:
    """A trial that answered at this rate; without one, an invalid trial."""
    rps = 100.0 if rate is None else rate
    p50 = 1000 * CLIENTS / rps if rps > 0 else None
    made = Trial(
        strategy=strategy,
        round=number,
        payload_class="small",
        encoding="json",
        load=ClosedLoad(CLIENTS, 2.0, 10.0),
        window_s=10.0,
        warmup_s=2.0,
        requests=round(rps * 10) or 1,
        ok=round(rps * 10),
        errors=0,
        wrong_answers=0,
        throughput_rps=rps,
        latency_ms=LatencyMs(p50, p50, p50) if p50 else LatencyMs(None, None, None),
        cpu_ms_per_request=None,
        peak_memory_bytes=200_000_000,
        driver_cpu_ms_per_request=None,
        doubts=() if rate is not None else (doubt(SPOILED),),
        valid=rate is not None,
        samples=None,
    )
    return dataclasses.replace(made, **changes) if changes else made  # type: ignore[arg-type]  # the caller names the fields


def twin_of(name: str) -> Twin | None:
    """What base's strategy is a twin of, as these tests name it."""
    return Twin(name.removesuffix(BASE), "base") if name.endswith(BASE) else None


def run_of(rates: Mapping[str, Sequence[float | None]], image_bytes: int | None = IMAGE_BYTES) -> Run:
    """A run of these strategies, one trial a round."""
    trials = [
        trial(name, place, rate) for name, found in rates.items() for place, rate in enumerate(found, 1)
    ]
    image = None if image_bytes is None else ImageSize(image_bytes, None, ())
    return Run(
        schema_version=SCHEMA_VERSION,
        created="2026-01-02T03:04:05+00:00",
        command="python -m bench gate --against main",
        runtime="compose",
        quick=False,
        planned_trials=len(trials),
        environment=Environment(
            cpu_model="Example CPU @ 2.00GHz",
            cores=2,
            kernel="6.1.0",
            commit="abc1234",
        ),
        ceilings=(),
        strategies={
            name: StrategyResult(name.removesuffix(BASE), image, None, twin=twin_of(name)) for name in rates
        },
        trials=tuple(trials),
    )


def beside(base: Mapping[str, Sequence[float | None]], head: Mapping[str, Sequence[float | None]]) -> Batch:
    """Base and head measured side by side in one run."""
    run = run_of({**head, **{name + BASE: rates for name, rates in base.items()}})
    return Batch(run, run, paired=True, base_name="main", head_name="topic")


def stored(base: Run, head: Run) -> Batch:
    """A stored baseline and a fresh run."""
    return Batch(base, head, paired=False, base_name="baseline", head_name="head")


def with_trials(run: Run, strategy: str, **changes: object) -> Run:
    """The run with every trial of a strategy changed."""
    changed = [
        dataclasses.replace(one, **changes) if one.strategy == strategy else one  # type: ignore[arg-type]  # the caller names the fields
        for one in run.trials
    ]
    return dataclasses.replace(run, trials=tuple(changed))


def times(factor: float, rates: Sequence[float] = EQUAL) -> tuple[float, ...]:
    """The rates, each by this factor and a little noise of its own."""
    noise = (1.004, 0.997, 1.0, 0.995, 1.003, 1.001)
    return tuple(rate * factor * wobble for rate, wobble in zip(rates, noise, strict=False))


def throughput_rules(*strategies: str, tolerance: str = "5%") -> Rules:
    """One throughput rule a strategy."""
    stanzas = [{"strategy": name, "metric": "throughput", "tolerance": tolerance} for name in strategies]
    return rules_of({"primary": stanzas})


def limit_rules(**stanza: object) -> Rules:
    """One limit."""
    return rules_of({"limit": [stanza]})


def only(judgement: Judgement) -> RuleFinding:
    """The one finding of a judgement by one rule."""
    (finding,) = judgement.findings
    return finding


def with_head(batch: Batch, head: Run) -> Batch:
    """The same batch, measured side by side, with another run."""
    return dataclasses.replace(batch, base=head, head=head)
