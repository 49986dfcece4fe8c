"""The compose runtime: strategies in containers through Docker Compose, read through the engine's API."""

import contextlib
import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.cores import Cores, format_cores
from bench.errors import BenchError
from bench.measure.progress import Progress, Silent
from bench.measure.runtime.bounded_talk import talk
from bench.measure.runtime.compose_cli import ComposeCli, explain, reap, settings_of, stop_process
from bench.measure.runtime.conflicts import PortBusyError, ProjectLock, require_free
from bench.measure.runtime.container import (
    ContainerInstance,
    engine_cores,
    engine_facts,
    engine_instant,
    find_address,
    remove,
)
from bench.measure.runtime.image_build import ImageBuild
from bench.measure.runtime.image_size import measure_image
from bench.measure.runtime.instance import BuildError, RuntimeFacts, StrategyStartError
from bench.measure.runtime.model_cache import CacheVolumes, cache_of, empty_cache
from bench.measure.runtime.registry import ComposeService, Registry
from bench.model import Device, ImageSize, Strategy

NOT_BUILT = "the images could not be built: the lines above say why"
WORKING_SET = "the working set with mapped files, sampled"
APPEAR_TIMEOUT_S = 60.0
SETUP_TIMEOUT_S = 300
POLL_S = 0.005
PROJECT_LABEL, SERVICE_LABEL = "com.docker.compose.project", "com.docker.compose.service"
ONE_OFF_LABEL = "com.docker.compose.oneoff"


