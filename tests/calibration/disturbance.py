"""What else used a trial's cores: the only ground on which a trial of known truth is repeated."""

import resource
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import psutil

from bench.cores import Cores

FOREIGN_SHARE, STOLEN_SHARE = 0.08, 0.02
LATE_NS, LATE_SHARE = 2_000_000, 0.01
CALM_WITHIN_S = 15.0


@dataclass(frozen=True, slots=True)
class Disturbance:
    """Shares, the worse of both cores: of a core that others used, of one that the host took, and of the
    server's answers that were more than 2 ms late (None where it stalls on purpose).
    """

    foreign: float
    stolen: float
    late: float | None

    def __str__(self) -> str:
        late = "" if self.late is None else f", {self.late:.1%} of the server's answers late"
        return f"others used {self.foreign:.0%} of a core, the host took {self.stolen:.0%}{late}"

    @property
    def too_much(self) -> bool:
        """Whether the trial is to be repeated."""
        late = self.late is not None and self.late > LATE_SHARE
        return self.foreign > FOREIGN_SHARE or self.stolen > STOLEN_SHARE or late


@dataclass(frozen=True, slots=True)
class Usage:
    """CPU seconds until an instant: each core's, busy, stolen and all, and the trial's own processes'."""

    busy_s: tuple[float, ...]
    stolen_s: tuple[float, ...]
    all_s: tuple[float, ...]
    drivers_s: float
    servers_s: float

    @classmethod
    def now(cls, server_pids: Sequence[int]) -> "Usage":
        """The usage until now; of drivers, of those that have ended."""
        cores = psutil.cpu_times(percpu=True)
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        servers = [psutil.Process(pid).cpu_times() for pid in server_pids]
        return cls(
            busy_s=tuple(core.user + core.nice + core.system + core.irq + core.softirq for core in cores),
            stolen_s=tuple(core.steal for core in cores),
            all_s=tuple(sum(core) - core.guest - core.guest_nice for core in cores),
            drivers_s=children.ru_utime + children.ru_stime,
            servers_s=sum(times.user + times.system for times in servers),
        )

    def until(self, later: "Usage", cores: Cores, late: float | None) -> Disturbance:
        """What else ran from now until then."""
        foreign, stolen = [], []
        own_s = (later.drivers_s - self.drivers_s, later.servers_s - self.servers_s)
        for core, own in zip((cores.driver[0], cores.service[0]), own_s, strict=True):
            span_s = later.all_s[core] - self.all_s[core]
            foreign.append((later.busy_s[core] - self.busy_s[core] - own) / span_s)
            stolen.append((later.stolen_s[core] - self.stolen_s[core]) / span_s)
        return Disturbance(max(foreign), max(stolen), late)


def late_share(ended_ns: Sequence[int], replied_ns: Sequence[int]) -> float:
    """The share of answers that a server wrote more than 2 ms after it meant to."""
    return float(np.mean(np.subtract(replied_ns, ended_ns) > LATE_NS)) if len(ended_ns) else 1.0


def await_calm() -> None:
    """Wait a while for whatever else runs to end."""
    deadline_s = time.monotonic() + CALM_WITHIN_S
    while time.monotonic() < deadline_s:
        if max(psutil.cpu_percent(interval=0.5, percpu=True)) < 100 * FOREIGN_SHARE:
            return
