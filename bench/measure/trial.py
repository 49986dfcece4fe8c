"""One trial: one strategy in a fresh container under one load, its samples and its resources."""

import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.cores import Cores
from bench.errors import BenchError
from bench.load.launch import Drive, Driven, Target
from bench.load.samples import Samples, write_parquet
from bench.load.window import WindowFigures, summarise
from bench.measure.environment import steal_ticks
from bench.measure.instance import Instance, Usage
from bench.measure.progress import Progress
from bench.measure.server_metrics import figures_between, scrape
from bench.model import Ceiling, ClosedLoad, LatencyMs, Load, Payload, ServerFigures, Strategy, Trial

MEMORY_EVERY_S = 0.75
# a scrape takes some of the service's time, which must not be the window's
SCRAPE_AHEAD_S = 0.2
STEAL_WARNS, STEAL_VOIDS = 0.01, 0.05
CEILING_SHARE = 0.5
CUT = "it was interrupted before its window ended: its samples are kept, no figure is made of them"


@dataclass(frozen=True, slots=True)
class TrialSpec:
    """What one trial is to measure."""

    strategy: Strategy
    round: int
    payloads: tuple[Payload, ...]
    load: Load
    seed: int
    cores: Cores
    ceiling: Ceiling | None

    @property
    def payload_class(self) -> str:
        """The class that all payloads of the trial belong to."""
        return self.payloads[0].payload_class

    def name(self) -> str:
        """A name that no other trial of the run has."""
        encoding = self.payloads[0].encoding
        return f"{self.strategy.name}-{self.payload_class}-{encoding}-{self.load.name}-r{self.round:02d}"


@dataclass(frozen=True, slots=True)
class Readings:
    """The container's accounting at the window's two ends and between, and the host's stolen time."""

    usages: tuple[Usage, ...]
    stolen_share: float
    server: ServerFigures | None = None

    @property
    def peak_memory_bytes(self) -> int:
        """The highest working set that was seen."""
        return max(usage.memory_bytes for usage in self.usages)


class TrialInterrupted(KeyboardInterrupt):
    """Ctrl-C while a trial ran; `trial` tells what is kept of it."""

    def __init__(self, trial: Trial) -> None:
        super().__init__()
        self.trial = trial


def run_trial(spec: TrialSpec, instance: Instance, folder: Path, progress: Progress) -> Trial:
    """Drive the instance, write its samples under folder/samples, and return the trial.

    Raises TrialInterrupted on Ctrl-C, once what is in flight has been drained and written.
    """
    name = f"samples/{spec.name()}.parquet"
    with tempfile.TemporaryDirectory(prefix="bench-trial-") as scratch:
        target = Target(instance.host, instance.port, spec.strategy.path)
        drive = Drive(target, spec.payloads, spec.load, spec.seed, Path(scratch))
        try:
            threading.Thread(target=drive.follow, args=(_teller(spec, progress),), daemon=True).start()
            readings = _watch(drive, instance, spec)
            driven = drive.finish()
        except KeyboardInterrupt:
            progress.note("interrupted: draining what is in flight")
            try:
                _write(spec, drive.cut_short().samples, folder / name)
            except BenchError:
                raise KeyboardInterrupt from None  # it had sent nothing yet
            raise TrialInterrupted(failed_trial(spec, CUT, name)) from None
        finally:
            drive.close()
    _write(spec, driven.samples, folder / name)
    return judge(spec, driven, readings, instance.fate(), name, drive.start_ns)