class ComposeRuntime:
    """Runs one strategy at a time in a fresh container of the user's own compose project.

    A project that is `passing` is nobody's: whatever runs of it is taken down at the end.
    """

    kind = "compose"

    def __init__(
        self,
        registry: Registry,
        cores: Cores,
        engine: Any,
        progress: Progress,
        device: Device = "auto",
        reach: str | None = None,
        layer_cache: Path | None = None,
        passing: bool = False,
    ) -> None:
        self.root = registry.root
        self._passing = passing
        self._layer_cache = layer_cache or registry.root / ".cache" / "layers.json"
        self._registry, self._engine, self._progress = registry, engine, progress
        self._info: Mapping[str, Any] = engine.info()
        self._cores_of_engine = engine_cores(cores, self._info.get("NCPU"))
        self._reach = reach
        self._cli = ComposeCli(registry, self._cores_of_engine or cores, device, reach, passing)
        self._ran: set[str] = set()
        self._images: dict[str, str] = {}
        self._caches = CacheVolumes(engine, registry.project)
        self._cached_bytes: dict[str, int] = {}
        self._compose_version: str | None = None
        self._peak_from: str | None = None
        self._address_kind = ""
        self._touched = False
        self._lock = ProjectLock(registry.project)

    def prepare(self, strategies: Sequence[Strategy], *, build: bool) -> None:
        """Build the images, stop the strategies that run, and bring the support services up."""
        self._lock.take()
        services = [*(s.name for s in self._registry.support(strategies)), *(s.service for s in strategies)]
        if build:
            self._progress.note("building the images")
            built = self._cli.build(services, self._progress)
            if not built.succeeded:
                raise self._build_error(strategies, built)
        self._compose_version = self._cli.run("version", "--short", own=True).strip()
        if not self._passing:
            self._ran = {c.labels[SERVICE_LABEL] for c in self._containers() if c.status == "running"}
        self._touched = True
        for strategy in self._registry.strategies.values():
            self._clear(strategy.service)
        self._caches.remove()
        for strategy in strategies:
            service = self._registry.services[strategy.service]
            if service.published:
                require_free(service.published, service)
        for service in self._registry.support(strategies):
            self._bring_up(service)

    def start(self, strategy: Strategy, *, warm: bool = False) -> ContainerInstance:
        """Create and start a fresh container; compose runs beside, so that no early phase is missed."""
        import docker

        try:
            self._clear(strategy.service)
            also = [*self._set(strategy), *([self._cli.override(self._mounted(strategy))] if warm else [])]
        except docker.errors.DockerException as error:
            raise StrategyStartError(f"{strategy.name}: the engine refused ({error})") from None
        up = ("up", "-d", "--no-deps", "--no-build", "--force-recreate", strategy.service)
        process = self._cli.spawn(*up, also=also)
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
                raise StrategyStartError(f"{strategy.name}: the engine refused ({error})") from None
            raise
        # the start is followed from here on at once: compose has nothing left to do but to end
        reap(process)
        return instance

    def model_bytes(self, strategy: Strategy) -> int | None:
        """The bytes of the files in the strategy's model cache."""
        return self._cached_bytes.get(strategy.name)

    def measure_cache(self, strategy: Strategy) -> None:
        """Sum the files in the strategy's volume."""
        import docker

        try:
            found = self._caches.size_bytes(strategy.name)
        except docker.errors.DockerException as error:
            raise StrategyStartError(f"{strategy.name}: its model cache cannot be read ({error})") from None
        if not found:
            raise StrategyStartError(f"{strategy.name}: {empty_cache(cache_of(self._registry, strategy))}")
        self._cached_bytes[strategy.name] = found

    def image_size(self, strategy: Strategy) -> ImageSize | None:
        """The size of the image that the strategy's containers ran."""
        image = self._images.get(strategy.name)
        return measure_image(self._engine, image, self._layer_cache, self._progress) if image else None

    def run_loop(self, strategy: Strategy, request: bytes, timeout_s: float) -> bytes:
        """Run the loop command in a container of its own, on the service cores."""
        command = strategy.loop_command or ()
        name = f"{self._registry.project}-{strategy.service}-loop-{os.getpid()}"
        alone = ("run", "--rm", "-T", "--no-deps", "--name", name, strategy.service)
        process = self._cli.spawn(*alone, *command, stdin=True, also=self._set(strategy))
        try:
            output, errors = talk(process, request, timeout_s, strategy.name)
        except BaseException:
            self._clear_loop(name)
            raise
        finally:
            stop_process(process)
        if process.returncode != 0:
            lines = [line for line in errors.decode(errors="replace").splitlines() if line.strip()]
            last = lines[-1] if lines else ""
            raise StrategyStartError(f"{strategy.name}: its loop exited with {process.returncode}: {last}")
        return output

    def describe(self) -> RuntimeFacts:
        """Engine, images, the source of peak memory, and the service's core if the engine has few cores."""
        narrower = self._cores_of_engine
        return RuntimeFacts(
            self._address_kind,
            dict(self._images),
            engine_facts(self._info),
            self._compose_version,
            self._peak_from,
            format_cores(narrower.service) if narrower else None,
        )

    def close(self) -> None:
        """Bring back what ran before; if nothing did, take everything down."""
        import docker

        if not self._touched:
            self._cli.close()
            self._lock.release()
            return
        try:
            for strategy in self._registry.strategies.values():
                self._clear(strategy.service)
            self._caches.remove()
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
            self._lock.release()

    def _build_error(self, strategies: Sequence[Strategy], together: ImageBuild) -> BenchError:
        """The error of images that could not be built: each is tried by itself, to tell whose they are.

        What the builder said of those is written to stderr.
        """
        support = [service.name for service in self._registry.support(strategies)]
        failed: dict[str, ImageBuild] = {}
        if not support or self._cli.build(support, Silent()).succeeded:
            tried = {one.name: self._cli.build([one.service], Silent()) for one in strategies}
            failed = {name: one for name, one in tried.items() if not one.succeeded}
        for one in failed.values() or [together]:
            sys.stderr.write(one.output)
        sys.stderr.flush()
        return BuildError(list(failed)) if failed else BenchError(NOT_BUILT)

    def _bring_up(self, service: ComposeService) -> None:
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
        # what `compose run` started is the user's own errand, not a copy of the service
        return [container for container in found if container.labels.get(ONE_OFF_LABEL) != "True"]

    def _set(self, strategy: Strategy) -> list[Path]:
        """The override that gives a variant its settings; none for a strategy as its stanza has it."""
        return [self._cli.override(settings_of(strategy))] if strategy.settings else []

    def _mounted(self, strategy: Strategy) -> dict[str, object]:
        """The override that mounts the strategy's volume at its model cache."""
        cache = cache_of(self._registry, strategy)
        image = self._images.get(strategy.name) or self._image_of(strategy.service)
        return self._caches.override(strategy.name, image, strategy.service, cache)

    def _image_of(self, service: str) -> str:
        """The name of the image that compose takes for a service."""
        named = json.loads(self._cli.run("config", "--format", "json", service))["services"][service]
        return str(named.get("image") or f"{self._registry.project}-{service}")

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
        raise StrategyStartError(f"{service}: no container appeared within {APPEAR_TIMEOUT_S:.0f} s")

    def _failed(self, process: Any, container: Any) -> BenchError:
        """The error of a start that compose gave up, or whose container ended at once."""
        code = process.wait()
        if code:
            error = explain(process.stderr.read().decode(errors="replace"), self._registry)
            return error if isinstance(error, PortBusyError) else StrategyStartError(str(error))
        text = container.logs(tail=5).decode(errors="replace").strip() if container else ""
        return StrategyStartError(
            f"the container exited at once: {text.splitlines()[-1] if text else 'it wrote nothing'}"
        )

    def _instance(self, strategy: Strategy, container: Any) -> ContainerInstance:
        wall_ns, now_ns = time.time_ns(), time.monotonic_ns()
        created_ns = engine_instant(container.attrs["Created"], wall_ns, now_ns)
        running_ns = engine_instant(container.attrs["State"]["StartedAt"], wall_ns, now_ns)
        service = self._registry.services[strategy.service]
        host, port, kind = find_address(
            container, strategy.port, service.published, self._address_kind, self._reach
        )
        instance = ContainerInstance(container, created_ns, running_ns, host, port, kind, service.cache)
        self._images[strategy.name], self._address_kind = instance.image_id, kind
        self._peak_from = WORKING_SET
        return instance
