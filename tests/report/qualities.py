"""A run of five strategies with three promises of their answers, made of the run that tests know."""

import dataclasses

from bench.model import HeldOutResult, LatencyMs, ParityResult, Quality, Run, StrategyResult, Trial
from tests.running.doubts import doubt

BOUNDED = Quality("bounded", tolerance=0.05)
AGREEMENT = Quality("agreement", agreement=0.985, loss=0.01)
EXACT_HELD = HeldOutResult(2000, 2000, 0, 2000, 1430, 1430, 0.0004, "held-out/0007")
BOUNDED_HELD = HeldOutResult(2000, 1996, 0, 2000, 1428, 1430, 0.031, "held-out/0113")
AGREEING_HELD = HeldOutResult(2000, 1979, 0, 2000, 1418, 1430, 0.27, "held-out/1204")
PARITY = ParityResult(80, 0, 0.02, 0.0005, "seed/3, json")


def three_promises(run: Run, faster: float = 1.3) -> Run:
    """The run with two strategies more: `onnx_int8`, so many times as fast as onnx, and `onnx_near`.

    torch, onnx and batched are exact, `onnx_near` is bounded and as fast as onnx, and `onnx_int8` agrees on
    1 979 of 2 000 held-out pictures.
    """
    onnx = run.strategies["onnx"]
    exact = {
        name: dataclasses.replace(one, held_out=EXACT_HELD, parity=PARITY)
        for name, one in run.strategies.items()
    }
    more = {
        "onnx_near": _lesser(onnx, BOUNDED, BOUNDED_HELD),
        "onnx_int8": _lesser(onnx, AGREEMENT, AGREEING_HELD),
    }
    trials = [*run.trials]
    for one in run.trials:
        if one.strategy == "onnx":
            trials += [_as(one, "onnx_near", 1.0), _as(one, "onnx_int8", faster)]
    return dataclasses.replace(
        run, strategies={**exact, **more}, trials=tuple(trials), planned_trials=len(trials)
    )


def asked(run: Run) -> Run:
    """The run whose strategies, all exact, were asked the held-out set."""
    strategies = {name: dataclasses.replace(one, held_out=EXACT_HELD) for name, one in run.strategies.items()}
    return dataclasses.replace(run, strategies=strategies)


def left_out(run: Run, name: str) -> Run:
    """The run in which the image of a strategy could not be built, so that nothing of it was timed."""
    failure = dataclasses.replace(
        doubt("its image could not be built", "not_built"), remedy="see the builder"
    )
    strategies = {
        **run.strategies,
        name: StrategyResult(run.strategies[name].title, None, None, failure=failure),
    }
    trials = tuple(one for one in run.trials if one.strategy != name)
    return dataclasses.replace(run, strategies=strategies, trials=trials)


def _lesser(result: StrategyResult, quality: Quality, held_out: HeldOutResult) -> StrategyResult:
    # before the load a bounded or agreeing strategy may be far off, and keeps its promise
    parity = dataclasses.replace(PARITY, largest_difference=0.04)
    return dataclasses.replace(result, quality=quality, held_out=held_out, parity=parity)


def _as(trial: Trial, name: str, faster: float) -> Trial:
    """A trial of onnx as one of another strategy, with a little of its own in each round."""
    own = faster * (1 + 0.001 * ((trial.round * 7) % 5 - 2))
    late = trial.latency_ms
    p50, p95, p99 = (None if one is None else one / own for one in (late.p50, late.p95, late.p99))
    samples = None if trial.samples is None else trial.samples.replace("onnx", name)
    return dataclasses.replace(
        trial,
        strategy=name,
        throughput_rps=(trial.throughput_rps or 1.0) * own,
        latency_ms=LatencyMs(p50, p95, p99),
        cpu_ms_per_request=(trial.cpu_ms_per_request or 1.0) / own,
        requests=round(trial.requests * own),
        ok=round(trial.ok * own),
        samples=samples,
    )
