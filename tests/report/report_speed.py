"""How long `bench report` takes on a run of many samples, and how much memory: prints seconds and the peak.

python tests/report/report_speed.py [--samples 1000000] [--rounds 6] [--folder FOLDER]

It makes a run of three strategies under a closed, two open and one share load (72 trials in six rounds), with
samples as a driver writes them and all else of which there is a picture, then reports it in a process of its
own. Seconds are from start to end, with the interpreter's imports, and beside them the CPU time of all its
processes, which a busy machine does not stretch as much; the peak is the resident memory that the process had
at most. With --folder the run is kept there.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
MAKE = "--make-only"
CAPACITIES_RPS = {"torch": 100.0, "onnx": 230.0, "batched": 140.0}
WARMUP_S, WINDOW_S = 5.0, 30.0
LOADS = 4
MIB = 1024**2
STARTING = {"running": 0.1, "port_open": 0.4, "ready": 0.9}


def main(arguments: Sequence[str] | None = None) -> int:
    """Make a run, report it, and print how long that took and how much memory."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--samples", type=int, default=1_000_000, help="samples in all")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--folder", type=Path, help="where to keep the run; must not exist")
    parser.add_argument(MAKE, action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.make_only:
        make_run(options.folder, options.samples, options.rounds)
        return 0
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.folder or Path(scratch) / "run"
        # made elsewhere: a child's peak begins with its parent's
        made = [__file__, MAKE, "--folder", str(folder), "--samples", str(options.samples)]
        command = [sys.executable, *made, "--rounds", str(options.rounds)]
        subprocess.run(command, check=True)
        seconds, cpu_s, peak_mib = report(folder)
    print(f"{options.samples} samples: {seconds:.2f} s, {cpu_s:.2f} s of CPU, {peak_mib:.0f} MiB at most")
    return 0


def report(folder: Path) -> tuple[float, float, float]:
    """Report the run in a process of its own; returns its seconds, its CPU seconds and its peak in MiB."""
    began_s = time.perf_counter()
    command = [sys.executable, "-m", "bench", "report", str(folder.resolve())]
    child = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    seconds = time.perf_counter() - began_s
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"bench report failed with exit code {child.returncode}")
    unit = 1024 if sys.platform != "darwin" else 1  # macOS counts bytes, Linux KiB
    return seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * unit / MIB


