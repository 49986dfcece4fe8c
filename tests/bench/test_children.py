"""A service's CPU time has that of children which are gone, by a control group or by what was reaped."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import Mock

import pytest

import bench.measure.runtime.process_runtime as process_runtime
from bench.cores import choose_cores
from bench.measure.machine.process_tree import cpu_of, tree
from bench.measure.runtime.cpu_group import CpuGroup, cpu_group
from bench.measure.runtime.instance import StrategyStartError
from bench.measure.runtime.process_runtime import BY_GROUP, BY_REAPED, ProcessInstance, ProcessRuntime
from bench.measure.runtime.registry import load_registry
from tests.running.ports import free_port

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
        found = cpu_of(tree(process.pid))
        process.kill()
    assert found.complete is complete
    assert (found.cpu_s >= 0.4) is complete


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
    assert cpu_group("empty", own, tmp_path) is None
    folder = tmp_path / where / "full"
    folder.mkdir()
    (folder / file).write_text(text)
    (folder / "cgroup.procs").write_text("")
    assert CpuGroup(folder, 1 if "cpuacct" in file else 2).cpu_ns() == 1_234_000


def test_without_groups_there_is_none(tmp_path: Path) -> None:
    assert cpu_group("x", tmp_path / "nowhere", tmp_path) is None
    (tmp_path / "own").write_text("0::/\n")
    assert cpu_group("x", tmp_path / "own", tmp_path) is None


# it forks at once, by a process that ends at once: nobody is its parent when it burns
ESCAPES = ["sh", "-c", '( setsid "$@" & ) ; sleep 60', "sh", sys.executable, "-c", BURN]


@pytest.fixture
def group() -> Iterator[CpuGroup]:
    made = cpu_group(f"bench-test-{os.getpid()}")
    if made is None:
        pytest.skip("no control group may be made here")
    yield made
    made.remove()


def burnt(read: Callable[[], float]) -> float:
    """CPU seconds by this reading, once they are those of BURN or do not come."""
    end_s = time.monotonic() + 5
    while (found := read()) < 0.15 and time.monotonic() < end_s:
        time.sleep(0.02)
    return found


def test_a_group_counts_what_is_forked_at_once_and_outlives_its_parent(group: CpuGroup) -> None:
    with subprocess.Popen(group.joining(ESCAPES)) as process:
        assert group.has(process.pid)
        assert burnt(lambda: (group.cpu_ns() or 0) / 1e9) >= 0.15
        # its parent's tree never has it
        assert cpu_of(tree(process.pid)).cpu_s < 0.1
        group.remove()
        assert process.wait() == -signal.SIGKILL
    assert group.pids() is None


def test_a_group_that_cannot_be_joined_is_no_obstacle(tmp_path: Path) -> None:
    nowhere = CpuGroup(tmp_path / "nowhere", 2)
    with subprocess.Popen(
        nowhere.joining(["echo", "two words"]), stdout=subprocess.PIPE, text=True
    ) as process:
        assert not nowhere.has(process.pid)
        assert process.communicate()[0] == "two words\n"


SERVICE = """
services:
  thing:
    command: {command}
    ports: ["127.0.0.1:{port}:8080"]
    labels: {{bench.strategy: thing, bench.port: "8080"}}
"""


@contextmanager
def started(folder: Path, command: Sequence[str]) -> Iterator[tuple[ProcessRuntime, ProcessInstance]]:
    (folder / "compose.yaml").write_text(SERVICE.format(command=json.dumps(command), port=free_port()))
    registry = load_registry(folder, {})
    runtime = ProcessRuntime(registry, choose_cores(None, None))
    try:
        instance = runtime.start(registry.strategies["thing"])
        try:
            yield runtime, instance
        finally:
            instance.stop()
    finally:
        runtime.close()


def test_a_service_is_started_in_its_group(group: CpuGroup, tmp_path: Path) -> None:
    del group
    with started(tmp_path, [part.replace("$", "$$") for part in ESCAPES]) as (runtime, instance):
        assert burnt(lambda: instance.usage().cpu_ns / 1e9) >= 0.15
        assert instance.usage().children_counted
        assert runtime.describe().cpu_time_from == BY_GROUP


def test_without_a_group_it_is_said_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_runtime, "cpu_group", Mock(return_value=None))
    with started(tmp_path, ["sleep", "60"]) as (runtime, instance):
        assert instance.usage().memory_bytes > 0
        assert runtime.describe().cpu_time_from == BY_REAPED


@pytest.mark.parametrize("program", ["no-such-program", "./no-such-program"])
def test_a_program_that_is_missing_is_named(program: str, tmp_path: Path) -> None:
    with (
        pytest.raises(StrategyStartError, match=f"No such file or directory: '{program}'"),
        started(tmp_path, [program]),
    ):
        pass
