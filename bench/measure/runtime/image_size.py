"""An image's size, summed over its layers by ourselves: unpacked, and compressed as a pull moves it."""

import contextlib
import dataclasses
import gzip
import json
import os
import posixpath
import tarfile
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol, TypeVar, cast

from bench.measure.progress import Progress
from bench.measure.runtime.image_files import LayerEntry, entries_of, summed
from bench.model import Directory, ImageSize, Layer

GZIP_LEVEL = 6
BLOCK_BYTES = 4 * 1024 * 1024
WINDOW_BYTES = 32 * 1024
GZIP_FRAME_BYTES = 18
GZIP_MAGIC, ZSTD_MAGIC = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
SPOILED = (gzip.BadGzipFile, EOFError, zlib.error)
PACKED = (GZIP_MAGIC, ZSTD_MAGIC)  # a store that keeps layers as they were pulled
SHOWN_COMMAND = 60
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class LayerContent:
    """A layer that was read to its end.

    `packed_bytes` is what a pull moves, None if it was not asked for; `unpacked_bytes` is None if only
    the packed length could be seen, `entries` if the archive could not be read. `kept_packed` says that the
    store keeps it compressed, as it was pulled.
    """

    packed_bytes: int | None
    unpacked_bytes: int | None
    entries: tuple[LayerEntry, ...] | None
    kept_packed: bool = False


class Readable(Protocol):
    """What can be read forwards."""

    def read(self, size: int) -> bytes:
        """The next bytes, none at the end."""


def read_layer(first: bytes, rest: Readable, *, pack: bool) -> LayerContent:
    """Read a layer, whose first block is known, to its end; `pack` asks for its packed length too."""
    packer = _Packer() if pack else None
    raw = _Blocks(first, rest, packer)
    try:
        if first.startswith(ZSTD_MAGIC):
            unpacked, entries = None, None
        elif first.startswith(GZIP_MAGIC):
            unpacked, entries = _unpack(cast(Readable, gzip.GzipFile(fileobj=cast(BinaryIO, raw))))
        else:
            unpacked, entries = _unpack(raw)
        _drain(raw)
    finally:
        packed = packer.finish() if packer else None
    return LayerContent(packed, unpacked, entries, first.startswith(PACKED))


def gzip_size(blocks: Iterable[bytes]) -> int:
    """The length of the blocks as one gzip file at level 6; what is compressed already counts as it is."""
    packer = _Packer()
    for block in blocks:
        packer.feed(block)
    return packer.finish()


class _Packer:
    """Sums the length of blocks as gzip would compress them, in parallel.

    Each has the 32 KB before it as dictionary, as pigz does.
    """

    def __init__(self) -> None:
        self._workers = os.cpu_count() or 1
        self._pool = ThreadPoolExecutor(self._workers)
        self._pending: list[Future[int]] = []
        self._before = b""
        self._total = GZIP_FRAME_BYTES
        self._as_it_is: bool | None = None

    def feed(self, block: bytes) -> None:
        """Take the next block."""
        if self._as_it_is is None:
            self._as_it_is = block.startswith(PACKED)
            self._total = 0 if self._as_it_is else self._total
        if self._as_it_is:
            self._total += len(block)
            return
        self._pending.append(self._pool.submit(_deflated, block, self._before))
        self._before = block[-WINDOW_BYTES:]
        if len(self._pending) > 2 * self._workers:
            self._total += self._pending.pop(0).result()

    def finish(self) -> int:
        """The sum, once every block is compressed."""
        total = self._total + sum(future.result() for future in self._pending)
        self._pool.shutdown()
        return total


class _Blocks:
    """A layer as a file, which hands each block on to be packed as it is read."""

    def __init__(self, first: bytes, rest: Readable, packer: _Packer | None) -> None:
        self._rest, self._packer = rest, packer
        self._block = memoryview(b"")
        self._ahead = first
        self.length = 0

    def read(self, size: int) -> bytes:
        """The next bytes, at most `size` and perhaps fewer, none at the end."""
        if not self._block:
            block = self._ahead or self._rest.read(BLOCK_BYTES)
            self._ahead = b""
            self.length += len(block)
            if self._packer is not None and block:
                self._packer.feed(block)
            self._block = memoryview(block)
        part, self._block = self._block[:size], self._block[size:]
        return bytes(part)


class _Whole:
    """A file whose reads are as long as was asked, and which knows how much was read."""

    def __init__(self, file: Readable) -> None:
        self._file = file
        self.length = 0

    def read(self, size: int) -> bytes:
        """The next `size` bytes, fewer only at the end."""
        parts, wanted = [], size
        while wanted > 0 and (part := self._file.read(wanted)):
            parts.append(part)
            wanted -= len(part)
        self.length += size - wanted
        return b"".join(parts)


