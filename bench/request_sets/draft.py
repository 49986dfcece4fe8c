"""A request set that is being made: its requests, the files beside the manifest, and how both are written."""

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import numpy as np
from numpy.typing import NDArray

from bench.errors import UsageError
from bench.model.expectations import NoExpectation
from bench.request_sets.manifest import (
    MANIFEST,
    SCHEMA_VERSION,
    ManifestRequest,
    ManifestTensor,
    SetManifest,
    manifest_to_json,
)
from bench.request_sets.reader import read_request_set
from bench.request_sets.request_set import BYTES, DTYPES, RequestSet

# tensors of more elements lie in a file of their own, so that people can read the manifest
MOST_INLINE = 256
# of a place where nothing may be written, whatever it is
PLACE_FAULTS = (PermissionError, NotADirectoryError, FileExistsError)
OF_DTYPE = {dtype.newbyteorder("="): datatype for datatype, dtype in DTYPES.items()}


@dataclass(frozen=True, slots=True)
class DraftSet:
    """Requests, and the content of each file that they name, by its path beside the manifest."""

    requests: tuple[ManifestRequest, ...]
    files: Mapping[str, bytes] = field(default_factory=dict)
    title: str | None = None

    def classes(self) -> dict[str, int]:
        """How many requests each class has, in the order in which they first appear."""
        counts: dict[str, int] = {}
        for request in self.requests:
            counts[request.request_class] = counts.get(request.request_class, 0) + 1
        return counts


@dataclass(frozen=True, slots=True)
class TensorPart:
    """One input of a request, and the files that it is in, if any."""

    tensor: ManifestTensor
    files: Mapping[str, bytes] = field(default_factory=dict)


def number_tensor(name: str, values: NDArray[np.generic], file: str) -> TensorPart:
    """Numbers as an input: in the manifest if they are few, else in `file`, without its suffix, as .npy."""
    native = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("=")).reshape(values.shape)
    datatype = OF_DTYPE[native.dtype]
    flat = native.ravel()
    # JSON has no infinities and no NaN
    if flat.size <= MOST_INLINE and np.isfinite(flat).all():
        # NumPy writes a short float in the fewest digits that tell it from its neighbours
        data = [float(str(value)) for value in flat] if flat.dtype.kind == "f" else flat.tolist()
        return TensorPart(ManifestTensor(name, datatype, native.shape, data=tuple(data)))
    written = BytesIO()
    np.save(written, native, allow_pickle=False)
    path = f"{file}.npy"
    return TensorPart(ManifestTensor(name, datatype, native.shape, file=path), {path: written.getvalue()})


def text_tensor(name: str, texts: Sequence[str], shape: Sequence[int]) -> TensorPart:
    """Texts as an input of BYTES."""
    return TensorPart(ManifestTensor(name, BYTES, tuple(shape), data=tuple(texts)))


def file_tensor(name: str, file: str, content: bytes, shape: Sequence[int] = (1,)) -> TensorPart:
    """One element of BYTES that lies in a file of its own."""
    return TensorPart(ManifestTensor(name, BYTES, tuple(shape), file=file), {file: content})


def of_tensors(name: str, request_class: str, parts: Sequence[TensorPart]) -> ManifestRequest:
    """A request with these inputs, whose answers nothing checks yet."""
    return ManifestRequest(
        name=name,
        request_class=request_class,
        tensors=tuple(part.tensor for part in parts),
        expect=NoExpectation(),
    )


def require_place(folder: Path, *, force: bool) -> None:
    """Raise UsageError if a set may not be written there.

    Only a folder that holds a request set and nothing else is ever replaced, and only by force.
    """
    shown = f"{folder.name or folder}/"
    try:
        if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
            return
        if not folder.is_dir() or not (folder / MANIFEST).is_file():
            raise UsageError(f"{shown} is there and holds no request set: name another folder with --out")
        if not force:
            raise UsageError(
                f"{shown} holds a request set already: replace it with --force, or name another --out"
            )
        strange = sorted(_files(folder) - _named(folder) - {MANIFEST})
    except OSError as error:
        raise UsageError(f"{shown} cannot be read ({error.strerror}): name another --out") from None
    if strange:
        raise UsageError(
            f"{shown} holds {strange[0]} beside its request set, which --force would remove: move it away, "
            "or name another --out"
        )


def read_draft(draft: DraftSet) -> RequestSet:
    """The set as whoever sends its requests reads it; raises UsageError if it could not be read."""
    with TemporaryDirectory(prefix="bench-requests-") as scratch:
        folder = Path(scratch) / "requests"
        _write(draft, folder)
        return read_request_set(folder)


def write_draft(draft: DraftSet, folder: Path, *, force: bool) -> None:
    """Write the set in one step: the folder appears whole, or is as it was.

    Raises UsageError as `require_place` does, or if nothing may be written there; OSError for a full disk.
    """
    require_place(folder, force=force)
    folder = folder.absolute()
    try:
        _replace(draft, folder)
    except PLACE_FAULTS as error:
        raise UsageError(f"{folder.name}/ cannot be written ({error.strerror}): name another --out") from None


def _replace(draft: DraftSet, folder: Path) -> None:
    fresh, old = (folder.with_name(f".{folder.name}.{os.getpid()}.{what}") for what in ("new", "old"))
    try:
        _write(draft, fresh)
        if folder.exists():
            folder.replace(old)
        try:
            fresh.replace(folder)
        except OSError:
            if old.exists():
                old.replace(folder)
            raise
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    shutil.rmtree(old, ignore_errors=True)


def _write(draft: DraftSet, folder: Path) -> None:
    """Write the files and the manifest into a new folder."""
    folder.mkdir(parents=True)
    manifest = SetManifest(schema_version=SCHEMA_VERSION, title=draft.title, requests=draft.requests)
    for name, content in {**draft.files, MANIFEST: manifest_to_json(manifest)}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def _files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}


def _named(folder: Path) -> set[str]:
    """The files that the folder's manifest names; of one that cannot be read, none."""
    try:
        manifest = msgspec.json.decode((folder / MANIFEST).read_bytes())
    except (msgspec.DecodeError, RecursionError):
        return set()
    return set(_file_fields(manifest))


def _file_fields(node: object) -> list[str]:
    """What stands in a field `file` anywhere in a manifest, of whatever schema."""
    found: list[str] = []
    rest = [node]
    while rest:
        one = rest.pop()
        if isinstance(one, dict):
            found += [value for key, value in one.items() if key == "file" and isinstance(value, str)]
            rest += one.values()
        elif isinstance(one, list):
            rest += one
    return found
