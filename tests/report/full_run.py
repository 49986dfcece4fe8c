"""A run that has all that schema 2 can hold: closed, open and share loads, and every kind of figure."""

import dataclasses
from typing import Any

import numpy as np

from bench.model import (
    Capacity,
    ClosedLoad,
    Directory,
    DriverFigures,
    GpuFigures,
    LatencyMs,
    LongTrial,
    OpenLoad,
    Probe,
    RepeatCheck,
    ResourceFigures,
    Run,
    SloResult,
    Startup,
    StrategyResult,
    Trial,
    UptimeChange,
    UptimeSpan,
)
from tests.running.doubts import doubt

MIB = 1024**2
BOUND_MS = 100.0
RATES = (20.0, 60.0, 90.0)
EVEN = (30.0, 60.0)
SHARES = (0.5, 0.7, 0.9)
WINDOW_S = 8.0


def full(run: Run) -> Run:
    """The run with more loads for its small payloads, one trial invalid and one not made, and all else."""
    trials = [closed for trial in run.trials for closed in _closed(trial)]
    small = [trial for trial in run.trials if trial.payload_class == "small"]
    for trial in small:
        full_rps = _capacity(run, trial.strategy)
        trials += [_open(trial, OpenLoad(rate, 2.0, WINDOW_S)) for rate in RATES]
        trials += [_open(trial, OpenLoad(rate, 2.0, WINDOW_S, arrivals="constant")) for rate in EVEN]
        for share in SHARES:
            load = OpenLoad(round(share * full_rps, 3), 2.0, WINDOW_S, share=share)
            trials.append(_open(trial, load))
    trials[3] = dataclasses.replace(
        trials[3],
        valid=False,
        doubts=(doubt(), doubt("Little's law is off by 4.1%", "littles_law")),
    )
    return dataclasses.replace(
        run,
        trials=tuple(trials),
        planned_trials=len(trials) + 1,
        strategies={name: _result(name, result) for name, result in run.strategies.items()},
        capacities=tuple(
            Capacity(name, "small", "json", 64, _capacity(run, name)) for name in run.strategies
        ),
        repeats=(
            RepeatCheck("torch", "small", "json", 99.0, 101.0),
            RepeatCheck("onnx", "small", "json", 230.0, 261.0),
        ),
        objectives=(
            _objective("torch", 100.0, 60.0),
            _objective("onnx", 231.0, 180.0),
            _objective("batched", 138.0, None),
        ),
        price_per_core_hour=0.04,
        longs=tuple(_long(one) for one in small if one.round == 1),
    )


def _long(trial: Trial) -> LongTrial:
    """A long trial that is slow at first, and whose memory grows."""
    rate = trial.throughput_rps or 1.0
    spans = tuple(
        UptimeSpan(
            6.0 * place,
            6.0 * place + 6.0,
            round(6 * rate * part),
            rate * part,
            300.0 / part,
            400.0 / part,
            (200 + 3 * place) * MIB,
        )
        for place, part in enumerate((0.5, 0.5, *(1.0,) * 8))
    )
    change = UptimeChange("throughput", 0.5 * rate, rate, 12.0, 60.0)
    long = dataclasses.replace(trial, round=0, samples=None)
    return LongTrial(long, 60.0, 2.0, 10.0, spans, (change,), ((3.0, 200 * MIB),))


def _capacity(run: Run, name: str) -> float:
    found = [t.throughput_rps or 0.0 for t in run.trials if (t.strategy, t.payload_class) == (name, "small")]
    return round(float(np.median(found)), 1)


def _closed(trial: Trial) -> list[Trial]:
    """The trial, and for its small payloads the same with one client."""
    rate = trial.throughput_rps or 1.0
    trial = _told(dataclasses.replace(trial, window_s=WINDOW_S, service_ms=trial.latency_ms), late=None)
    if trial.payload_class != "small":
        return [trial]
    one = 1000 / (0.6 * rate)
    alone = dataclasses.replace(
        trial,
        load=ClosedLoad(1, trial.load.warmup_s, WINDOW_S),
        throughput_rps=0.6 * rate,
        latency_ms=LatencyMs(one, one * 1.1, one * 1.3),
        samples=f"samples/{trial.strategy}-c1-{trial.round}.parquet",
    )
    return [alone, trial]


