"""An image's size, summed over its layers by ourselves: unpacked, and compressed as a pull moves it."""

import contextlib
import dataclasses
import itertools
import json
import os
import tarfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO, cast

from bench.measure.progress import Progress
from bench.model import ImageSize, Layer

GZIP_LEVEL = 6
BLOCK_BYTES = 4 * 1024 * 1024
WINDOW_BYTES = 32 * 1024
GZIP_FRAME_BYTES = 18
GZIP_MAGIC, ZSTD_MAGIC = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
PACKED = (GZIP_MAGIC, ZSTD_MAGIC)  # a store that keeps layers as they were pulled
SHOWN_COMMAND = 60


def measure_image(engine: Any, image_id: str, cache_file: Path, progress: Progress) -> ImageSize:
    """Size an image's layers; compressing takes a while, so cache_file keeps what was found, by digest."""
    image = engine.images.get(image_id)
    digests: list[str] = image.attrs["RootFS"]["Layers"]
    cache = _read_cache(cache_file)
    missing = set(digests) - cache.keys()
    if missing:
        progress.note(f"compressing {len(missing)} layers of {_name(image)} to learn their size")
        stream = cast(BinaryIO, _Stream(image.save(chunk_size=BLOCK_BYTES)))
        sizes = list(reversed([int(step.get("Size", 0)) for step in image.history()]))
        cache.update(survey(stream, digests, missing, sizes))
        _write_cache(cache, cache_file)
    layers = tuple(cache[digest] for digest in digests)
    packed = [layer.compressed_bytes for layer in layers if layer.compressed_bytes is not None]
    return ImageSize(
        unpacked_bytes=sum(layer.unpacked_bytes for layer in layers),
        compressed_bytes=sum(packed) if len(packed) == len(layers) else None,
        layers=layers,
    )


def survey(
    saved: BinaryIO, digests: Sequence[str], missing: set[str], step_sizes: Sequence[int]
) -> dict[str, Layer]:
    """The missing layers of a `docker save` stream by digest.

    `digests` are the layers from the lowest up, `step_sizes` the bytes of each step of the image's history.
    """
    packed: dict[str, int] = {}
    counts: dict[str, _Counted] = {}
    documents: dict[str, bytes] = {}
    with tarfile.open(fileobj=saved, mode="r|") as archive:
        for member in archive:
            file = archive.extractfile(member) if member.isfile() else None
            if file is None or _known(member.name, digests, missing):
                continue
            first = file.read(BLOCK_BYTES)
            if first[:1] in (b"{", b"["):
                documents[member.name] = first
            elif member.name.startswith("blobs/") or member.name.endswith("/layer.tar"):
                counted = _Counted(itertools.chain((first,), _blocks(file)))
                packed[member.name] = gzip_size(counted)
                counts[member.name] = counted
    manifest = json.loads(documents["manifest.json"])[0]
    history = json.loads(documents[manifest["Config"]]).get("history", [])
    made = _steps_with_layers(history, step_sizes, len(digests))
    return {
        digest: Layer(
            shorten(command), counts[path].unpacked_bytes if size is None else size, packed.get(path), digest
        )
        for digest, path, (command, size) in zip(digests, manifest["Layers"], made, strict=True)
        if digest in missing
    }


def _steps_with_layers(
    history: Sequence[Mapping[str, Any]], sizes: Sequence[int], layers: int
) -> list[tuple[str, int | None]]:
    """Command and size of each step that made a layer; neither is known where the counts do not fit."""
    unknown: list[tuple[str, int | None]] = [("", None)] * layers
    if len(history) != len(sizes):
        return unknown
    steps: list[tuple[str, int | None]] = [
        (str(step.get("created_by") or step.get("comment") or ""), size)
        for step, size in zip(history, sizes, strict=True)
        if not step.get("empty_layer")
    ]
    return steps if len(steps) == layers else unknown


