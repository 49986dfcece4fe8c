"""A page that several processes share counts once in the memory of a service."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

import bench.measure.machine.process_memory as module
from bench.measure.machine.process_memory import Mapped, MemoryReader, TreeMemory, mapped_by, memory_of
from bench.measure.machine.process_tree import tree

MIB = 1 << 20
FORK = "for _ in range(4):\n    if os.fork() == 0: signal.pause()\n"
needs_shares = pytest.mark.skipif(
    not Path("/proc/self/smaps_rollup").exists(), reason="the kernel tells no shares of pages"
)


@contextmanager
def running(work: str) -> Iterator[list[int]]:
    """The processes of a program that has done this."""
    code = f"import mmap, os, signal\n{work}\nprint('done', flush=True)\nsignal.pause()"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, process_group=0) as root:
        assert root.stdout is not None
        try:
            root.stdout.readline()
            yield tree(root.pid)
        finally:
            os.killpg(root.pid, signal.SIGKILL)


def resident(pids: list[int]) -> int:
    return sum(int(psutil.Process(pid).memory_info().rss) for pid in pids)


@needs_shares
@pytest.mark.parametrize(
    "kept",
    ["kept = b'1' * (100 << 20)\n", "kept = mmap.mmap(-1, 100 << 20)\nkept.write(b'1' * (100 << 20))\n"],
)
def test_what_a_parent_and_four_workers_share_counts_once(kept: str) -> None:
    with running(kept + FORK) as pids:
        found = memory_of(pids)
        assert len(pids) == 5
        assert found.shared_once
        assert 100 <= found.in_use / MIB < 140


@needs_shares
def test_files_that_processes_outside_map_too_count_whole() -> None:
    """As a second copy of the service does in a pair: it must not halve the first's memory."""
    with running("") as pids, running(""):
        assert memory_of(pids).in_use == pytest.approx(resident(pids), rel=0.02)


def test_a_process_that_is_gone_has_no_memory() -> None:
    with running("") as pids:
        pass
    assert memory_of(pids) == TreeMemory(0, shared_once=True)


def test_where_shares_cannot_be_read_resident_memory_is_taken_and_said(tmp_path: Path) -> None:
    with running(FORK) as pids:
        assert memory_of(pids, tmp_path) == TreeMemory(resident(pids), shared_once=False)
        # a single process shares with nobody
        assert memory_of(pids[:1], tmp_path) == TreeMemory(resident(pids[:1]), shared_once=True)


def test_kernels_that_do_not_tell_files_apart_are_read(tmp_path: Path) -> None:
    for pid in ("1", "2"):
        (tmp_path / pid).mkdir()
        (tmp_path / pid / "smaps_rollup").write_text("00-ff ---p [rollup]\nRss: 90 kB\nPss: 40 kB\n")
        (tmp_path / pid / "status").write_text("Name:\tx\nRssFile:\t 30 kB\nRssShmem:\t 7 kB\n")
    assert memory_of([1, 2], tmp_path) == TreeMemory(80 * 1024, shared_once=True)
    assert mapped_by([1, 2, 3], tmp_path) == Mapped(30 * 1024, 7 * 1024)


def test_reading_that_is_dear_is_seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reading of 2 ms holds for 200."""
    read = []

    def dear(pids: list[int]) -> TreeMemory:
        time.sleep(0.002)
        read.append(pids)
        return TreeMemory(len(read), shared_once=True)

    monkeypatch.setattr(module, "memory_of", dear)
    reader = MemoryReader()
    assert [reader.read([1]).in_use for _ in range(3)] == [1, 1, 1]
    reader._next_ns = 0
    assert reader.read([1]).in_use == 2
