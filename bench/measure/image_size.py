"""An image's size, summed over its layers by ourselves: unpacked, and compressed as a pull moves it."""

import contextlib
import dataclasses
import json
import os
import tarfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeVar, cast

from bench.measure.image_files import summed
from bench.measure.image_layers import BLOCK_BYTES, LayerContent, read_layer
from bench.measure.image_stream import ChunkedFile
from bench.measure.progress import Progress
from bench.model import Directory, ImageSize, Layer

SHOWN_COMMAND = 60
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Survey:
    """What one reading of an image found: the layers asked for, by digest, and its files.

    `wasted_bytes` is None where a layer's files could not be read.
    """

    layers: Mapping[str, Layer]
    directories: tuple[Directory, ...]
    wasted_bytes: int | None


def measure_image(engine: Any, image_id: str, cache_file: Path, progress: Progress) -> ImageSize:
    """Size an image's layers and directories.

    Compressing takes a while, so cache_file keeps what was found of layers, and images.json beside it what
    was found of images, both by digest.
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
        images[image_id] = found.directories, found.wasted_bytes
        _write_cache({digest: dataclasses.asdict(layer) for digest, layer in layers.items()}, cache_file)
        _write_cache({key: _raw_files(*files) for key, files in images.items()}, images_file)
    own = tuple(layers[digest] for digest in digests)
    packed = [layer.compressed_bytes for layer in own if layer.compressed_bytes is not None]
    directories, wasted = images[image_id]
    return ImageSize(
        unpacked_bytes=sum(layer.unpacked_bytes for layer in own),
        compressed_bytes=sum(packed) if len(packed) == len(own) else None,
        layers=own,
        directories=directories,
        wasted_bytes=wasted,
    )


def survey(saved: BinaryIO, digests: Sequence[str], missing: set[str], step_sizes: Sequence[int]) -> Survey:
    """Read a `docker save` stream once; the layers that are missing are compressed to learn their size.

    `digests` are the layers from the lowest up, `step_sizes` the bytes of each step of the image's history.
    Raises ValueError where the size of a missing layer cannot be learned.
    """
    contents: dict[str, LayerContent] = {}
    documents: dict[str, bytes] = {}
    with tarfile.open(fileobj=saved, mode="r|") as archive:
        for member in archive:
            file = archive.extractfile(member) if member.isfile() else None
            if file is None:
                continue
            first = file.read(BLOCK_BYTES)
            if first[:1] in (b"{", b"["):
                documents[member.name] = first
            elif member.name.startswith("blobs/") or member.name.endswith("/layer.tar"):
                pack = not _known(member.name, digests, missing)
                contents[member.name] = read_layer(first, file, pack=pack)
    manifest = json.loads(documents["manifest.json"])[0]
    history = json.loads(documents[manifest["Config"]]).get("history", [])
    made = _steps_with_layers(history, step_sizes, len(digests))
    stack = [contents[path] for path in manifest["Layers"]]
    layers = {
        digest: Layer(shorten(command), _unpacked(content, size), content.packed_bytes, digest)
        for digest, content, (command, size) in zip(digests, stack, made, strict=True)
        if digest in missing
    }
    entries = [content.entries for content in stack if content.entries is not None]
    directories, wasted = summed(entries) if len(entries) == len(stack) else ((), None)
    return Survey(layers, directories, wasted)


def _unpacked(content: LayerContent, step_size: int | None) -> int:
    """A layer's size as its step of the history tells it, else the length of its archive."""
    size = content.unpacked_bytes if step_size is None else step_size
    if size is None:
        raise ValueError("a layer is kept as zstd, whose unpacked size is not known")
    return size


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


Files = tuple[tuple[Directory, ...], int | None]


def _layer(raw: Mapping[str, Any]) -> Layer:
    return Layer(**raw)


def _files(raw: Mapping[str, Any]) -> Files:
    return tuple(Directory(**one) for one in raw["directories"]), raw["wasted_bytes"]


def _raw_files(directories: tuple[Directory, ...], wasted: int | None) -> dict[str, Any]:
    return {"directories": [dataclasses.asdict(one) for one in directories], "wasted_bytes": wasted}


def _read_cache(file: Path, read: Callable[[Mapping[str, Any]], Value]) -> dict[str, Value]:
    """What was found before; nothing where the file is not there or not as we write it."""
    try:
        return {digest: read(raw) for digest, raw in json.loads(file.read_text(encoding="utf-8")).items()}
    except (OSError, ValueError, TypeError, AttributeError, KeyError):
        return {}


def _write_cache(content: Mapping[str, Any], file: Path) -> None:
    """Keep what was found; where it cannot be kept, it is found again another time."""
    fresh = file.with_name(f".{file.name}.{os.getpid()}")
    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        fresh.write_text(json.dumps(content, indent=1), encoding="utf-8")
        fresh.replace(file)
