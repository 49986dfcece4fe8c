"""The compose runtime: strategies in containers through Docker Compose, read through the engine's API."""

import contextlib
import dataclasses
import os
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from typing import Any

from bench.cores import Cores, format_cores
from bench.errors import BenchError
from bench.measure.compose_cli import ComposeCli, explain, reap, stop_process
from bench.measure.container import ContainerInstance, engine_instant, remove
from bench.measure.image_size import measure_image
from bench.measure.instance import StartError
from bench.measure.ports import PortBusyError, require_free
from bench.measure.progress import Progress
from bench.measure.registry import Registry, Service
from bench.model import Device, ImageSize, Strategy

APPEAR_TIMEOUT_S = 60.0
SETUP_TIMEOUT_S = 300
POLL_S = 0.005
PROJECT_LABEL, SERVICE_LABEL = "com.docker.compose.project", "com.docker.compose.service"
ONE_OFF_LABEL = "com.docker.compose.oneoff"


def connect_engine() -> Any:
    """The Docker engine of this environment; raises BenchError where none answers."""
    import docker

    try:
        client = docker.from_env(timeout=120)
        client.ping()
    except docker.errors.DockerException:
        raise BenchError(
            "no Docker engine answers: start it, or take local processes with --runtime process"
        ) from None
    return client


def engine_cores(cores: Cores, count: int | None) -> Cores | None:
    """The cores with the engine's last for the service where it has too few, None where it has enough."""
    if not count or max(cores.service) < count:
        return None
    return dataclasses.replace(cores, service=(count - 1,))