def _unpack(file: Readable) -> tuple[int | None, tuple[LayerEntry, ...] | None]:
    """The length of an archive and its entries; only the length if it is not an archive."""
    whole = _Whole(file)
    entries: tuple[LayerEntry, ...] | None
    try:
        with tarfile.open(fileobj=cast(BinaryIO, whole), mode="r|", bufsize=BLOCK_BYTES) as archive:
            entries = tuple(entries_of(archive))
    except (tarfile.TarError, *SPOILED):
        entries = None
    try:
        _drain(whole)
    except SPOILED:
        return None, None
    return whole.length, entries


def _drain(file: Readable) -> None:
    while file.read(BLOCK_BYTES):
        pass


def _deflated(block: bytes, before: bytes) -> int:
    packer = zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS, zdict=before)
    return len(packer.compress(block)) + len(packer.flush(zlib.Z_SYNC_FLUSH))


class ChunkedFile:
    """An iterable of chunks as a file to read from."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._rest = memoryview(b"")

    def read(self, size: int) -> bytes:
        """The next `size` bytes, fewer only at the end."""
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


@dataclass(frozen=True, slots=True)
class Survey:
    """What one reading of an image says: the layers asked for, by digest, and its files.

    `wasted_bytes` is None if a layer's files could not be read. `again_bytes` are those of further blobs that
    hold a layer of the image under another compression: a pull moves each of them.
    """

    layers: Mapping[str, Layer]
    directories: tuple[Directory, ...]
    wasted_bytes: int | None
    again_bytes: int = 0


def measure_image(engine: Any, image_id: str, cache_file: Path, progress: Progress) -> ImageSize:
    """Size an image's layers and directories.

    A layer that the image holds several times is pulled once, and is unpacked each time: its first place has
    its compressed bytes, and each further place has 0. Compressing takes a while, so cache_file keeps what
    was found of layers, and images.json beside it what was found of images, both by digest.
    """
    image = engine.images.get(image_id)
    digests: list[str] = image.attrs["RootFS"]["Layers"]
    images_file = cache_file.with_name("images.json")
    layers, images = _read_cache(cache_file, _layer), _read_cache(images_file, _files)
    missing = set(digests) - layers.keys()
    if missing or image_id not in images:
        if missing:
            progress.note(f"compressing {len(missing)} layers of {_name(image)} to learn their size")
        stream = cast(BinaryIO, ChunkedFile(image.save(chunk_size=BLOCK_BYTES)))
        sizes = list(reversed([int(step.get("Size", 0)) for step in image.history()]))
        found = survey(stream, digests, missing, sizes)
        layers.update(found.layers)
        images[image_id] = _Files(found.directories, found.wasted_bytes, found.again_bytes)
        _write_cache({digest: dataclasses.asdict(layer) for digest, layer in layers.items()}, cache_file)
        _write_cache({key: dataclasses.asdict(files) for key, files in images.items()}, images_file)
    own, files = _placed([layers[digest] for digest in digests]), images[image_id]
    packed = [layer.compressed_bytes for layer in own if layer.compressed_bytes is not None]
    return ImageSize(
        unpacked_bytes=sum(layer.unpacked_bytes for layer in own),
        compressed_bytes=sum(packed) + files.again_bytes if len(packed) == len(own) else None,
        layers=own,
        directories=files.directories,
        wasted_bytes=files.wasted_bytes,
    )


def _placed(layers: Sequence[Layer]) -> tuple[Layer, ...]:
    """The layers of an image in their places; nothing is pulled for one that lies further down already."""
    first = {layer.digest: place for place, layer in reversed(list(enumerate(layers)))}
    return tuple(
        layer if first[layer.digest] == place else dataclasses.replace(layer, compressed_bytes=0)
        for place, layer in enumerate(layers)
    )


def survey(saved: BinaryIO, digests: Sequence[str], missing: set[str], step_sizes: Sequence[int]) -> Survey:
    """Read a `docker save` stream once; the layers that are missing are compressed to learn their size.

    `digests` are the layers from the lowest up, `step_sizes` the bytes of each step of the image's history.
    Raises ValueError if the size of a missing layer cannot be learned.
    """
    contents: dict[str, LayerContent] = {}
    documents: dict[str, bytes] = {}
    links: dict[str, str] = {}
    with tarfile.open(fileobj=saved, mode="r|") as archive:
        for member in archive:
            if member.issym():
                # how older engines write a layer that the image holds a second time
                links[member.name] = posixpath.normpath(
                    posixpath.join(posixpath.dirname(member.name), member.linkname)
                )
            file = archive.extractfile(member) if member.isfile() else None
            if file is None:
                continue
            first = file.read(BLOCK_BYTES)
            if first[:1] in (b"{", b"["):
                documents[member.name] = first
            elif member.name.startswith("blobs/") or member.name.endswith(".tar"):
                pack = not _known(member.name, digests, missing)
                contents[member.name] = read_layer(first, file, pack=pack)
    manifest = json.loads(documents["manifest.json"])[0]
    history = json.loads(documents[manifest["Config"]]).get("history", [])
    made = _steps_with_layers(history, step_sizes, len(digests))
    paths = [links.get(path, path) for path in manifest["Layers"]]
    stack = [contents[path] for path in paths]
    layers: dict[str, Layer] = {}
    for digest, content, (command, size) in zip(digests, stack, made, strict=True):
        if digest in missing and digest not in layers:
            unpacked = _unpacked(content, size)
            layers[digest] = Layer(shorten(command), unpacked, content.packed_bytes, digest)
    entries = [content.entries for content in stack if content.entries is not None]
    directories, wasted = summed(entries) if len(entries) == len(stack) else ((), None)
    return Survey(layers, directories, wasted, _again(digests, paths, contents))


def _again(digests: Sequence[str], paths: Sequence[str], contents: Mapping[str, LayerContent]) -> int:
    """The bytes of blobs that hold a layer which another blob holds too, under another compression."""
    first = dict(reversed(list(zip(digests, paths, strict=True))))
    further = {path for digest, path in zip(digests, paths, strict=True) if first[digest] != path}
    # a blob that is not compressed is compressed alike wherever it lies
    return sum(contents[path].packed_bytes or 0 for path in further if contents[path].kept_packed)


def _unpacked(content: LayerContent, step_size: int | None) -> int:
    """A layer's size from its step of the history, else the length of its archive."""
    size = content.unpacked_bytes if step_size is None else step_size
    if size is None:
        raise ValueError("a layer is kept as zstd, whose unpacked size is not known")
    return size


