"""A service's CPU time has that of children which are gone, by a control group or by what was reaped."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.measure.machine.process_tree import tree, usage_of
from bench.measure.runtime.cpu_group import CpuGroup, cpu_group

BURN = "import time\nwhile time.process_time() < 0.15: pass\n"
RUN = "subprocess.run([sys.executable, '-c', burn])\n"
REPORT = "print('burnt', flush=True)\nsys.stdin.read()\n"
DETACHED = "p = subprocess.Popen([sys.executable, '-c', burn], start_new_session=True)\np.wait()\n"
IGNORING = "import signal\nsignal.signal(signal.SIGCHLD, signal.SIG_IGN)\n"


def parent(work: str) -> "subprocess.Popen[str]":
    code = f"import subprocess, sys\nburn = {BURN!r}\n{work}{REPORT}"
    return subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


@pytest.mark.parametrize(
    ("work", "complete"), [(RUN * 3, True), (DETACHED * 3, True), (IGNORING + RUN * 3, False)]
)
def test_children_that_were_reaped_count_or_are_said_to_be_lost(work: str, complete: bool) -> None:
    with parent(work) as process:
        assert process.stdout is not None
        process.stdout.readline()
        found = usage_of(tree(process.pid))
        process.kill()
    assert found.complete is complete
    assert (found.cpu_s >= 0.4) is complete
    assert found.resident_bytes > 0


def test_a_tree_ends_where_it_is_told_to() -> None:
    with parent("p = subprocess.Popen(['sleep', '60'])\n") as process:
        assert process.stdout is not None
        process.stdout.readline()
        whole = tree(process.pid)
        assert len(whole) == 2
        assert tree(process.pid, [whole[1]]) == [process.pid]
        assert tree(process.pid, [process.pid]) == []
        subprocess.run(["kill", *map(str, whole)], check=True)


def version_1(root: Path) -> str:
    folder = root / "cpu,cpuacct" / "slice"
    folder.mkdir(parents=True)
    (folder / "cgroup.procs").touch()
    return "4:memory:/elsewhere\n2:cpu,cpuacct:/slice\n0::/\n"


def version_2(root: Path) -> str:
    folder = root / "slice"
    folder.mkdir(parents=True)
    (folder / "cpu.stat").write_text("usage_usec 9\n")
    return "0::/slice\n"


@pytest.mark.parametrize(
    ("made", "where", "file", "text"),
    [
        (version_1, "cpu,cpuacct/slice", "cpuacct.usage", "1234000\n"),
        (version_2, "slice", "cpu.stat", "usage_usec 1234\nuser_usec 1000\n"),
    ],
)
def test_a_group_of_either_version_counts(
    made: Callable[[Path], str], where: str, file: str, text: str, tmp_path: Path
) -> None:
    """With files as the kernel makes them in a new group."""
    own = tmp_path / "own"
    own.write_text(made(tmp_path))
    # a plain folder has none of the files that the kernel would make: nothing is counted there
    assert cpu_group(999_999_999, "empty", own, tmp_path) is None
    folder = tmp_path / where / "full"
    folder.mkdir()
    (folder / file).write_text(text)
    (folder / "cgroup.procs").write_text("")
    assert CpuGroup(folder, 1 if "cpuacct" in file else 2).cpu_ns() == 1_234_000


def test_without_groups_there_is_none(tmp_path: Path) -> None:
    assert cpu_group(999_999_999, "x", tmp_path / "nowhere", tmp_path) is None
    (tmp_path / "own").write_text("0::/\n")
    assert cpu_group(999_999_999, "x", tmp_path / "own", tmp_path) is None
