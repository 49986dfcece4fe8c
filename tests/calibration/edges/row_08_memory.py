"""Row 8: peak memory is what a service needs in the window: no file cache, no freed memory, nothing twice."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from json import dumps
from pathlib import Path
from typing import Any
from unittest.mock import patch

import psutil
import pytest

import bench.measure.runtime.container as container_module
from bench.measure.machine.process_memory import Mapped
from bench.measure.machine.process_tree import tree
from bench.measure.machine.usage import Usage, peak_memory_bytes
from bench.measure.runtime.container import ContainerInstance, is_reachable
from tests.calibration.claims import Figure
from tests.calibration.edges.known_run import run_known
from tests.calibration.edges.known_service import MIB, Script
from tests.calibration.edges.registry import Edge

IMAGE, PORT, READINGS = "python:3.11-slim-bookworm", 8080, 8
SERVICE, THEIRS = Path(__file__).with_name("known_service.py"), "/theirs.bin"
# what Python and the scripted service need, with room for another version of either
NEEDS_MIB, BOUND_MIB = 20, 60


@dataclass(frozen=True, slots=True)
class Case:
    """What a service does before it listens, a command that it runs in the window, and what it keeps."""

    name: str
    script: Script
    command: str = ""


CASES = (
    Case("writes, reads and deletes 400 MiB", Script(file_mib=400)),
    Case("allocates and frees 400 MiB", Script(allocate_mib=400)),
    Case("keeps 100 MiB", Script(keep_mib=100)),
    Case(
        "reads 400 MiB in the window",
        Script(),
        "dd if=/dev/zero of=/tmp/big bs=1M count=400 && cat /tmp/big >/dev/null",
    ),
)
# read again, a file is in the active cache
READ_AGAIN = (
    Case("reads 200 MiB three times", Script(read_mib=200)),
    Case("maps a file of 100 MiB", Script(map_mib=100)),
    Case("reads 200 MiB three times, shares 100 MiB", Script(read_mib=200, shared_mib=100)),
    # its pages are counted to whoever wrote it, and to no container
    Case("maps a file of 100 MiB of the host's", Script(map_mib=100, map_file=THEIRS)),
)
WORKERS = Script(keep_mib=100, workers=4)
OPTIONS = ("--concurrency", "1", "--window-s", "2", "--warmup-s", "1")
FORKING = """
import os, signal
kept = b"1" * (100 << 20)
for _ in range(4):
    if os.fork() == 0:
        signal.pause()