def _open(trial: Trial, load: OpenLoad) -> Trial:
    """The trial at a rate: what is beyond its capacity is turned away, and latency grows towards it."""
    full = trial.throughput_rps or 1.0
    rate = min(load.rate_per_s, 0.97 * full)
    waiting = 1 + (0.3 if load.arrivals == "constant" else 1.0) * rate / full / (1.02 - rate / full)
    p50 = 1000 / full * waiting
    service = LatencyMs(p50 * 0.8, p50 * 1.2, p50 * 1.7)
    changed = dataclasses.replace(
        trial,
        load=load,
        window_s=WINDOW_S,
        requests=round(load.rate_per_s * WINDOW_S),
        ok=round(rate * WINDOW_S),
        throughput_rps=rate,
        latency_ms=LatencyMs(p50, p50 * 1.5, p50 * 2.2),
        service_ms=service,
        refused=round((load.rate_per_s - rate) * WINDOW_S),
        samples=f"samples/{trial.strategy}-{load.name}-{trial.round}.parquet",
    )
    return _told(changed, late=0.001 * trial.round)


def _told(trial: Trial, late: float | None) -> Trial:
    """The trial with all that the driver, the container and the host told of it."""
    requests = trial.requests
    gpu = GpuFigures(0.42, 900 * MIB, 0.8 * requests) if trial.strategy == "batched" else None
    return dataclasses.replace(
        trial,
        driver=DriverFigures(2, 0, 0.31 + trial.round / 100, late, 1.2 if late else None, 0.05),
        resources=ResourceFigures(41_000 * requests, 900 * requests, 0, 0.002 * trial.round, gpu),
        overhead_s=0.4 + trial.round / 10,
    )


def _result(name: str, result: StrategyResult) -> StrategyResult:
    assert result.startup is not None
    assert result.image is not None
    seconds = np.array(result.startup.first_correct_answer_s)
    spent: dict[str, Any] = {"imports": 0.5, "pull": 0.2, "load": 0.1, "warm_up": 0.15}
    packages = ("torch", "numpy", "PIL", "fastapi") if name != "onnx" else ("onnxruntime", "numpy", "PIL")

    def startup(cache: str, scale: float, pull: float) -> Startup:
        lengths = {**spent, "pull": pull}
        return Startup(
            tuple((seconds * scale).round(4).tolist()),
            {phase: tuple((np.array(v) * scale).tolist()) for phase, v in result.startup.phases.items()},  # type: ignore[union-attr]  # asserted above
            cache,
            {phase: tuple((seconds * scale * share).tolist()) for phase, share in lengths.items()},
        )

    image = dataclasses.replace(
        result.image,
        directories=tuple(
            Directory(f"site-packages/{package}", (300 >> place) * MIB)
            for place, package in enumerate(packages)
        ),
        wasted_bytes=3 * MIB,
        model_bytes=14 * MIB,
    )
    return dataclasses.replace(
        result,
        image=image,
        startup=startup("cold", 1.0, 0.2),
        warm_startup=startup("warm", 0.82, 0.02),
    )


def _objective(name: str, capacity: float, held: float | None) -> SloResult:
    tried = (0.5, 0.7, 0.9)
    probes = tuple(
        Probe(
            round(share * capacity, 1),
            place + 1,
            60.0 + 50 * place,
            share * capacity * 0.99,
            share * capacity,
            held is not None and share * capacity <= held * 1.2,
            "" if held is not None and share * capacity <= held * 1.2 else "p99 beyond the bound",
        )
        for place, share in enumerate(tried)
    )
    goodput = None if held is None else held * 0.995
    return SloResult(name, "small", "json", 0.99, BOUND_MS, capacity, held, goodput, probes)