class ComposeRuntime:
    """Runs one strategy at a time in a fresh container of the user's own compose project."""

    kind = "compose"

    def __init__(
        self, registry: Registry, cores: Cores, engine: Any, progress: Progress, device: Device = "auto"
    ) -> None:
        self.root = registry.root
        self._registry, self._engine, self._progress = registry, engine, progress
        self._info: Mapping[str, Any] = engine.info()
        self._cores_of_engine = engine_cores(cores, self._info.get("NCPU"))
        self._cli = ComposeCli(registry, self._cores_of_engine or cores, device)
        self._ran: set[str] = set()
        self._images: dict[str, str] = {}
        self._address_kind = ""
        self._touched = False

    def prepare(self, strategies: Sequence[Strategy], *, build: bool) -> None:
        """Build the images, stop the strategies that run, and bring the support services up."""
        services = [*(s.name for s in self._registry.support()), *(s.service for s in strategies)]
        if build:
            self._progress.note("building the images")
            if self._cli.build(*services) != 0:
                raise BenchError("the images could not be built: the lines above say why")
        self._ran = {c.labels[SERVICE_LABEL] for c in self._containers() if c.status == "running"}
        self._touched = True
        for strategy in self._registry.strategies.values():
            self._clear(strategy.service)
        for strategy in strategies:
            service = self._registry.services[strategy.service]
            if service.published:
                require_free(service.published, service)
        for service in self._registry.support():
            self._bring_up(service)

    def start(self, strategy: Strategy) -> ContainerInstance:
        """Create and start a fresh container; compose runs beside, so that no early phase is missed."""
        import docker

        self._clear(strategy.service)
        process = self._cli.spawn("up", "-d", "--no-deps", "--no-build", "--force-recreate", strategy.service)
        try:
            container = self._appear(strategy.service, process)
            while not container.attrs["State"]["Running"]:
                if container.attrs["State"]["Status"] in ("exited", "dead") or process.poll():
                    raise self._failed(process, container)
                time.sleep(POLL_S)
                container.reload()
            instance = self._instance(strategy, container)
        except BaseException as error:
            stop_process(process)
            with contextlib.suppress(docker.errors.DockerException, OSError):
                self._clear(strategy.service)
            if isinstance(error, docker.errors.DockerException):
                raise StartError(f"{strategy.name}: the engine refused ({error})") from None
            raise
        # the start is followed from here on at once: compose has nothing left to do but to end
        reap(process)
        return instance

    def image_size(self, strategy: Strategy) -> ImageSize | None:
        """The size of the image that the strategy's containers ran."""
        image = self._images.get(strategy.name)
        cache = self.root / ".cache" / "layers.json"
        return measure_image(self._engine, image, cache, self._progress) if image else None

    def run_loop(self, strategy: Strategy, request: bytes, timeout_s: float) -> bytes:
        """Run the loop command in a container of its own, on the service cores."""
        command = strategy.loop_command or ()
        name = f"{self._registry.project}-{strategy.service}-loop-{os.getpid()}"
        process = self._cli.spawn(
            "run", "--rm", "-T", "--no-deps", "--name", name, strategy.service, *command, stdin=True
        )
        try:
            output, errors = process.communicate(request, timeout=timeout_s)
        except subprocess.TimeoutExpired:
            self._clear_loop(name)
            raise StartError(f"{strategy.name}: its loop did not end within {timeout_s:.0f} s") from None
        except BaseException:
            self._clear_loop(name)
            raise
        finally:
            stop_process(process)
        if process.returncode != 0:
            lines = [line for line in errors.decode(errors="replace").splitlines() if line.strip()]
            last = lines[-1] if lines else ""
            raise StartError(f"{strategy.name}: its loop exited with {process.returncode}: {last}")
        return output

    def describe(self) -> Mapping[str, Any]:
        """Engine, storage and the images' ids, and the service's core where the engine has too few."""
        narrower = self._cores_of_engine
        # an engine with fewer cores runs elsewhere, in a virtual machine: what it shares with us is unknown
        own = {"service_cores": format_cores(narrower.service), "cores_disjoint": None} if narrower else {}
        return {
            **own,
            "engine_version": self._info.get("ServerVersion"),
            "storage_driver": self._info.get("Driver"),
            "cgroup_version": self._info.get("CgroupVersion"),
            "address_kind": self._address_kind,
            "images": dict(self._images),
        }

    def close(self) -> None:
        """Bring back what ran before, or take everything down where nothing did."""
        import docker

        if not self._touched:
            self._cli.close()
            return
        try:
            for strategy in self._registry.strategies.values():
                self._clear(strategy.service)
            if not self._ran:
                self._cli.run("down", own=True)
            elif again := [s.service for s in self._registry.strategies.values() if s.service in self._ran]:
                self._progress.note(f"bringing back {', '.join(again)}")
                self._cli.run("up", "-d", "--no-build", "--no-deps", *again, own=True)
            self._touched = False
        except (BenchError, docker.errors.DockerException, OSError) as error:
            remedy = "docker compose up -d" if self._ran else "docker compose down"
            self._progress.note(f"could not restore the project ({error}): run `{remedy}`")
        finally:
            self._cli.close()

    def _bring_up(self, service: Service) -> None:
        self._progress.note(f"starting {service.name}")
        if service.role == "setup":
            self._cli.run("up", "-d", "--no-deps", "--no-build", service.name, own=True)
            container = self._containers(service.name)[0]
            code = container.wait(timeout=SETUP_TIMEOUT_S)["StatusCode"]
            if code != 0:
                lines = container.logs(tail=5).decode(errors="replace").strip().splitlines()
                raise BenchError(
                    f"{service.name} failed with {code}: {lines[-1] if lines else 'it wrote nothing'}"
                )
        else:
            self._cli.run("up", "-d", "--wait", "--no-deps", "--no-build", service.name, own=True)

    def _containers(self, service: str | None = None) -> list[Any]:
        labels = [f"{PROJECT_LABEL}={self._registry.project}"]
        labels += [f"{SERVICE_LABEL}={service}"] if service else []
        found = self._engine.containers.list(all=True, filters={"label": labels}, ignore_removed=True)
        # what `compose run` started is the user's own errand, no copy of the service
        return [container for container in found if container.labels.get(ONE_OFF_LABEL) != "True"]

    def _clear(self, service: str) -> None:
        for container in self._containers(service):
            remove(container)

    def _clear_loop(self, name: str) -> None:
        import docker

        with contextlib.suppress(docker.errors.NotFound):
            remove(self._engine.containers.get(name))

    def _appear(self, service: str, process: Any) -> Any:
        """Wait until the engine knows the service's container."""
        deadline = time.monotonic() + APPEAR_TIMEOUT_S
        while time.monotonic() < deadline:
            found = self._containers(service)
            if found:
                return found[0]
            if process.poll():
                raise self._failed(process, None)
            time.sleep(POLL_S)
        raise StartError(f"{service}: no container appeared within {APPEAR_TIMEOUT_S:.0f} s")

    def _failed(self, process: Any, container: Any) -> BenchError:
        """The error of a start that compose gave up, or whose container ended at once."""
        code = process.wait()
        if code:
            error = explain(process.stderr.read().decode(errors="replace"), self._registry)
            return error if isinstance(error, PortBusyError) else StartError(str(error))
        text = container.logs(tail=5).decode(errors="replace").strip() if container else ""
        return StartError(
            f"the container exited at once: {text.splitlines()[-1] if text else 'it wrote nothing'}"
        )

    def _instance(self, strategy: Strategy, container: Any) -> ContainerInstance:
        wall_ns, now_ns = time.time_ns(), time.monotonic_ns()
        created_ns = engine_instant(container.attrs["Created"], wall_ns, now_ns)
        running_ns = engine_instant(container.attrs["State"]["StartedAt"], wall_ns, now_ns)
        service = self._registry.services[strategy.service]
        host, port, kind = self._address(container, strategy.port, service.published)
        instance = ContainerInstance(container, created_ns, running_ns, host, port, kind)
        self._images[strategy.name], self._address_kind = instance.image_id, kind
        return instance

    def _address(self, container: Any, port: int, published: int | None) -> tuple[str, int, str]:
        """The container's own address where it can be reached, else the published port on loopback.

        A published port goes through a proxy process of the engine, whose copying would be measured too.
        """
        networks = container.attrs["NetworkSettings"]["Networks"].values()
        chosen = self._address_kind
        for address in (network.get("IPAddress") for network in networks):
            if address and chosen != "published" and _reachable(address, port):
                return address, port, "bridge"
        container.reload()
        if chosen == "bridge" or not container.attrs["State"]["Running"]:
            # another way in would cost other copying: trials of one run must all take the same
            raise StartError(f"the container's own address cannot be reached on port {port}")
        if published is None:
            raise StartError(
                f"container port {port} is neither reachable nor published: publish it on loopback"
            )
        return "127.0.0.1", published, "published"


def _reachable(address: str, port: int) -> bool:
    """Whether packets get there: a refused connection answers that as well as an accepted one."""
    try:
        with socket.create_connection((address, port), timeout=0.5):
            return True
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