def gzip_size(blocks: Iterable[bytes]) -> int:
    """How long the blocks would be as one gzip file at level 6; what is compressed already counts as it is.

    Blocks are compressed in parallel, each with the 32 KB before it as dictionary, as pigz does.
    """
    blocks = iter(blocks)
    first = next(blocks, b"")
    if first.startswith(PACKED):
        return len(first) + sum(len(block) for block in blocks)
    total, before, workers = GZIP_FRAME_BYTES, b"", os.cpu_count() or 1
    with ThreadPoolExecutor(workers) as pool:
        pending: list[Future[int]] = []
        for block in itertools.chain((first,), blocks):
            pending.append(pool.submit(_deflated, block, before))
            before = block[-WINDOW_BYTES:]
            if len(pending) > 2 * workers:
                total += pending.pop(0).result()
        return total + sum(future.result() for future in pending)


def shorten(created_by: str) -> str:
    """A history line without the shell and the build tool's comments, cut to a readable length."""
    text = created_by.replace("/bin/sh -c #(nop)", "").replace("/bin/sh -c", "").replace("# buildkit", "")
    text = " ".join(text.split())
    return text if len(text) <= SHOWN_COMMAND else text[: SHOWN_COMMAND - 1] + "…"


def _deflated(block: bytes, before: bytes) -> int:
    packer = zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS, zdict=before)
    return len(packer.compress(block)) + len(packer.flush(zlib.Z_SYNC_FLUSH))


def _blocks(file: Any) -> Iterator[bytes]:
    while block := file.read(BLOCK_BYTES):
        yield block


def _known(path: str, digests: Sequence[str], missing: set[str]) -> bool:
    """True only for a blob that is surely a layer sized before: a store may name blobs by another digest."""
    digest = "sha256:" + path.rpartition("/")[2]
    return digest in digests and digest not in missing


def _name(image: Any) -> str:
    return str(image.tags[0].partition(":")[0]) if image.tags else "an image"


def _read_cache(file: Path) -> dict[str, Layer]:
    try:
        return {digest: Layer(**raw) for digest, raw in json.loads(file.read_text(encoding="utf-8")).items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _write_cache(cache: Mapping[str, Layer], file: Path) -> None:
    """Keep what was found; where it cannot be kept, it is found again another time."""
    fresh = file.with_name(f".{file.name}.{os.getpid()}")
    raw = {digest: dataclasses.asdict(layer) for digest, layer in cache.items()}
    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        fresh.write_text(json.dumps(raw, indent=1), encoding="utf-8")
        fresh.replace(file)


class _Counted:
    """A layer's blocks, counted on their way as the layer is unpacked; gzip is unpacked for that."""

    def __init__(self, blocks: Iterable[bytes]) -> None:
        self._blocks = blocks
        self._unpacker: Any = None
        self._bytes: int | None = 0

    @property
    def unpacked_bytes(self) -> int:
        """The layer's length as a tar; raises ValueError where only its packed length could be seen."""
        if self._bytes is None:
            raise ValueError("a layer is kept as zstd, whose unpacked size is not known")
        return self._bytes

    def __iter__(self) -> Iterator[bytes]:
        for number, block in enumerate(self._blocks):
            if number == 0 and block.startswith(GZIP_MAGIC):
                self._unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)
            if number == 0 and block.startswith(ZSTD_MAGIC):
                self._bytes = None
            if self._bytes is not None:
                self._bytes += len(self._unpacker.decompress(block) if self._unpacker else block)
            yield block


class _Stream:
    """An iterable of chunks as a file to read from."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._rest = memoryview(b"")

    def read(self, size: int) -> bytes:
        parts, wanted = [], size
        while wanted > 0:
            if not self._rest:
                chunk = next(self._chunks, None)
                if chunk is None:
                    break
                self._rest = memoryview(chunk)
            part = self._rest[:wanted]
            parts.append(part)
            self._rest = self._rest[len(part) :]
            wanted -= len(part)
        return b"".join(parts)
