"""A run made by hand: three strategies, two payload classes, six rounds, with seeded samples on disk."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bench.model import (
    OUTCOMES,
    SCHEMA_VERSION,
    Ceiling,
    ClosedLoad,
    Environment,
    ImageSize,
    LatencyMs,
    Layer,
    LoopResult,
    Run,
    Startup,
    StrategyResult,
    Trial,
)
from bench.run_file import write_run
from tests.running.doubts import doubt

RATES_RPS = {
    ("torch", "small"): 100.0,
    ("onnx", "small"): 231.0,
    ("batched", "small"): 138.0,
    ("torch", "seed"): 41.0,
    ("onnx", "seed"): 55.0,
    ("batched", "seed"): 47.0,
}
ROUNDS = range(1, 7)
WARMUP_S, WINDOW_S, CLIENTS = 2.0, 20.0, 50
MIB = 1024**2


@pytest.fixture(scope="session")
def run() -> Run:
    trials = [
        _trial(strategy, payload_class, number) for number in ROUNDS for strategy, payload_class in RATES_RPS
    ]
    return Run(
        schema_version=SCHEMA_VERSION,
        created="2026-01-02T03:04:05+00:00",
        command="python -m bench run --concurrency 50",
        runtime="compose",
        quick=False,
        planned_trials=len(trials),
        environment=Environment(
            cpu_model="Example CPU @ 2.00GHz",
            cores=2,
            service_cores="1",
            driver_cores="0",
            memory_bytes=8 * 1024**3,
            kernel="6.1.0",
            libraries={"locust": "2.47.0"},
            governor=None,
        ),
        ceilings=(
            Ceiling("small", "json", CLIENTS, 3050.0, 0.31, 4120.0, 0.22),
            Ceiling("seed", "json", CLIENTS, 1210.0, 0.74, None, None),
        ),
        strategies={
            "torch": _result("Eager PyTorch", 620, 6.1, 98.0),
            "onnx": _result("ONNX Runtime", 140, 2.3, 240.0),
            "batched": _result("Batched PyTorch", 622, 6.4, 104.0),
        },
        trials=tuple(trials),
        doubts=(doubt("the host's governor could not be read", "other"),),
    )


@pytest.fixture(scope="session")
def write_folder() -> Callable[[Run, Path], Path]:
    def write(run: Run, folder: Path) -> Path:
        """Write a run's run.json and the samples that its trials name."""
        (folder / "samples").mkdir(parents=True)
        for trial in run.trials:
            if trial.samples is not None:
                _write_samples(trial, folder / trial.samples)
        write_run(run, folder)
        return folder

    return write


@pytest.fixture(scope="session")
def folder(
    run: Run, write_folder: Callable[[Run, Path], Path], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    return write_folder(run, tmp_path_factory.mktemp("results") / "20260102T030405Z-abc1234")


@pytest.fixture(scope="session")
def with_trials(run: Run) -> Callable[..., Run]:
    def change(keep: Callable[[Trial], bool] = lambda _: True, **changes: object) -> Run:
        """The run with some trials, each changed; it has no quick flag and plans what it kept."""
        trials = tuple(dataclasses.replace(t, **changes) for t in run.trials if keep(t))  # type: ignore[arg-type]  # the caller names the fields
        return dataclasses.replace(run, trials=trials, planned_trials=len(trials))

    return change


def _trial(strategy: str, payload_class: str, number: int) -> Trial:
    # a round is slow or fast for all, and each trial has a little noise of its own
    rate = RATES_RPS[strategy, payload_class]
    rng = np.random.default_rng([number, *strategy.encode(), *payload_class.encode()])
    rate *= 1 + 0.02 * np.sin(number) + 0.006 * rng.standard_normal()
    count = round(rate * WINDOW_S)
    p50 = 1000 * CLIENTS / rate
    return Trial(
        strategy=strategy,
        round=number,
        payload_class=payload_class,
        encoding="json",
        load=ClosedLoad(CLIENTS, WARMUP_S, WINDOW_S),
        window_s=WINDOW_S,
        warmup_s=WARMUP_S,
        requests=count,
        ok=count,
        errors=0,
        wrong_answers=0,
        throughput_rps=count / WINDOW_S,
        latency_ms=LatencyMs(p50, p50 * 1.3, p50 * 1.6),
        cpu_ms_per_request=1000 / rate,
        peak_memory_bytes=(180 if strategy == "onnx" else 420) * MIB + number * MIB,
        driver_cpu_ms_per_request=0.4,
        doubts=(),
        valid=True,
        samples=f"samples/{strategy}-{payload_class}-{number}.parquet",
        counted_by="due",
    )


def _result(title: str, own_mib: int, start_s: float, loop_rps: float) -> StrategyResult:
    layers = (
        Layer("base: debian", 74 * MIB, 28 * MIB, "sha256:01"),
        Layer("base: python", 52 * MIB, 17 * MIB, "sha256:02"),
        Layer("COPY the environment", own_mib * MIB, own_mib * MIB // 3, f"sha256:1{own_mib}"),
        Layer("COPY the code", MIB // 4, MIB // 16, f"sha256:2{own_mib}"),
    )
    rng = np.random.default_rng(round(start_s * 10))
    starts = np.round(start_s * (1 + 0.04 * rng.standard_normal(10)), 4)
    phases = {"running_s": 0.11, "port_open_s": 0.86, "ready_s": 0.97}
    return StrategyResult(
        title=title,
        image=ImageSize(
            sum(layer.unpacked_bytes for layer in layers),
            sum(layer.compressed_bytes or 0 for layer in layers),
            layers,
        ),
        startup=Startup(
            tuple(starts.tolist()),
            {name: tuple(np.round(starts * share, 4).tolist()) for name, share in phases.items()},
            "warm",
        ),
        loops=(
            LoopResult("small", tuple(loop_rps * (1 + 0.004 * i) for i in range(6)), (9.0,) * 6),
            LoopResult("seed", tuple(loop_rps / 2.4 * (1 + 0.004 * i) for i in range(6)), (20.0,) * 6),
        ),
    )


def _write_samples(trial: Trial, path: Path) -> None:
    """Samples over warm-up, window and drain whose latencies are log-normal around the trial's median."""
    rng = np.random.default_rng([trial.round, len(trial.strategy), len(trial.payload_class)])
    count = max(1, round((trial.throughput_rps or 1) * (trial.warmup_s + trial.window_s + 1)))
    span_ns = (trial.warmup_s + trial.window_s + 1) * 1e9
    due = np.sort(rng.uniform(0, span_ns, count)).astype(np.int64)
    median_ms = trial.latency_ms.p50 or 100.0
    took = (median_ms * 1e6 * rng.lognormal(0, 0.25, count)).astype(np.int64)
    table = pa.table(
        {
            "strategy": [trial.strategy] * count,
            "round": np.full(count, trial.round, dtype=np.int16),
            "payload_class": [trial.payload_class] * count,
            "due_ns": due,
            "sent_ns": due,
            "done_ns": due + took,
            "outcome": pa.DictionaryArray.from_arrays(pa.array(np.zeros(count, np.int8)), list(OUTCOMES)),
            "status": np.full(count, 200, dtype=np.int16),
            "bytes": np.full(count, 300, dtype=np.int32),
            "payload": np.zeros(count, dtype=np.int16),
        }
    )
    pq.write_table(table, path, compression="zstd")
