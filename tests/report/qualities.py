"""A run of four strategies with three promises of their answers, made of the run that tests know."""

import dataclasses

from bench.model import HeldOutResult, Quality, Run, Trial

BOUNDED = Quality("bounded", tolerance=0.05)
AGREEMENT = Quality("agreement", agreement=0.985, loss=0.01)
EXACT_HELD = HeldOutResult(2000, 2000, 0, 2000, 1430, 1430, 0.0004, "held-out/0007")
BOUNDED_HELD = HeldOutResult(2000, 1996, 0, 2000, 1428, 1430, 0.031, "held-out/0113")
AGREEING_HELD = HeldOutResult(2000, 1979, 0, 2000, 1418, 1430, 0.27, "held-out/1204")


def three_promises(run: Run, faster: float = 1.3) -> Run:
    """The run with two strategies more: `onnx_int8`, so many times as fast as onnx, and `onnx_near`.

    torch, onnx and batched are exact, `onnx_near` is bounded and as fast as onnx, and `onnx_int8` agrees on
    1 979 of 2 000 held-out pictures.
    """
    onnx, exact = run.strategies["onnx"], {}
    for name, one in run.strategies.items():
        exact[name] = dataclasses.replace(one, held_out=EXACT_HELD)
    more = {
        "onnx_near": dataclasses.replace(onnx, quality=BOUNDED, held_out=BOUNDED_HELD),
        "onnx_int8": dataclasses.replace(onnx, quality=AGREEMENT, held_out=AGREEING_HELD),
    }
    trials = [*run.trials]
    for one in run.trials:
        if one.strategy == "onnx":
            trials += [_as(one, "onnx_near", 1.0), _as(one, "onnx_int8", faster)]
    return dataclasses.replace(
        run, strategies={**exact, **more}, trials=tuple(trials), planned_trials=len(trials)
    )


def _as(trial: Trial, name: str, faster: float) -> Trial:
    # a little of its own, so that ratios have an interval
    own = faster * (1 + 0.001 * ((trial.round * 7) % 5 - 2))
    rate = (trial.throughput_rps or 1.0) * own
    latency = trial.latency_ms
    return dataclasses.replace(
        trial,
        strategy=name,
        throughput_rps=rate,
        latency_ms=dataclasses.replace(
            latency, **{q: (getattr(latency, q) or 0.0) / own for q in ("p50", "p95", "p99")}
        ),
        cpu_ms_per_request=(trial.cpu_ms_per_request or 1.0) / own,
        requests=round(trial.requests * own),
        ok=round(trial.ok * own),
        samples=f"samples/{name}-{trial.payload_class}-{trial.round}.parquet",
    )
