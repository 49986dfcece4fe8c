"""What the compose runtime decides for itself, against an engine whose answers are set by hand."""

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bench.cores import Cores
from bench.measure.runtime import container as container_module
from bench.measure.runtime.compose_runtime import ONE_OFF_LABEL, SERVICE_LABEL, ComposeRuntime
from bench.measure.runtime.container import engine_cores, find_address, image_store, remove
from bench.measure.runtime.instance import StrategyStartError, with_runtime
from bench.measure.runtime.registry import load_registry
from bench.model import Environment
from bench.verbs.terminal_progress import PlainProgress

Make = Callable[..., ComposeRuntime]
CORES = Cores((0,), (7,), tuple(range(8)))


class FakeContainer:
    """A container that notes whether it was removed."""

    def __init__(self, service: str, running: bool = True, one_off: bool = False) -> None:
        self.labels = {SERVICE_LABEL: service, ONE_OFF_LABEL: str(one_off)}
        self.status = "running" if running else "exited"
        network = {"Networks": {"default": {"IPAddress": "10.0.0.2"}}}
        self.attrs: dict[str, Any] = {"NetworkSettings": network, "State": {"Running": running}}
        self.removed = False
        self.fault: Exception | None = None

    def reload(self) -> None: ...

    def remove(self, **_: object) -> None:
        if self.fault:
            raise self.fault
        self.removed = True


@pytest.fixture
def runtime(project: Path) -> Iterator[Make]:
    """Make runtimes of the project with an engine of some containers and CPUs."""
    made: list[ComposeRuntime] = []

    def make(containers: list[FakeContainer], cpus: int = 8) -> ComposeRuntime:
        engine = SimpleNamespace(
            info=lambda: {"NCPU": cpus}, containers=SimpleNamespace(list=lambda **_: containers)
        )
        made.append(ComposeRuntime(load_registry(project, {}), CORES, engine, PlainProgress()))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_an_engine_with_fewer_cores_gives_its_last_one_and_claims_nothing(runtime: Make) -> None:
    assert engine_cores(CORES, 8) is None
    assert engine_cores(CORES, None) is None
    small = runtime([], cpus=4)
    machine = Environment(service_cores="1", cores_disjoint=True)
    told = with_runtime(machine, small.describe())
    assert (told.service_cores, told.cores_disjoint) == ("3", None)
    told = with_runtime(machine, runtime([]).describe())
    assert (told.service_cores, told.cores_disjoint) == ("1", True)


def test_the_store_of_the_images_is_told_apart() -> None:
    assert image_store({"DriverStatus": [["Backing Filesystem", "extfs"]]}) == "graph driver"
    snapshotter = [["driver-type", "io.containerd.snapshotter.v1"]]
    assert image_store({"Driver": "overlayfs", "DriverStatus": snapshotter}) == "containerd"
    assert image_store({}) == "graph driver"


def test_what_compose_run_started_is_left_alone(runtime: Make) -> None:
    own, errand = FakeContainer("fast-service"), FakeContainer("fast-service", one_off=True)
    runtime([own, errand])._clear("fast-service")
    assert (own.removed, errand.removed) == (True, False)


def test_the_users_own_command_names_no_file(runtime: Make) -> None:
    cli = runtime([])._cli
    assert cli.command("up", own=True) == ["docker", "compose", "up"]
    assert cli.command("up").count("-f") == 2


def test_the_way_in_never_changes_within_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(container_module, "is_reachable", lambda *_: False)
    container = FakeContainer("fast-service")
    assert find_address(container, 8080, 18080, "") == ("127.0.0.1", 18080, "published")
    monkeypatch.setattr(container_module, "CLOSED_AFTER_S", 0.0)
    with pytest.raises(StrategyStartError, match="cannot be reached on port 8080"):
        find_address(container, 8080, 18080, "bridge")
    for chosen in ("", "bridge"):
        with pytest.raises(StrategyStartError, match="before it could be reached"):
            find_address(FakeContainer("fast-service", running=False), 8080, 18080, chosen)


def test_a_network_that_comes_up_late_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(container_module, "REACH_AGAIN_S", 0.0)
    reached = iter([False, False, True])
    monkeypatch.setattr(container_module, "is_reachable", lambda *_: next(reached))
    address, port, kind = find_address(FakeContainer("fast-service"), 8080, 18080, "bridge")
    assert (port, kind) == (8080, "bridge")
    assert address


def test_a_container_that_is_being_removed_already_is_no_fault() -> None:
    import docker

    container = FakeContainer("fast-service")
    container.fault = docker.errors.APIError("busy", response=SimpleNamespace(status_code=409, reason=""))
    remove(container)
    container.fault = docker.errors.APIError("broken", response=SimpleNamespace(status_code=500, reason=""))
    with pytest.raises(docker.errors.APIError):
        remove(container)


def test_a_start_that_fails_leaves_no_container(
    runtime: Make, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    containers: list[FakeContainer] = []
    found = runtime(containers)

    def spawn(*_: str, **__: object) -> SimpleNamespace:
        containers.append(FakeContainer("fast-service"))
        return SimpleNamespace(poll=lambda: 0, wait=lambda: 0, stdin=None, stdout=None, stderr=None)

    def refuse(*_: object) -> None:
        raise StrategyStartError("no way in")

    monkeypatch.setattr(found._cli, "spawn", spawn)
    monkeypatch.setattr(found, "_instance", refuse)
    with pytest.raises(StrategyStartError, match="no way in"):
        found.start(load_registry(project, {}).strategies["fast"])
    assert [container.removed for container in containers] == [True]
