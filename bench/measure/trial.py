"""One trial: one strategy in a fresh container under one load, its samples and its resources."""

import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from bench.errors import BenchError
from bench.load.launch import Drive, Rendezvous, Target
from bench.load.samples import Samples, write_parquet
from bench.measure.judge import CUT, Readings, TrialSpec, failed_trial, judge
from bench.measure.machine.environment import steal_ticks
from bench.measure.machine.gpu import GpuWatch
from bench.measure.machine.server_metrics import figures_between, scrape
from bench.measure.machine.usage import Usage
from bench.measure.progress import Now, Progress
from bench.measure.runtime.instance import Instance
from bench.model import Trial

USAGE_EVERY_S = 0.75
# a scrape takes some of the service's time, which must not be the window's
SCRAPE_AHEAD_S = 0.2
SHOWN_EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class Tried:
    """A trial, its samples, and how long its load took from the first request due to the last one ended."""

    trial: Trial
    samples: Samples
    loaded_s: float


class TrialInterrupted(KeyboardInterrupt):
    """Ctrl-C while a trial ran; `trial` tells what is kept of it."""

    def __init__(self, trial: Trial) -> None:
        super().__init__()
        self.trial = trial


def run_trial(
    spec: TrialSpec,
    instance: Instance,
    folder: Path,
    progress: Progress,
    together: Rendezvous | None = None,
) -> Tried:
    """Drive the instance, write its samples under folder/samples, and return the trial.

    With `together` it begins at the instant at which the others begin that share it. Raises TrialInterrupted
    on Ctrl-C, once what is in flight has been drained and written.
    """
    name = f"samples/{spec.name()}.parquet"
    with tempfile.TemporaryDirectory(prefix="bench-trial-") as scratch:
        target = Target(instance.host, instance.port, spec.strategy.path)
        drive = Drive(target, spec.payloads, spec.load, spec.seed, Path(scratch), spec.fleet, together)
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
    ended_s = driven.summary.window_begin_s + spec.load.window_s
    loaded_s = max(ended_s, float(driven.samples.done_ns.max(initial=0)) / 1e9)
    return Tried(
        judge(spec, driven, readings, instance.fate(), name, drive.start_ns), driven.samples, loaded_s
    )


def _write(spec: TrialSpec, samples: Samples, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    write_parquet(
        samples, file, strategy=spec.strategy.name, round_=spec.round, payload_class=spec.payload_class
    )


def _watch(drive: Drive, instance: Instance, spec: TrialSpec) -> Readings | None:
    """Read the accounting at the window's begin and end and between; None where the instance died."""
    begin_s = drive.await_window()
    with ThreadPoolExecutor(1) as aside:
        time.sleep(drive.instant(begin_s - SCRAPE_AHEAD_S))
        # a service that hangs must not hold up the accounting
        before = aside.submit(scrape, instance.host, instance.port)
        time.sleep(drive.instant(begin_s))
        cores = spec.cores.service
        stolen, ticks = steal_ticks(cores)
        with GpuWatch() as gpu:
            try:
                usages = _usages(drive, instance, begin_s + spec.load.window_s)
            except (KeyError, OSError, ValueError):
                # a container that is gone has no accounting; its fate is told by the engine
                return None
        stolen_end, ticks_end = steal_ticks(cores)
        after = scrape(instance.host, instance.port)
    return Readings(
        usages,
        (stolen_end - stolen) / (ticks_end - ticks) if ticks_end > ticks else None,
        figures_between(before.result(), after),
        gpu.figures,
    )


def _usages(drive: Drive, instance: Instance, end_s: float) -> tuple[Usage, ...]:
    """The accounting now, at the window's end, and between; raises as the instance does where it is gone."""
    found = [instance.usage()]
    while (left := drive.instant(end_s)) > 0:
        time.sleep(min(left, USAGE_EVERY_S))
        found.append(instance.usage())
    return tuple(found)


def _teller(spec: TrialSpec, progress: Progress) -> Callable[[float, int], None]:
    """Turn the driver's counts into the rate shown while it drives."""
    seen = [(0.0, 0)]

    def tell(elapsed_s: float, requests: int) -> None:
        before_s, before = seen[-1]
        if elapsed_s - before_s < SHOWN_EVERY_S:
            return
        seen.append((elapsed_s, requests))
        phase = "warm-up" if elapsed_s < spec.load.warmup_s else "under load"
        progress.live(Now(phase, (requests - before) / (elapsed_s - before_s)))

    return tell
