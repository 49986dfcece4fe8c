"""The folder that a strategy pulls its model to, and the volume that keeps it from start to start."""

import contextlib
import io
import os
import tarfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, cast

from bench.measure.runtime.container import remove
from bench.measure.runtime.image_size import ChunkedFile
from bench.measure.runtime.instance import StrategyStartError
from bench.measure.runtime.registry import Registry
from bench.model import Strategy

LABEL = "bench.model-cache"
# services run as users that the volume's maker does not know
MODE = 0o1777
INSIDE = "/model-cache"


class CacheVolumes:
    """The volumes of one session; errors are the engine's own, docker.errors.DockerException."""

    def __init__(self, engine: Any, project: str) -> None:
        self._engine, self._project = engine, project
        self._images: dict[str, str] = {}

    def volume(self, strategy: str, image: str) -> str:
        """The name of the strategy's volume, made empty and writable for everyone if it does not exist yet.

        `image` is one that the engine has: nothing of it is run.
        """
        name = f"{self._project}-{strategy}-model-cache-{os.getpid()}"
        if strategy not in self._images:
            self._images[strategy] = image
            self._engine.volumes.create(name, labels={LABEL: self._project})
            with self._opened(name, image) as container:
                container.put_archive("/", _folder())
        return name

    def override(self, strategy: str, image: str, service: str, target: str) -> dict[str, object]:
        """What compose must read to mount the strategy's volume at `target`."""
        mount = {"type": "volume", "source": "model-cache", "target": target}
        return {
            "services": {service: {"volumes": [mount]}},
            "volumes": {"model-cache": {"name": self.volume(strategy, image), "external": True}},
        }

    def size_bytes(self, strategy: str) -> int:
        """The bytes of the files in the strategy's volume; raises KeyError if it has none."""
        image = self._images[strategy]
        with self._opened(self.volume(strategy, image), image) as container:
            chunks, _ = container.get_archive(INSIDE)
            return _bytes_of_files(chunks)

    def remove(self) -> None:
        """Remove the project's volumes, those of a session that was killed too.

        The containers that they are mounted in must be gone.
        """
        import docker

        self._images.clear()
        mine = {"label": f"{LABEL}={self._project}"}
        for container in self._engine.containers.list(all=True, filters=mine, ignore_removed=True):
            remove(container)
        for volume in self._engine.volumes.list(filters=mine):
            with contextlib.suppress(docker.errors.NotFound):
                volume.remove(force=True)

    @contextmanager
    def _opened(self, volume: str, image: str) -> Iterator[Any]:
        """A container that holds the volume and never runs: through it the engine reads and writes files."""
        mounts = {volume: {"bind": INSIDE, "mode": "rw"}}
        container = self._engine.containers.create(
            image, command=["none"], volumes=mounts, network_disabled=True, labels={LABEL: self._project}
        )
        try:
            yield container
        finally:
            remove(container)


def _folder() -> bytes:
    """An archive of nothing but the folder, with its mode."""
    entry = tarfile.TarInfo(INSIDE.strip("/"))
    entry.type, entry.mode = tarfile.DIRTYPE, MODE
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        archive.addfile(entry)
    return content.getvalue()


def _bytes_of_files(chunks: Iterable[bytes]) -> int:
    stream = cast(BinaryIO, ChunkedFile(chunks))
    with tarfile.open(fileobj=stream, mode="r|") as archive:
        return sum(member.size for member in archive if member.isfile())


def cache_of(registry: Registry, strategy: Strategy) -> str:
    """The container's folder for pulled models; raises StrategyStartError if the label is missing."""
    cache = registry.services[strategy.service].cache
    if cache is None:
        raise StrategyStartError(
            f"{strategy.name} cannot be started upon a filled model cache: say where it has its own with the "
            "label bench.cache"
        )
    return cache


def empty_cache(cache: str) -> str:
    """What to say if a start left nothing in its cache."""
    return f"a start left nothing in {cache}: name the folder that it pulls to in its label bench.cache"
