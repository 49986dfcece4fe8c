"""Disk: room for results and images, and what it costs to keep a trial."""

import contextlib
import os
import shutil
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from bench.doctor.finding import Finding, finding, graded, graded_least, unread

GIB = 1024**3
RESULTS_GIB = (2.0, 0.2)
ENGINE_GIB = (10.0, 1.0)
# it comes between trials, so a slow fsync costs time but changes no figure
FSYNC_S = (0.1, float("inf"))
FSYNC_BYTES = 1024 * 1024
FSYNCS = 5


@dataclass(frozen=True, slots=True)
class DiskFacts:
    """Free bytes of the results' disk and of the engine's disk, and the median seconds of an fsync of 1 MiB.

    `fsync_s` is None if nothing can be written there, `engine_free_bytes` if the engine is not on this host.
    """

    results_free_bytes: int
    engine_free_bytes: int | None
    fsync_s: float | None


def read_disk(results: Path, engine_root: str | None) -> DiskFacts:
    """The facts of the folder, or of its nearest parent that exists. Leaves nothing behind."""
    folder = next(place for place in (results, *results.absolute().parents) if place.is_dir())
    fsync_s = None
    with contextlib.suppress(OSError):
        fsync_s = _fsync_s(folder)
    engine_free = None
    if engine_root is not None:
        with contextlib.suppress(OSError):
            engine_free = shutil.disk_usage(engine_root).free
    return DiskFacts(shutil.disk_usage(folder).free, engine_free, fsync_s)


def judge_disk(facts: DiskFacts) -> tuple[Finding, ...]:
    """The findings `results disk`, `engine disk` and `fsync`."""
    free = facts.results_free_bytes / GIB
    what = f"{free:.1f} GiB are free for results"
    first = finding(
        "results disk", graded_least(free, *RESULTS_GIB), what, "free some space, or name --results"
    )
    return first, _engine(facts.engine_free_bytes), _fsync(facts.fsync_s)


def _engine(free_bytes: int | None) -> Finding:
    if free_bytes is None:
        return unread("engine disk", "the engine's disk cannot be seen from here")
    free = free_bytes / GIB
    what = f"{free:.1f} GiB are free for images and containers"
    return finding(
        "engine disk", graded_least(free, *ENGINE_GIB), what, "docker system prune, or a larger disk"
    )


def _fsync(seconds: float | None) -> Finding:
    if seconds is None:
        return Finding(
            "fsync", "bad", "nothing can be written where results go", "name another folder with --results"
        )
    what = f"1 MiB is on disk after {1e3 * seconds:.1f} ms, which every trial waits for"
    return finding("fsync", graded(seconds, *FSYNC_S), what, "keep results on a local disk")


def _fsync_s(folder: Path) -> float:
    taken = []
    content = os.urandom(FSYNC_BYTES)
    with tempfile.TemporaryFile(dir=folder) as file:
        for _ in range(FSYNCS):
            begin = time.monotonic()
            file.seek(0)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            taken.append(time.monotonic() - begin)
    return statistics.median(taken)
