"""How many cores this process may use: by its affinity and its cgroup's quota, not by the host's count."""

import math
import os
from collections.abc import Iterator
from pathlib import Path


def usable_cores(
    cgroup_root: Path = Path("/sys/fs/cgroup"),
    membership: Path = Path("/proc/self/cgroup"),
    affinity: int | None = None,
) -> int:
    """Return the number of cores in the affinity or the CPU quota rounded up, the smaller; at least 1."""
    cores = _affinity() if affinity is None else affinity
    quotas = [quota for quota in _quotas(cgroup_root, membership) if quota > 0]
    return max(1, min([cores, *(math.ceil(quota) for quota in quotas)]))


def _affinity() -> int:
    """Return how many cores the scheduler lets us use; all cores if the system cannot say, as on macOS."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _quotas(root: Path, membership: Path) -> Iterator[float]:
    """Yield, in cores, every quota that is set on this process's cgroup or on an ancestor of it."""
    for line in _read(membership).splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            for folder in _ancestry(root, path):
                yield _v2_quota(folder)
        elif "cpu" in controllers.split(","):
            for folder in _ancestry(root / "cpu", path):
                yield _v1_quota(folder)


def _ancestry(root: Path, path: str) -> list[Path]:
    """Return the folder `path` under `root` and its parents up to `root`; a container may see only `root`."""
    parts = [part for part in path.split("/") if part and part != ".."]
    return [root.joinpath(*parts[:depth]) for depth in range(len(parts), -1, -1)]


def _v2_quota(folder: Path) -> float:
    fields = _read(folder / "cpu.max").split()
    if len(fields) != 2 or fields[0] == "max":
        return 0.0
    return int(fields[0]) / int(fields[1])


def _v1_quota(folder: Path) -> float:
    quota, period = _read(folder / "cpu.cfs_quota_us"), _read(folder / "cpu.cfs_period_us")
    if not quota or not period or int(quota) <= 0:
        return 0.0
    return int(quota) / int(period)


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
