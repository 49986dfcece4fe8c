"""How many cores this process may use: by its affinity and its cgroup's quota, not by the host's count."""

import math
import os
from pathlib import Path

from serving_core.cgroups import MEMBERSHIP, ROOT, folders, read


def usable_cores(cgroup_root: Path = ROOT, membership: Path = MEMBERSHIP, affinity: int | None = None) -> int:
    """Return the number of cores in the affinity or the CPU quota rounded up, the smaller; at least 1."""
    cores = _affinity() if affinity is None else affinity
    quotas = [
        _v1_quota(folder) if version == 1 else _v2_quota(folder)
        for version, folder in folders("cpu", cgroup_root, membership)
    ]
    return max(1, min([cores, *(math.ceil(quota) for quota in quotas if quota > 0)]))


def _affinity() -> int:
    """Return how many cores the scheduler lets us use; all cores if the system cannot say, as on macOS."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _v2_quota(folder: Path) -> float:
    """Return the quota in cores; 0 if there is none."""
    fields = read(folder / "cpu.max").split()
    if len(fields) != 2 or fields[0] == "max":
        return 0.0
    return int(fields[0]) / int(fields[1])


def _v1_quota(folder: Path) -> float:
    """Return the quota in cores; 0 if there is none."""
    quota, period = read(folder / "cpu.cfs_quota_us"), read(folder / "cpu.cfs_period_us")
    if not quota or not period or int(quota) <= 0:
        return 0.0
    return int(quota) / int(period)
