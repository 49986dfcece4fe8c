"""Row 9: the CPU time of a service's short-lived children is the service's, and the gate's ratio has it."""

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil

from bench.measure.machine.process_tree import tree, usage_of
from bench.measure.runtime.cpu_group import CpuGroup, cpu_group
from tests.calibration.claims import Figure
from tests.calibration.edges.known_run import run_known
from tests.calibration.edges.known_service import Script
from tests.calibration.edges.registry import Edge

OPTIONS = ("--concurrency", "1", "--window-s", "4", "--warmup-s", "1")
CHILD_MS = (10.0, 40.0)
# children of 20 ms, one after another
PARENT = """
import subprocess, sys
child = "import time\\nwhile time.process_time() < 0.02: pass"
while True:
    subprocess.run([sys.executable, "-I", "-S", "-c", child])
"""
SECONDS = 3.0


def measure(folder: Path) -> Sequence[Figure]:
    """By the whole path, by a control group if one may be made here, and by reaped usage."""
    few, many = (cpu_ms(folder / f"{ms:g}", ms) for ms in CHILD_MS)
    # what it takes to start a child is in both
    truth, found = CHILD_MS[1] - CHILD_MS[0], many - few
    holds = abs(found - truth) <= 0.2 * truth
    whole = Figure("CPU-ms more a request, in children", truth, found, "within 20%", holds, 1)
    return [whole, *(compared(name, way) for name, way in (("group", by_group), ("reaped", by_reaped)))]


def broken(folder: Path) -> Sequence[Figure]:
    """By the processes that live when they are read."""
    del folder
    return [compared("living", by_living)]


def cpu_ms(folder: Path, child_ms: float) -> float:
    script = Script(phases=[[0.0, 0.0]], child_cpu_ms=child_ms)
    return run_known(folder, {"known": script}, *OPTIONS).trial().cpu_ms_per_request or 0.0


Read = Callable[[int, CpuGroup | None], float]


def by_group(pid: int, group: CpuGroup | None) -> float:
    read = group.cpu_ns() if group else None
    return by_reaped(pid, group) if read is None else read / 1e9


def by_reaped(pid: int, group: CpuGroup | None) -> float:
    del group
    return usage_of(tree(pid)).cpu_s


def by_living(pid: int, group: CpuGroup | None) -> float:
    del group
    times = [psutil.Process(one).cpu_times() for one in tree(pid) if psutil.pid_exists(one)]
    return sum(one.user + one.system for one in times)


def compared(name: str, read: Read) -> Figure:
    """What a way of reading finds of a parent with children, beside what the kernel tells at its end."""
    parent = subprocess.Popen([sys.executable, "-c", PARENT])
    group = cpu_group(parent.pid, f"bench-edge-{parent.pid}")
    try:
        time.sleep(0.3)
        before, begun = read(parent.pid, group), usage_of(tree(parent.pid)).cpu_s
        time.sleep(SECONDS)
        found, truth = read(parent.pid, group) - before, usage_of(tree(parent.pid)).cpu_s - begun
    finally:
        parent.kill()
        parent.wait()
        if group:
            group.remove()
    holds = truth > 0.2 and abs(found - truth) <= 0.2 * truth + 0.05
    return Figure(f"CPU seconds by {name}", truth, found, "within 20%", holds, 1)


EDGES = [Edge(9, "short-lived children count", measure, broken)]
