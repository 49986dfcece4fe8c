"""Another commit beside this one: its files, its compose project, and both commits as one runtime."""

import contextlib
import dataclasses
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.errors import BenchError
from bench.measure.runtime.commit_files import find_commit, git, top_of, write_commit
from bench.measure.runtime.compose_file import OVERRIDES, named_files, of_resolved, resolve
from bench.measure.runtime.compose_program import ComposeRefusalError
from bench.measure.runtime.conflicts import free_ports
from bench.measure.runtime.env_files import project_values
from bench.measure.runtime.instance import BuildError, Instance, Runtime, RuntimeFacts, StrategyStartError
from bench.measure.runtime.registry import Registry, registry_of
from bench.model import ImageSize, Strategy, twin_name

# what a user configures here and git does not track: the other commit is configured in the same way
CONFIGURED = (".env", "service.env", *OVERRIDES)
# what names files, and may name them by their whole path
NAMING_FILES = ("COMPOSE_FILE", "COMPOSE_ENV_FILES")


@dataclass(frozen=True, slots=True)
class BaseTree:
    """The files of a commit until `bench` ends: `root` is the project's folder among them.

    With `environment` compose reads the files that are there, where the user's own names those of head.
    """

    root: Path
    commit: str
    environment: Mapping[str, str]


@contextlib.contextmanager
def base_tree(head: Registry, ref: str) -> Iterator[BaseTree]:
    """The commit that `ref` names in the repository around `head`.

    Raises UsageError if there is no such commit, or if not all of its files are here.
    """
    commit = find_commit(head.root, ref)
    folder = Path(tempfile.mkdtemp(prefix="bench-base-"))
    try:
        write_commit(head.root, commit, folder, ref)
        top = top_of(head.root)
        # the project's folder need not be the repository's top, and its images may be built from beside it
        root = folder / head.root.resolve().relative_to(top.resolve())
        _configure_alike(head, top, folder)
        yield BaseTree(root, commit[:7], _environment_there(head.root, top, folder))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _configure_alike(head: Registry, top: Path, folder: Path) -> None:
    """Copy what configures head and is tracked by nobody to where base looks for it."""
    values = project_values(head.root, os.environ)
    named = [*named_files(values), *values.get("COMPOSE_ENV_FILES", "").split(",")]
    wanted = [head.root / name for name in (*CONFIGURED, *filter(None, named))]
    for file in dict.fromkeys((*wanted, *head.file.env_files)):
        there = file.parent.resolve() / file.name
        if not file.is_file() or not there.is_relative_to(top) or git(top, "ls-files", "--", str(there)):
            continue
        copy = folder / there.relative_to(top)
        if not os.path.lexists(copy) and copy.parent.is_dir():
            shutil.copy(file, copy)


def _environment_there(root: Path, top: Path, folder: Path) -> dict[str, str]:
    """The environment with whole paths of head's files as those of base's."""
    values, ours, theirs = project_values(root, os.environ), f"{top}{os.sep}", f"{folder}{os.sep}"
    named = {name: values[name] for name in NAMING_FILES if ours in values.get(name, "")}
    return {**os.environ, **{name: text.replace(ours, theirs) for name, text in named.items()}}


def rename_project(
    registry: Registry, commit: str, environment: Mapping[str, str], *, wheels: str | None = None
) -> Registry:
    """Give the tree's compose project a name, images and ports of its own, so that it runs beside this one.

    Its images' tag is the commit, so that images of another commit are never taken for its own. Raises
    BenchError if compose refuses it.
    """
    project = f"{registry.project}-base"
    ours = {**environment, **({"WHEELS_DIR": wheels} if wheels and "WHEELS_DIR" not in environment else {})}
    try:
        tree = resolve(registry.root, ours, project)
    except ComposeRefusalError as error:
        raise BenchError(f"docker compose refuses base's files: {error}") from None
    ports = iter(free_ports(sum(len(s.get("ports") or ()) for s in tree["services"].values())))
    for name, service in tree["services"].items():
        _own_names(f"{project}/{name}:{commit}", service, ports)
    renamed = of_resolved({**tree, "name": project}, registry.file)
    return registry_of(registry.root, renamed)


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