print("forked", flush=True)
signal.pause()
"""


def measure(folder: Path) -> Sequence[Figure]:
    """By the working set, sampled."""
    del folder
    return figures(CASES)


def measure_read_again(folder: Path) -> Sequence[Figure]:
    """By the working set, of files that are in the active cache, mapped, or beside shared memory."""
    file = theirs(folder)
    try:
        return figures(READ_AGAIN, file)
    finally:
        file.unlink()


def broken_read_again(folder: Path) -> Sequence[Figure]:
    """By what is in use less the inactive file cache, as `docker stats` shows it."""
    with patch.object(container_module, "file_bytes", _inactive):
        return measure_read_again(folder)


def theirs(folder: Path) -> Path:
    """A file of 100 MiB that the host wrote."""
    file = folder / "theirs.bin"
    file.write_bytes(os.urandom(100 * MIB))
    return file


def measure_workers(folder: Path) -> Sequence[Figure]:
    """Of local processes that share what their parent keeps."""
    return [workers_figure(run_known(folder, {"known": WORKERS}, *OPTIONS).trial().peak_memory_bytes or 0)]


def broken_workers(folder: Path) -> Sequence[Figure]:
    """By the resident memory of each process."""
    del folder
    root = subprocess.Popen([sys.executable, "-c", FORKING], stdout=subprocess.PIPE, process_group=0)
    try:
        assert root.stdout
        root.stdout.readline()
        return [workers_figure(sum(psutil.Process(pid).memory_info().rss for pid in tree(root.pid)))]
    finally:
        os.killpg(root.pid, signal.SIGKILL)
        root.communicate()


def workers_figure(found_bytes: int) -> Figure:
    holds = 100 <= found_bytes / MIB <= 100 + BOUND_MIB
    title = "peak MiB: keeps 100 MiB, forks 4 workers"
    return Figure(title, 100 + NEEDS_MIB, found_bytes / MIB, f"100 to {100 + BOUND_MIB}", holds, 1)


def broken(folder: Path) -> Sequence[Figure]:
    """By the kernel's mark less the window's least file cache."""
    del folder
    return [figure(case, _by_mark(readings(case))) for case in CASES[:1]]


def figure(case: Case, found_bytes: int) -> Figure:
    found, script = found_bytes / MIB, case.script
    kept = script.keep_mib + script.map_mib + script.shared_mib
    holds = kept <= found <= kept + BOUND_MIB
    return Figure(
        f"peak MiB: {case.name}", kept + NEEDS_MIB, found, f"{kept} to {kept + BOUND_MIB}", holds, 1
    )


def figures(cases: Sequence[Case], file: Path = SERVICE) -> Sequence[Figure]:
    """Of each case, in containers that run at the same time: each has an accounting of its own."""
    with ThreadPoolExecutor() as pool:
        found = pool.map(lambda case: peak_memory_bytes(readings(case, file)), cases)
        return [figure(case, peak) for case, peak in zip(cases, found, strict=True)]


def readings(case: Case, file: Path = SERVICE) -> list[Usage]:
    """The accounting of a container that does this, while it listens; it finds the file at THEIRS."""
    with container(case.script, file) as instance:
        if case.command:
            instance._container.exec_run(["sh", "-c", case.command], detach=True)
        found = []
        for _ in range(READINGS):
            found.append(instance.usage())
            time.sleep(0.25)
        return found


@contextmanager
def container(script: Script, file: Path) -> Iterator[ContainerInstance]:
    """The scripted service in a container that has begun to listen."""
    docker = pytest.importorskip("docker")
    try:
        engine = docker.from_env()
        engine.images.get(IMAGE)
    except docker.errors.DockerException:
        pytest.skip("needs a Docker engine that has the image of Python")
    finite = {key: value for key, value in asdict(script).items() if value != float("inf")}
    made = engine.containers.run(
        IMAGE,
        ["sh", "-c", "cd /tmp && exec python /known_service.py"],
        detach=True,
        environment={"KNOWN_SCRIPT": dumps(finite), "PORT": str(PORT)},
        volumes=[f"{SERVICE}:/known_service.py:ro", f"{file}:{THEIRS}:ro"],
    )
    try:
        made.reload()
        network = next(iter(made.attrs["NetworkSettings"]["Networks"].values()))["IPAddress"]
        for _ in range(600):
            made.reload()
            assert made.status == "running", made.logs().decode()
            code, _ = made.exec_run(
                ["python", "-c", f"import socket; socket.create_connection(('127.0.0.1', {PORT})).close()"]
            )
            if code == 0:
                break
            time.sleep(0.1)
        assert is_reachable(network, PORT)
        yield ContainerInstance(made, 0, 0, network, PORT, "bridge")
    finally:
        made.remove(force=True, v=True)
        engine.close()


def _inactive(detail: Mapping[str, Any], mapped: Mapped) -> tuple[int, int]:
    del mapped
    return int(detail.get("total_inactive_file", detail.get("inactive_file", 0))), 0


def _by_mark(usages: Sequence[Usage]) -> int:
    mark = usages[-1].peak_bytes or 0
    return max(peak_memory_bytes(usages), mark - min(usage.file_cache_bytes for usage in usages))


EDGES = [
    Edge(8, "peak memory is the working set in the window", measure, broken),
    Edge(8, "files that were read again are not in it", measure_read_again, broken_read_again),
    Edge(
        8,
        "memory that processes share counts once",
        measure_workers,
        broken_workers,
        ("tests/bench/test_process_memory.py", "test_what_a_parent_and_four_workers_share_counts_once"),
    ),
]
