"""Cores: how many, whether driver and service are apart on them, and whether pinning holds."""

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass

from bench.cores import Cores, format_cores, parse_cores, pinned
from bench.doctor.finding import Finding, unread
from bench.doctor.kernel import Kernel
from bench.errors import UsageError

SPIN_S = 0.02
LAST_CORE_FIELD = 38


@dataclass(frozen=True, slots=True)
class Topology:
    """Which cores are threads of one physical core, and each core's memory node; None if unknown."""

    siblings: Mapping[int, tuple[int, ...]] | None
    nodes: Mapping[int, int] | None


@dataclass(frozen=True, slots=True)
class PinningFacts:
    """Whether this system can pin, the cores asked for, those allowed afterwards, and the core that ran."""

    possible: bool
    asked: tuple[int, ...]
    allowed: tuple[int, ...]
    ran_on: int | None


def read_topology(kernel: Kernel, cores: tuple[int, ...]) -> Topology:
    """The siblings and memory nodes of the cores, as the kernel reports them."""
    siblings = {}
    for core in cores:
        threads = _list(kernel.text(f"sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list"))
        if threads:
            siblings[core] = threads
    nodes = {}
    for folder in sorted((kernel.root / "sys/devices/system/node").glob("node[0-9]*")):
        for core in _list(kernel.text(f"sys/devices/system/node/{folder.name}/cpulist")) or ():
            nodes[core] = int(folder.name.removeprefix("node"))
    complete = all(core in siblings for core in cores)
    return Topology(siblings if complete else None, nodes if all(core in nodes for core in cores) else None)


def read_pinning(kernel: Kernel, cores: tuple[int, ...]) -> PinningFacts:
    """Pin this thread to the cores for a moment, and see where it runs."""
    if not hasattr(os, "sched_setaffinity"):
        return PinningFacts(possible=False, asked=cores, allowed=(), ran_on=None)
    with pinned(cores):
        allowed = tuple(sorted(os.sched_getaffinity(0)))
        end = time.monotonic() + SPIN_S
        while time.monotonic() < end:
            pass
        # the name of the command comes in parentheses and may hold blanks
        fields = (kernel.text("proc/thread-self/stat") or "").rpartition(")")[2].split()
    place = LAST_CORE_FIELD - 2
    return PinningFacts(
        possible=True,
        asked=cores,
        allowed=allowed,
        ran_on=int(fields[place]) if len(fields) > place else None,
    )


def judge_cores(cores: Cores, topology: Topology) -> tuple[Finding, ...]:
    """The findings `cores`, `siblings` and `NUMA`."""
    count = len(cores.available)
    layout = (
        f"{count} available; driver on {format_cores(cores.driver)}, service on {format_cores(cores.service)}"
    )
    if cores.disjoint:
        first = Finding("cores", "good", layout)
    else:
        what = f"{layout}: they share a core, so absolute figures are too low"
        more = "name cores apart with --driver-cores and --service-cores"
        first = Finding("cores", "bad", what, more if count > 1 else "use a machine with two cores or more")
    return first, _siblings(cores, topology.siblings), _nodes(cores, topology.nodes)


def judge_pinning(facts: PinningFacts) -> Finding:
    """The finding `pinning`."""
    asked = format_cores(facts.asked)
    if not facts.possible:
        what = "this system cannot keep processes to cores: driver and service get in each other's way"
        return Finding("pinning", "doubtful", what, "measure on Linux")
    if facts.allowed != facts.asked or (facts.ran_on is not None and facts.ran_on not in facts.asked):
        where = format_cores(facts.allowed) if facts.ran_on is None else str(facts.ran_on)
        what = f"a process for cores {asked} ran on {where}"
        return Finding(
            "pinning", "bad", what, "lift what overrides sched_setaffinity here (a cpuset, a daemon)"
        )
    if facts.ran_on is None:
        return unread("pinning", f"a process may be kept to cores {asked}; where it runs cannot be read")
    return Finding("pinning", "good", f"a process for cores {asked} keeps to them")


def _siblings(cores: Cores, siblings: Mapping[int, tuple[int, ...]] | None) -> Finding:
    if siblings is None:
        return unread("siblings", "which cores are threads of one physical core cannot be read")
    service = set(cores.service) - set(cores.driver)
    shared = [core for core in cores.driver if service & (set(siblings.get(core, ())) - {core})]
    if shared:
        partner = min(service & set(siblings[shared[0]]))
        what = f"cores {shared[0]} (driver) and {partner} (service) are threads of one physical core"
        remedy = "choose cores of two physical ones with --driver-cores and --service-cores, or turn SMT off"
        return Finding("siblings", "doubtful", f"{what}: each slows the other", remedy)
    return Finding("siblings", "good", "driver and service are on physical cores of their own")


def _nodes(cores: Cores, nodes: Mapping[int, int] | None) -> Finding:
    if nodes is None:
        return unread("NUMA", "the cores' memory nodes cannot be read")
    used = sorted({nodes[core] for core in (*cores.driver, *cores.service)})
    if len(used) > 1:
        what = f"driver and service are on memory nodes {format_cores(used)}: memory is not equally near"
        return Finding("NUMA", "doubtful", what, "choose cores of one node")
    return Finding("NUMA", "good", f"driver and service are on one memory node of {len(set(nodes.values()))}")


def _list(text: str | None) -> tuple[int, ...] | None:
    try:
        return parse_cores(text) if text else None
    except UsageError:
        return None
