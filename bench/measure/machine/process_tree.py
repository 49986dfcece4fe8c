"""A process and its descendants, as the kernel's files tell of them: who they are, and their CPU time."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

PROC = Path("/proc")
SIGCHLD_BIT = 1 << 16


@dataclass(frozen=True, slots=True)
class TreeCpu:
    """CPU seconds of a tree's living processes and of all children that they have reaped.

    `complete` is False if a process lets the kernel drop the CPU time of its children unseen.
    """

    cpu_s: float
    complete: bool


def tree(root: int, without: Collection[int] = ()) -> list[int]:
    """The numbers of a process and its descendants that live now, but not those below `without`."""
    found, todo = [], [root]
    while todo:
        pid = todo.pop()
        if pid not in without:
            found.append(pid)
            todo += _children(pid)
    return found


def cpu_of(pids: Collection[int]) -> TreeCpu:
    """The sum over these processes; those that are gone count as nothing."""
    cpu_s, complete = 0.0, True
    for pid in pids:
        try:
            times = psutil.Process(pid).cpu_times()
        except psutil.Error:
            continue
        reaped = [getattr(times, name, None) for name in ("children_user", "children_system")]
        cpu_s += times.user + times.system + sum(one or 0.0 for one in reaped)
        complete = complete and None not in reaped and not _drops_children(pid)
    return TreeCpu(cpu_s, complete)


def _children(pid: int) -> list[int]:
    """A process's children: of each thread, or as psutil finds them if the kernel keeps no such list."""
    try:
        return [int(word) for text in _lists(pid) for word in text.split()]
    except OSError:
        pass
    try:
        return [child.pid for child in psutil.Process(pid).children()]
    except psutil.Error:
        return []


def _lists(pid: int) -> Iterator[str]:
    folder = PROC / str(pid) / "task"
    for thread in folder.iterdir():
        yield (thread / "children").read_text()


def _drops_children(pid: int) -> bool:
    """Whether the process ignores SIGCHLD: the kernel then adds its children's times to nobody's."""
    try:
        text = (PROC / str(pid) / "status").read_text()
    except OSError:
        return False
    ignored = next((line for line in text.splitlines() if line.startswith("SigIgn:")), "SigIgn: 0")
    return bool(int(ignored.split()[1], 16) & SIGCHLD_BIT)
