"""Another commit beside this one: its files, its compose project, and both commits as one runtime."""

import contextlib
import dataclasses
import io
import json
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.errors import BenchError, UsageError
from bench.measure.runtime.compose_cli import compose_environment
from bench.measure.runtime.conflicts import free_ports
from bench.measure.runtime.instance import BuildError, Instance, Runtime, RuntimeFacts, StrategyStartError
from bench.measure.runtime.registry import FILE_NAME, Registry, load_registry
from bench.model import ImageSize, Strategy, twin_name

# what a user configures here and git does not track: the other commit is configured in the same way
CONFIGURED = (".env", "service.env")
OVERRIDES = ("compose.override.yaml", "compose.override.yml", "docker-compose.override.yml")


@dataclass(frozen=True, slots=True)
class BaseTree:
    """The files of a commit in a folder of their own, until `bench` ends."""

    root: Path
    commit: str


@contextlib.contextmanager
def base_tree(root: Path, ref: str) -> Iterator[BaseTree]:
    """The commit that `ref` names in the repository around `root`; raises UsageError if there is none."""
    commit = resolve(root, ref)
    folder = Path(tempfile.mkdtemp(prefix="bench-base-"))
    try:
        # with the folder's own path of the repository, which need not begin at its top
        place = _git(root, "rev-parse", "--show-prefix").decode().strip()
        archive = _git(root, "archive", "--format=tar", f"{commit}:{place}")
        try:
            with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
                tar.extractall(folder, filter="data")
        except tarfile.TarError as error:
            raise UsageError(f"{ref} cannot be unpacked ({error}): take that file out of it") from None
        for name in CONFIGURED:
            if (root / name).is_file() and not (folder / name).exists():
                shutil.copy(root / name, folder / name)
        yield BaseTree(folder, commit[:7])
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def resolve(root: Path, ref: str) -> str:
    """The whole name of a commit; raises UsageError if the repository does not have it."""
    _git(root, "rev-parse", "--git-dir")
    try:
        found = _git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}")
    except BenchError:
        raise UsageError(
            f"git knows no commit {ref}: name a branch, tag or commit that is here, `git fetch` brings others"
        ) from None
    return found.decode().strip()