def _steps_with_layers(
    history: Sequence[Mapping[str, Any]], sizes: Sequence[int], layers: int
) -> list[tuple[str, int | None]]:
    """Command and size of each step that made a layer; neither is known if the counts do not fit."""
    unknown: list[tuple[str, int | None]] = [("", None)] * layers
    if len(history) != len(sizes):
        return unknown
    steps: list[tuple[str, int | None]] = [
        (str(step.get("created_by") or step.get("comment") or ""), size)
        for step, size in zip(history, sizes, strict=True)
        if not step.get("empty_layer")
    ]
    return steps if len(steps) == layers else unknown


def shorten(created_by: str) -> str:
    """A history line without the shell and the build tool's comments, cut to a readable length."""
    text = created_by.replace("/bin/sh -c #(nop)", "").replace("/bin/sh -c", "").replace("# buildkit", "")
    text = " ".join(text.split())
    return text if len(text) <= SHOWN_COMMAND else text[: SHOWN_COMMAND - 1] + "…"


def _known(path: str, digests: Sequence[str], missing: set[str]) -> bool:
    """True only for a blob that is surely a layer sized before: a store may name blobs by another digest."""
    digest = "sha256:" + path.rpartition("/")[2]
    return digest in digests and digest not in missing


def _name(image: Any) -> str:
    return str(image.tags[0].partition(":")[0]) if image.tags else "an image"


@dataclass(frozen=True, slots=True)
class _Files:
    """What is kept of an image beside its layers."""

    directories: tuple[Directory, ...]
    wasted_bytes: int | None
    again_bytes: int


def _layer(raw: Mapping[str, Any]) -> Layer:
    return Layer(**raw)


def _files(raw: Mapping[str, Any]) -> _Files:
    directories = tuple(Directory(**one) for one in raw["directories"])
    return _Files(directories, raw["wasted_bytes"], raw["again_bytes"])


def _read_cache(file: Path, read: Callable[[Mapping[str, Any]], Value]) -> dict[str, Value]:
    """What earlier runs learned; nothing if the file is missing or was not written by this version."""
    try:
        return {digest: read(raw) for digest, raw in json.loads(file.read_text(encoding="utf-8")).items()}
    except (OSError, ValueError, TypeError, AttributeError, KeyError):
        return {}


def _write_cache(content: Mapping[str, Any], file: Path) -> None:
    """Keep what was learned; if it cannot be kept, a later run learns it again."""
    fresh = file.with_name(f".{file.name}.{os.getpid()}")
    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        fresh.write_text(json.dumps(content, indent=1), encoding="utf-8")
        fresh.replace(file)
