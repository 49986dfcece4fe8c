"""Readings of an instance's accounting, and what a window's readings say of its resources."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from bench.measure.machine.core_use import CoreUse
from bench.model import GpuFigures, ResourceFigures


@dataclass(frozen=True, slots=True)
class Usage:
    """A reading of an instance's own accounting; `at_ns` is on the monotonic clock.

    `memory_bytes` is the working set (pages in use less `file_cache_bytes`, the file cache, plus the files
    that processes map), or what local processes have in memory; `throttled` counts the periods in which the
    kernel held it back.
    `peak_bytes` is the kernel's own high-water mark of all pages since the instance began. Network bytes are
    as the instance sees them. A figure that nobody reports is None. `children_counted` says
    whether the CPU time has that of processes that have ended, `shared_once` whether a page that several
    processes share counts once.
    """

    at_ns: int
    cpu_ns: int | None
    memory_bytes: int | None
    throttled: int | None
    file_cache_bytes: int = 0
    peak_bytes: int | None = None
    received_bytes: int | None = None
    sent_bytes: int | None = None
    children_counted: bool = True
    shared_once: bool = True


def resource_figures(
    usages: Sequence[Usage],
    stolen: float | None,
    gpu: GpuFigures | None,
    cores: CoreUse | None = None,
) -> ResourceFigures:
    """What happened between the first and the last reading; network bytes are None if there is only one.

    Args:
        usages: Readings in order, the first at the window's begin and the last at its end.
        stolen: The share (0 to 1) of the service cores' time that the host took, None if unknown.
        gpu: The GPU over the same window, None if there is no GPU.
        cores: What else used the cores in the window, None if unknown.
    """
    first, last = usages[0], usages[-1]
    both_ends = len(usages) > 1
    return ResourceFigures(
        received_bytes=_grown(first.received_bytes, last.received_bytes) if both_ends else None,
        sent_bytes=_grown(first.sent_bytes, last.sent_bytes) if both_ends else None,
        throttled_periods=_grown(first.throttled, last.throttled),
        stolen=None if stolen is None else round(stolen, 6),
        gpu=gpu,
        other_on_service=cores.other_on_service if cores else None,
        other_on_driver=cores.other_on_driver if cores else None,
        kernel_peak_bytes=last.peak_bytes,
    )


def peak_memory_bytes(usages: Sequence[Usage], within_s: float = math.inf) -> int | None:
    """The most of the working set that was sampled within so many seconds; None without such a sample.

    More samples find a higher peak, so windows of several lengths are compared by as much of each. The
    kernel's high-water mark is another figure: it counts file cache that could go at once, and what was in
    use before the window.
    """
    last_ns = usages[0].at_ns + within_s * 1e9 if usages else 0
    early = (one.memory_bytes for one in usages if one.at_ns <= last_ns)
    return max((one for one in early if one is not None), default=None)


def _grown(before: int | None, after: int | None) -> int | None:
    """How much a counter grew; None if it is not known or began anew."""
    return None if before is None or after is None or after < before else after - before
