"""Readings of an instance's accounting, and what a window's readings say of its resources."""

from collections.abc import Sequence
from dataclasses import dataclass

from bench.model import GpuFigures, ResourceFigures


@dataclass(frozen=True, slots=True)
class Usage:
    """A reading of an instance's own accounting; `at_ns` is on the monotonic clock.

    `memory_bytes` is the working set (pages in use less `file_cache_bytes`, the inactive file cache), or the
    resident set of local processes; `throttled` counts the periods in which the kernel held it back.
    `peak_bytes` is the kernel's own high-water mark of all pages since the instance began. Network bytes are
    as the instance sees them. A figure that the engine does not report is None.
    """

    at_ns: int
    cpu_ns: int
    memory_bytes: int
    throttled: int | None
    file_cache_bytes: int = 0
    peak_bytes: int | None = None
    received_bytes: int | None = None
    sent_bytes: int | None = None


def resource_figures(
    usages: Sequence[Usage], stolen: float | None, gpu: GpuFigures | None
) -> ResourceFigures:
    """What happened between the first and the last reading; network bytes are None if there is only one.

    Args:
        usages: Readings in order, the first at the window's begin and the last at its end.
        stolen: The share (0 to 1) of the service cores' time that the host took, None if unknown.
        gpu: The GPU over the same window, None if there is no GPU.
    """
    first, last = usages[0], usages[-1]
    both_ends = len(usages) > 1
    return ResourceFigures(
        received_bytes=_grown(first.received_bytes, last.received_bytes) if both_ends else None,
        sent_bytes=_grown(first.sent_bytes, last.sent_bytes) if both_ends else None,
        throttled_periods=_grown(first.throttled, last.throttled),
        stolen=None if stolen is None else round(stolen, 6),
        gpu=gpu,
    )


def peak_memory_bytes(usages: Sequence[Usage]) -> int:
    """The most memory in use, less the file cache that could go at once.

    If the accounting has the kernel's high-water mark, which misses nothing, it is that mark less the least
    file cache that was seen, because the mark counts the file cache too; the mark is of the container's whole
    life. Otherwise, or if a sample is higher, it is the highest sample. Raises ValueError without samples.
    """
    highest = max(usage.memory_bytes for usage in usages)
    mark = usages[-1].peak_bytes
    if mark is None:
        return highest
    return max(highest, mark - min(usage.file_cache_bytes for usage in usages))


def _grown(before: int | None, after: int | None) -> int | None:
    """How much a counter grew; None if it is not known or began anew."""
    return None if before is None or after is None or after < before else after - before