def rename_project(registry: Registry, commit: str, *, wheels: str | None = None) -> Registry:
    """Give the tree's compose project a name, images and ports of its own, so that it runs beside this one.

    Its images' tag is the commit, so that images of another commit are never taken for its own.

    Its compose.yaml is replaced by what compose makes of it. Raises BenchError if compose refuses it.
    """
    project = f"{registry.project}-base"
    environment = compose_environment(project, wheels)
    done = subprocess.run(
        ["docker", "compose", "--profile", "*", "config", "--format", "json"],  # noqa: S607  # as the user calls it
        cwd=registry.root,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines()
        raise BenchError(f"compose refuses base's {FILE_NAME}: {lines[-1] if lines else 'it said nothing'}")
    tree = json.loads(done.stdout)
    ports = iter(free_ports(sum(len(s.get("ports") or ()) for s in tree["services"].values())))
    for name, service in tree["services"].items():
        _own_names(f"{project}/{name}:{commit}", service, ports)
    for name in OVERRIDES:
        (registry.root / name).unlink(missing_ok=True)
    (registry.root / FILE_NAME).write_text(json.dumps({**tree, "name": project}), encoding="utf-8")
    return dataclasses.replace(load_registry(registry.root), project=project)


def move_ports(registry: Registry) -> Registry:
    """The strategies on free ports, for local processes that run beside another commit's."""
    moved = dict(registry.services)
    names = [strategy.service for strategy in registry.strategies.values()]
    for name, port in zip(names, free_ports(len(names)), strict=True):
        moved[name] = dataclasses.replace(moved[name], published=port)
    return dataclasses.replace(registry, services=moved)


def drop_other_images(engine: Any, registry: Registry, commit: str) -> None:
    """Remove the images of other commits that earlier gates left; those in use stay."""
    import docker

    for image in engine.images.list(filters={"reference": f"{registry.project}/*"}):
        for tag in image.tags:
            if tag.startswith(f"{registry.project}/") and not tag.endswith(f":{commit}"):
                with contextlib.suppress(docker.errors.APIError):
                    engine.images.remove(tag)


def _own_names(image: str, service: dict[str, Any], ports: Iterator[int]) -> None:
    if "build" in service:
        service["image"] = image
    if service.get("ports"):
        service["ports"] = [f"127.0.0.1:{next(ports)}:{one['target']}" for one in service["ports"]]
    service.pop("container_name", None)


def _git(root: Path, *args: str) -> bytes:
    try:
        command = ["git", *args]
        done = subprocess.run(command, cwd=root, capture_output=True, check=False)  # noqa: S603  # git
    except OSError:
        raise BenchError(
            "there is no git here: install it, or compare with a stored run, --baseline"
        ) from None
    if done.returncode != 0:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        raise BenchError(f"git {args[0]} failed: {lines[-1] if lines else 'it said nothing'}")
    return done.stdout


class TwoSides:
    """Runs base's twins by base's runtime under their own names, and all other strategies by head's."""

    def __init__(self, head: Runtime, base: Runtime) -> None:
        self.kind, self.root = head.kind, head.root
        self._head, self._base = head, base

    def prepare(self, strategies: Sequence[Strategy], *, build: bool) -> None:
        """Prepare both sides; local processes of both pull their models from head's store."""
        failed: list[str] = []
        try:
            self._head.prepare([one for one in strategies if not one.is_base], build=build)
        except BuildError as error:
            failed += error.strategies
        if self.kind == "compose":
            try:
                self._base.prepare([_own_name(one) for one in strategies if one.is_base], build=build)
            except BuildError as error:
                failed += [twin_name(name, "base") for name in error.strategies]
        if failed:
            raise BuildError(failed)

    def start(self, strategy: Strategy, *, warm: bool = False) -> Instance:
        """Start a fresh copy of its side; raises StrategyStartError."""
        side, own = self._side(strategy)
        try:
            return side.start(own, warm=warm)
        except StrategyStartError as error:
            raise StrategyStartError(f"base's {error}" if strategy.is_base else str(error)) from None

    def model_bytes(self, strategy: Strategy) -> int | None:
        """What lies in the model cache of its side's warm starts."""
        side, own = self._side(strategy)
        return side.model_bytes(own)

    def measure_cache(self, strategy: Strategy) -> None:
        """Look into the model cache of its side; raises StrategyStartError."""
        side, own = self._side(strategy)
        side.measure_cache(own)

    def image_size(self, strategy: Strategy) -> ImageSize | None:
        """The size of its side's image."""
        side, own = self._side(strategy)
        return side.image_size(own)

    def run_loop(self, strategy: Strategy, request: bytes, timeout_s: float) -> bytes:
        """Run the loop command of its side; raises StrategyStartError."""
        side, own = self._side(strategy)
        return side.run_loop(own, request, timeout_s)

    def describe(self) -> RuntimeFacts:
        """Head's facts, and the images of both; raises BenchError if the ways to them differ."""
        head, base = self._head.describe(), self._base.describe()
        if len({head.address_kind, base.address_kind} - {""}) > 1:
            raise BenchError("base and head are not reached in the same way, so they cannot be compared")
        theirs = {twin_name(name, "base"): image for name, image in base.images.items()}
        return dataclasses.replace(head, images={**head.images, **theirs})

    def close(self) -> None:
        """Stop what was started on both sides, and bring back what ran before."""
        try:
            self._base.close()
        finally:
            self._head.close()

    def _side(self, strategy: Strategy) -> tuple[Runtime, Strategy]:
        return (self._base, _own_name(strategy)) if strategy.is_base else (self._head, strategy)


def _own_name(strategy: Strategy) -> Strategy:
    """The strategy under the name that it has in its own commit."""
    return dataclasses.replace(strategy, name=strategy.twin.of, twin=None) if strategy.twin else strategy