def _write(spec: TrialSpec, samples: Samples, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    write_parquet(
        samples, file, strategy=spec.strategy.name, round_=spec.round, payload_class=spec.payload_class
    )


def failed_trial(spec: TrialSpec, error: str, samples: str | None = None) -> Trial:
    """The trial of a strategy that could not be measured, or not to the end: it has no figures."""
    return Trial(
        **_identity(spec),
        requests=0,
        ok=0,
        errors=0,
        wrong_answers=0,
        throughput_rps=None,
        latency_ms=LatencyMs(None, None, None),
        cpu_ms_per_request=None,
        peak_memory_bytes=None,
        driver_cpu_ms_per_request=None,
        warnings=(),
        valid=False,
        samples=samples,
        error=error,
    )


def judge(
    spec: TrialSpec,
    driven: Driven,
    readings: Readings | None,
    fate: Sequence[str],
    samples: str,
    start_ns: int,
) -> Trial:
    """Reduce what was recorded to the trial's figures, with every reason not to believe them."""
    load = spec.load
    clients = load.clients if isinstance(load, ClosedLoad) else None
    figures = summarise(driven.samples, clients, load.warmup_s, load.window_s)
    spoiled, doubtful = _objections(spec, figures, readings, fate)
    driver = driven.summary
    return Trial(
        **_identity(spec),
        requests=figures.requests,
        ok=figures.ok,
        errors=figures.errors,
        wrong_answers=figures.wrong_answers,
        throughput_rps=round(figures.throughput_rps, 3),
        latency_ms=figures.latency_ms,
        cpu_ms_per_request=_cpu_ms(driven.samples, readings, start_ns),
        peak_memory_bytes=readings.peak_memory_bytes if readings else None,
        driver_cpu_ms_per_request=(
            round(1e3 * driver.cpu_s / driver.requests, 4) if driver.requests else None
        ),
        warnings=(*figures.warnings, *spoiled, *doubtful),
        valid=figures.valid and not spoiled,
        samples=samples,
        refused=figures.refused,
        server=readings.server if readings else None,
    )


def _identity(spec: TrialSpec) -> dict[str, Any]:
    load = spec.load.described()
    if load["kind"] == "open":
        load["seed"] = spec.seed  # its schedule can be computed again
    return {
        "strategy": spec.strategy.name,
        "round": spec.round,
        "payload_class": spec.payload_class,
        "encoding": spec.payloads[0].encoding,
        "load": load,
        "window_s": spec.load.window_s,
        "warmup_s": spec.load.warmup_s,
    }


def _watch(drive: Drive, instance: Instance, spec: TrialSpec) -> Readings | None:
    """Read the accounting at the window's begin and end and between; None where the instance died."""
    load, cores = spec.load, spec.cores.service
    time.sleep(drive.instant(load.warmup_s - SCRAPE_AHEAD_S))
    before = scrape(instance.host, instance.port)
    time.sleep(drive.instant(load.warmup_s))
    stolen, ticks = steal_ticks(cores)
    usages = []
    try:
        usages.append(instance.usage())
        while (left := drive.instant(load.warmup_s + load.window_s)) > 0:
            time.sleep(min(left, MEMORY_EVERY_S))
            usages.append(instance.usage())
    except (KeyError, OSError, ValueError):
        # a container that is gone has no accounting; its fate is told by the engine
        return None
    stolen_end, ticks_end = steal_ticks(cores)
    server = figures_between(before, scrape(instance.host, instance.port))
    return Readings(tuple(usages), (stolen_end - stolen) / max(1, ticks_end - ticks), server)


def _objections(
    spec: TrialSpec, figures: WindowFigures, readings: Readings | None, fate: Sequence[str]
) -> tuple[list[str], list[str]]:
    """What spoils a trial, and what only casts doubt on it."""
    spoiled, doubtful = list(fate), list[str]()
    if readings is None or len(readings.usages) < 2:
        spoiled.append("the container's accounting could not be read: no CPU and memory figures")
    else:
        throttled = readings.usages[-1].throttled - readings.usages[0].throttled
        if throttled:
            spoiled.append(f"the kernel throttled the container in {throttled} periods: lift its CPU limit")
        if readings.stolen_share > STEAL_WARNS:
            note = f"the host stole {readings.stolen_share:.1%} of the service core's time"
            (spoiled if readings.stolen_share > STEAL_VOIDS else doubtful).append(note)
    if spec.ceiling and figures.throughput_rps > CEILING_SHARE * spec.ceiling.throughput_rps:
        doubtful.append(
            f"the driver itself reaches {spec.ceiling.throughput_rps:.0f} requests/s at most: "
            "more than half of that was measured, so the driver may be the limit"
        )
    return spoiled, doubtful


def _cpu_ms(samples: Samples, readings: Readings | None, start_ns: int) -> float | None:
    """CPU milliseconds of the container per request answered between the first and the last reading."""
    if readings is None or len(readings.usages) < 2:
        return None
    first, last = readings.usages[0], readings.usages[-1]
    ended = samples.done_ns + start_ns
    answered = int(np.sum((ended >= first.at_ns) & (ended < last.at_ns) & (samples.status > 0)))
    return round((last.cpu_ns - first.cpu_ns) / 1e6 / answered, 4) if answered else None


def _teller(spec: TrialSpec, progress: Progress) -> Any:
    """Turn the driver's counts into the estimate shown while it drives."""
    seen = [(0.0, 0)]

    def tell(elapsed_s: float, requests: int) -> None:
        before_s, before = seen[-1]
        seen.append((elapsed_s, requests))
        phase = "warm-up" if elapsed_s < spec.load.warmup_s else "window"
        if elapsed_s > before_s:
            progress.live(f"{phase}, {(requests - before) / (elapsed_s - before_s):.0f} requests/s")

    return tell
