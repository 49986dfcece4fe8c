"""The memory of processes, in which a page that several of them share counts once."""

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

PROC = Path("/proc")
# the kernel walks all pages of a process to tell its shares of them: 9 ms for each GiB of small pages
MOST_SHARE = 0.01


@dataclass(frozen=True, slots=True)
class TreeMemory:
    """Bytes in memory of some processes; `shared_once` is False if shared pages may count several times."""

    in_use: int
    shared_once: bool


class MemoryReader:
    """Reads the memory of a service's processes, but so seldom that it takes at most 1% of the time."""

    def __init__(self) -> None:
        self._found = TreeMemory(0, shared_once=True)
        self._next_ns = 0

    def read(self, pids: Collection[int]) -> TreeMemory:
        """What they have in memory now, or had at the last reading if that was dear and is not long past."""
        begun_ns = time.monotonic_ns()
        if begun_ns >= self._next_ns:
            self._found = memory_of(pids)
            ended_ns = time.monotonic_ns()
            self._next_ns = begun_ns + int((ended_ns - begun_ns) / MOST_SHARE)
        return self._found


def memory_of(pids: Collection[int], proc: Path = PROC) -> TreeMemory:
    """The memory of these processes; those that are gone count as nothing.

    A page that n processes share counts as 1/n for each of them. Processes beside these may map the same
    files: of files, they have at least what the process has that maps the most.
    """
    own, files, most_files = 0, 0, 0
    unread = []
    for pid in pids:
        told = _rollup(pid, proc)
        if told is None:
            unread.append(_resident(pid))
            continue
        share = told.get("Pss_File", 0)
        own, files = own + told["Pss"] - share, files + share
        # kernels before 5.4 do not tell files apart: they are in `own`
        most_files = max(most_files, _status(pid, proc).get("RssFile", 0) if "Pss_File" in told else 0)
    return TreeMemory(own + max(files, most_files) + sum(unread), sum(map(bool, unread)) < 2)


@dataclass(frozen=True, slots=True)
class Mapped:
    """Bytes that the process maps which maps the most: of files, and of shared memory or a tmpfs."""

    files: int = 0
    shared: int = 0


def mapped_by(pids: Collection[int], proc: Path = PROC) -> Mapped:
    """What these processes map, by files that everybody may read and that cost next to nothing."""
    told = [_status(pid, proc) for pid in pids]
    files, shared = (max((one.get(name, 0) for one in told), default=0) for name in ("RssFile", "RssShmem"))
    return Mapped(files, shared)


def _rollup(pid: int, proc: Path) -> Mapping[str, int] | None:
    """A process's shares of its pages; None if they cannot be read, or if it has none."""
    try:
        found = _bytes((proc / str(pid) / "smaps_rollup").read_text())
    except OSError:
        return None
    return found if "Pss" in found else None


def _status(pid: int, proc: Path) -> Mapping[str, int]:
    try:
        return _bytes((proc / str(pid) / "status").read_text())
    except OSError:
        return {}


def _resident(pid: int) -> int:
    """The resident bytes of a process, 0 if it is gone."""
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0


def _bytes(text: str) -> Mapping[str, int]:
    """The sizes in a file of the kernel, whose lines are such as `Pss: 12 kB`."""
    lines = (line.split() for line in text.splitlines())
    return {
        words[0].rstrip(":"): int(words[1]) * 1024 for words in lines if len(words) == 3 and words[2] == "kB"
    }
