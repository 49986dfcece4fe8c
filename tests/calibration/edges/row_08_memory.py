"""Row 8: peak memory is what a service needs in the window, and neither freed file cache nor freed memory."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from json import dumps
from pathlib import Path

import pytest

from bench.measure.machine.usage import Usage, peak_memory_bytes
from bench.measure.runtime.container import ContainerInstance, is_reachable
from tests.calibration.claims import Figure
from tests.calibration.edges.known_service import MIB, Script
from tests.calibration.edges.registry import Edge

IMAGE, PORT, READINGS = "python:3.11-slim-bookworm", 8080, 8
SERVICE = Path(__file__).with_name("known_service.py")
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


def measure(folder: Path) -> Sequence[Figure]:
    """By the working set, sampled."""
    del folder
    return [figure(case, peak_memory_bytes(readings(case))) for case in CASES]


def broken(folder: Path) -> Sequence[Figure]:
    """By the kernel's mark less the window's least file cache."""
    del folder
    return [figure(case, _by_mark(readings(case))) for case in CASES[:1]]


def figure(case: Case, found_bytes: int) -> Figure:
    found, kept = found_bytes / MIB, case.script.keep_mib
    holds = kept <= found <= kept + BOUND_MIB
    return Figure(
        f"peak MiB: {case.name}", kept + NEEDS_MIB, found, f"{kept} to {kept + BOUND_MIB}", holds, 1
    )


def readings(case: Case) -> list[Usage]:
    """The accounting of a container that does this, while it listens."""
    with container(case.script) as instance:
        if case.command:
            instance._container.exec_run(["sh", "-c", case.command], detach=True)
        found = []
        for _ in range(READINGS):
            found.append(instance.usage())
            time.sleep(0.25)
        return found


@contextmanager
def container(script: Script) -> Iterator[ContainerInstance]:
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
        volumes={str(SERVICE): {"bind": "/known_service.py", "mode": "ro"}},
    )
    try:
        made.reload()
        network = next(iter(made.attrs["NetworkSettings"]["Networks"].values()))["IPAddress"]
        for _ in range(600):
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


def _by_mark(usages: Sequence[Usage]) -> int:
    mark = usages[-1].peak_bytes or 0
    return max(peak_memory_bytes(usages), mark - min(usage.file_cache_bytes for usage in usages))


EDGES = [Edge(8, "peak memory is the working set in the window", measure, broken)]