def make_run(folder: Path, samples: int, rounds: int) -> None:
    """Write a run whose trials share so many samples evenly."""
    sys.path.insert(0, str(ROOT))  # run as a program, a folder's own files come first
    from bench.model import SCHEMA_VERSION, Environment, Run
    from bench.run_file import write_run

    (folder / "samples").mkdir(parents=True)
    each = max(1, samples // (rounds * len(CAPACITIES_RPS) * LOADS))
    trials = tuple(_trials(folder, each, rounds))
    run = Run(
        schema_version=SCHEMA_VERSION,
        created="2026-01-02T03:04:05+00:00",
        command="python tests/report/report_speed.py",
        runtime="process",
        quick=False,
        planned_trials=len(trials),
        environment=Environment(cpu_model="synthetic", cores=2, service_cores="1", driver_cores="0"),
        ceilings=(),
        strategies={name: _result(name) for name in CAPACITIES_RPS},
        trials=trials,
        objectives=tuple(_objective(name, capacity) for name, capacity in CAPACITIES_RPS.items()),
        price_per_core_hour=0.04,
    )
    write_run(run, folder)


def _result(name: str) -> Any:
    """An image and starts, so that there is a picture of them too."""
    from bench.model import Directory, ImageSize, Layer, Startup, StrategyResult

    layers = (
        Layer("base", 120 * MIB, 45 * MIB, "sha256:base"),
        Layer("COPY the environment", 600 * MIB, 200 * MIB, f"sha256:{name}"),
    )
    packages = tuple(Directory(f"site-packages/{each}", 60 * MIB) for each in ("numpy", "sympy", "PIL"))
    image = ImageSize(720 * MIB, 245 * MIB, layers, packages, 0, 14 * MIB)
    totals = tuple(3 + 0.1 * number for number in range(10))
    ends = {f"{phase}_s": tuple(share * s for s in totals) for phase, share in STARTING.items()}
    inside = {phase: tuple(0.2 * s for s in totals) for phase in ("imports", "pull", "load", "warm_up")}
    cold, warm = (Startup(totals, ends, cache, inside) for cache in ("cold", "warm"))
    return StrategyResult(name.capitalize(), image, cold, (), warm)


def _objective(name: str, capacity: float) -> Any:
    """A search for an objective of five rates in two rounds."""
    from bench.model import Probe, SloResult

    probes = tuple(
        Probe(share * capacity, round_, 150 * share, share * capacity, share * capacity, share < 0.7)
        for share in (0.3, 0.5, 0.6, 0.8, 0.9)
        for round_ in (1, 2)
    )
    return SloResult(name, "small", "json", 0.99, 100.0, capacity, 0.6 * capacity, 0.6 * capacity, probes)


def _server(capacity: float, load_rps: float) -> Any:
    """What a service tells of its stages and its batches."""
    from bench.model import BatchFigures, ServerFigures, StageFigures

    fill = load_rps / capacity
    stages = {"parse": 0.2, "decode": 0.7, "transform": 0.7, "queue": 20 * fill, "infer": 500 / capacity}
    figures = {stage: StageFigures(ms, 700) for stage, ms in stages.items()}
    return ServerFigures(figures, BatchFigures(1 + 5 * fill, {"8.0": 100}))


def _trials(folder: Path, each: int, rounds: int) -> Iterator[Any]:
    """Each trial, once its samples are written."""
    from bench.load.samples import write_parquet
    from bench.model import ClosedLoad, LatencyMs, OpenLoad, Trial

    for number in range(1, rounds + 1):
        for name, capacity in CAPACITIES_RPS.items():
            loads = (
                ClosedLoad(50, WARMUP_S, WINDOW_S),
                OpenLoad(40.0, WARMUP_S, WINDOW_S),
                OpenLoad(80.0, WARMUP_S, WINDOW_S),
                OpenLoad(0.7 * capacity, WARMUP_S, WINDOW_S, share=0.7),
            )
            for place, load in enumerate(loads):
                columns, (p50, p95, p99) = _samples(each, [number, place, round(capacity)])
                file = f"samples/{name}-{place}-{number}.parquet"
                write_parquet(columns, folder / file, strategy=name, round_=number, payload_class="small")
                rate = (load.rate_per_s if isinstance(load, OpenLoad) else capacity) * (
                    1 + 0.01 * (number % 3)
                )
                yield Trial(
                    strategy=name,
                    round=number,
                    payload_class="small",
                    encoding="json",
                    load=load,
                    window_s=WINDOW_S,
                    warmup_s=WARMUP_S,
                    requests=each,
                    ok=each,
                    errors=0,
                    wrong_answers=0,
                    throughput_rps=rate,
                    latency_ms=LatencyMs(p50, p95, p99),
                    cpu_ms_per_request=1000 / capacity,
                    peak_memory_bytes=300 * MIB,
                    driver_cpu_ms_per_request=0.3,
                    doubts=(),
                    valid=True,
                    samples=file,
                    server=_server(capacity, rate),
                )


def _samples(count: int, seed: list[int]) -> tuple[Any, list[float]]:
    """Log-normal response times over warm-up and window, and their p50, p95 and p99 in ms."""
    import numpy as np

    from bench.load.samples import Samples

    rng = np.random.default_rng(seed)
    took = (20e6 * rng.lognormal(0, 0.4, count)).astype(np.int64)
    done = np.sort(rng.uniform(0, (WARMUP_S + WINDOW_S) * 1e9, count)).astype(np.int64)
    zeros = np.zeros(count, dtype=np.int64)
    samples = Samples(
        due_ns=done - took,
        sent_ns=done - took + rng.integers(0, 200_000, count),
        done_ns=done,
        bytes=zeros + 300,
        status=zeros + 200,
        payload=rng.integers(0, 40, count),
        outcome=zeros,
    )
    return samples, [float(value) / 1e6 for value in np.quantile(took, (0.5, 0.95, 0.99))]


if __name__ == "__main__":
    sys.exit(main())
