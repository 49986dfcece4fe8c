"""How much memory this process may use: what its container may, or else what the machine has left."""

from pathlib import Path

from serving_core.cgroups import MEMBERSHIP, ROOT, folders, read

KIB = 1024
# where a system says nothing of its memory
UNKNOWN_BYTES = 4 * KIB**3
LIMIT_FILES = {1: "memory.limit_in_bytes", 2: "memory.max"}


def usable_memory_bytes(
    cgroup_root: Path = ROOT, membership: Path = MEMBERSHIP, meminfo: Path = Path("/proc/meminfo")
) -> int:
    """Return the lowest limit of the control groups; without one, the memory that the machine has left."""
    sizes = _machine(meminfo)
    total = sizes.get("MemTotal", UNKNOWN_BYTES)
    limits = [
        int(limit)
        for version, folder in folders("memory", cgroup_root, membership)
        if (limit := read(folder / LIMIT_FILES[version])).isdigit() and 0 < int(limit) < total
    ]
    return min(limits, default=sizes.get("MemAvailable", total))


def _machine(meminfo: Path) -> dict[str, int]:
    """Return the bytes of each kind of memory by the system's name of it."""
    rows = [line.replace(":", "").split() for line in read(meminfo).splitlines()]
    return {row[0]: int(row[1]) * KIB for row in rows if len(row) > 1 and row[1].isdigit()}
