"""Who used the cores during a window: the service, bench itself, or others."""

import math
import os
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.cores import Cores
from bench.measure.machine.process_tree import cpu_of, tree

STAT = Path("/proc/stat")
# of the kernel's own counts; a system without them has no /proc/stat either
TICKS_PER_S = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
FIELDS = 8


@dataclass(frozen=True, slots=True)
class CoreTimes:
    """A core's seconds since boot: of processes by the kernel's samples, and in which no process ran.

    `no_process_s` is idle time and waiting for disks, and what interrupts and the host took.
    """

    sampled_s: float
    no_process_s: float


@dataclass(frozen=True, slots=True)
class CoreReading:
    """The cores at an instant of the monotonic clock, and the CPU time of bench's processes until then."""

    at_ns: int
    cores: Mapping[int, CoreTimes]
    ours_s: float

    @classmethod
    def now(cls, services: Collection[int]) -> "CoreReading":
        """Read them; `services` are the first processes of services, which are not bench's own."""
        ours_s = cpu_of(tree(os.getpid(), services)).cpu_s
        cores = read_cores()
        return cls(time.monotonic_ns(), cores, ours_s)


@dataclass(frozen=True, slots=True)
class CoreUse:
    """Shares (0 to 1) of the cores' time between two readings; None if the system does not say.

    `other_on_service` and `other_on_driver` are of processes that are neither the service nor bench;
    `driver_core` is the busiest core of the driver, whoever used it. `at_worst` is `other_on_service` if all
    of it fell on as many cores as the service used, and not on others that it may use as well.
    """

    other_on_service: float | None
    other_on_driver: float | None
    driver_core: float | None
    at_worst: float | None = None


def core_use(before: CoreReading, after: CoreReading, cores: Cores, service_s: float | None) -> CoreUse:
    """What the cores did between two readings, in which the services used `service_s` CPU seconds.

    `service_s` is None if they run on another machine's cores. Cores that driver and service share are judged
    together. The kernel samples which process runs at each tick, but knows to the microsecond how long a core
    was idle: a core was used for the smaller of the two, so that neither's error passes for another process.
    """
    wall_s = (after.at_ns - before.at_ns) / 1e9
    busy = {
        core: _busy_s(before.cores[core], now, wall_s)
        for core, now in after.cores.items()
        if core in before.cores
    }
    ours_s = after.ours_s - before.ours_s
    driver = [busy[core] for core in cores.driver if core in busy]
    busiest = round(max(driver) / wall_s, 4) if driver and wall_s > 0 else None
    if cores.disjoint:
        other = _rest(busy, cores.service, service_s, wall_s)
        worst = _at_worst(other, len(cores.service), service_s, wall_s)
        return CoreUse(other, _rest(busy, cores.driver, ours_s, wall_s), busiest, worst)
    both = tuple(dict.fromkeys((*cores.service, *cores.driver)))
    other = _rest(busy, both, None if service_s is None else service_s + ours_s, wall_s)
    return CoreUse(other, other, busiest, _at_worst(other, len(both), service_s, wall_s))


def read_cores(file: Path = STAT) -> dict[int, CoreTimes]:
    """The times of each core; empty if the system does not keep them there."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}
    found = {}
    for line in lines:
        name, _, rest = line.partition(" ")
        number = name.removeprefix("cpu")
        ticks = [int(word) / TICKS_PER_S for word in rest.split()[:FIELDS]] if number.isdigit() else []
        if name.startswith("cpu") and len(ticks) == FIELDS:
            user, nice, system, *none = ticks
            found[int(number)] = CoreTimes(user + nice + system, sum(none))
    return found


def _busy_s(before: CoreTimes, after: CoreTimes, wall_s: float) -> float:
    """The seconds in which a process ran on a core."""
    not_idle_s = wall_s - (after.no_process_s - before.no_process_s)
    return max(0.0, min(after.sampled_s - before.sampled_s, not_idle_s))


def _rest(
    busy: Mapping[int, float], cores: Collection[int], known_s: float | None, wall_s: float
) -> float | None:
    """The share of these cores' time that is left beside what is known of them."""
    if known_s is None or wall_s <= 0 or not all(core in busy for core in cores):
        return None
    used_s = sum(busy[core] for core in cores)
    return round(max(0.0, used_s - known_s) / (len(cores) * wall_s), 4)


def _at_worst(other: float | None, cores: int, service_s: float | None, wall_s: float) -> float | None:
    """The share of others if all their time fell on as many of the cores as the service used."""
    if other is None or service_s is None:
        return None
    used = min(cores, max(1, math.ceil(service_s / wall_s)))
    return round(min(1.0, other * cores / used), 4)
