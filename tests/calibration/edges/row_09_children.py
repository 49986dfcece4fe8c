"""Row 9: the CPU time of a service's short-lived children is the service's, and the gate's ratio has it."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from unittest.mock import patch

import psutil
import pytest

from bench.measure.machine.process_tree import cpu_of, tree
from bench.measure.runtime.cpu_group import CpuGroup, cpu_group
from tests.calibration.claims import Figure
from tests.calibration.edges.known_run import REPOSITORY, run_known
from tests.calibration.edges.known_service import Script
from tests.calibration.edges.registry import Edge

OPTIONS = ("--concurrency", "1", "--window-s", "6", "--warmup-s", "1")
CHILD_MS = (10.0, 40.0)
# children of 20 ms, one after another
PARENT = """
import subprocess, sys
child = "import time\\nwhile time.process_time() < 0.02: pass"
while True:
    subprocess.run([sys.executable, "-I", "-S", "-c", child])
"""
SECONDS = 3.0
# python reads this when it starts: as if the kernel's files were not there
NO_GROUPS = """
import pathlib
made = pathlib.Path.mkdir
def mkdir(self, *args, **kwargs):
    if str(self).startswith("/sys/fs/cgroup"):
        raise PermissionError(13, "no groups here")
    return made(self, *args, **kwargs)
pathlib.Path.mkdir = mkdir
"""


def measure(folder: Path) -> Sequence[Figure]:
    """By the whole path, by a control group if one may be made here, and by reaped usage."""
    whole = more(folder, "children", [Script(phases=[[0.0, 0.0]], child_cpu_ms=ms) for ms in CHILD_MS])
    return [whole, *(compared(name, way) for name, way in (("group", by_group), ("reaped", by_reaped)))]


def measure_orphans(folder: Path) -> Sequence[Figure]:
    """By the whole path: processes that outlive their parents are counted by the group alone."""
    if (group := cpu_group(f"bench-edge-{os.getpid()}")) is None:
        pytest.skip("no control group may be made here")
    group.remove()
    # time enough for a process to end before the next begins, also on a busy core
    orphans = [Script(phases=[[0.0, 300.0]], orphan_cpu_ms=ms) for ms in CHILD_MS]
    return [more(folder, "processes that outlive their parents", orphans)]


def broken_orphans(folder: Path) -> Sequence[Figure]:
    """Where no group can be made."""
    (folder / "sitecustomize.py").write_text(NO_GROUPS)
    with patch.dict(os.environ, PYTHONPATH=f"{folder}:{REPOSITORY}"):
        return measure_orphans(folder)


def more(folder: Path, where: str, scripts: Sequence[Script]) -> Figure:
    """How much more CPU time per request of the second script takes than of the first."""
    # what it takes to start a process is in both
    few, many = (cpu_ms(folder / f"{number}", script) for number, script in enumerate(scripts))
    truth, found = CHILD_MS[1] - CHILD_MS[0], many - few
    holds = abs(found - truth) <= 0.2 * truth
    return Figure(f"CPU-ms more a request, in {where}", truth, found, "within 20%", holds, 1)


def broken(folder: Path) -> Sequence[Figure]:
    """By the processes that live when they are read."""
    del folder
    return [compared("living", by_living)]


def cpu_ms(folder: Path, script: Script) -> float:
    return run_known(folder, {"known": script}, *OPTIONS).trial().cpu_ms_per_request or 0.0


Read = Callable[[int, CpuGroup | None], float]


def by_group(pid: int, group: CpuGroup | None) -> float:
    read = group.cpu_ns() if group else None
    return by_reaped(pid, group) if read is None else read / 1e9


def by_reaped(pid: int, group: CpuGroup | None) -> float:
    del group
    return cpu_of(tree(pid)).cpu_s


def by_living(pid: int, group: CpuGroup | None) -> float:
    del group
    times = [psutil.Process(one).cpu_times() for one in tree(pid) if psutil.pid_exists(one)]
    return sum(one.user + one.system for one in times)


def compared(name: str, read: Read) -> Figure:
    """What a way of reading finds of a parent with children, beside what the kernel tells at its end."""
    group, program = cpu_group(f"bench-edge-{os.getpid()}"), [sys.executable, "-c", PARENT]
    parent = subprocess.Popen(group.joining(program) if group else program)
    try:
        time.sleep(0.3)
        before, begun = read(parent.pid, group), cpu_of(tree(parent.pid)).cpu_s
        time.sleep(SECONDS)
        found, truth = read(parent.pid, group) - before, cpu_of(tree(parent.pid)).cpu_s - begun
    finally:
        parent.kill()
        parent.wait()
        if group:
            group.remove()
    holds = truth > 0.2 and abs(found - truth) <= 0.2 * truth + 0.05
    return Figure(f"CPU seconds by {name}", truth, found, "within 20%", holds, 1)


EDGES = [
    Edge(
        9,
        "short-lived children count",
        measure,
        broken,
        ("tests/bench/test_children.py", "test_children_that_were_reaped_count_or_are_said_to_be_lost"),
    ),
    Edge(
        9,
        "processes that outlive their parents count",
        measure_orphans,
        broken_orphans,
        (
            "tests/bench/test_children.py",
            "test_a_group_counts_what_is_forked_at_once_and_outlives_its_parent",
        ),
    ),
]
