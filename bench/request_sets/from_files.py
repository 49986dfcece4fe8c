"""Requests made of files: a folder of pictures, lines of JSON, or NumPy arrays."""

import codecs
import io
import warnings
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from bench.errors import UsageError
from bench.model.expectations import NoExpectation
from bench.model.from_outside import MOST_LINE, NAME_RULE, is_line, is_name
from bench.request_sets.draft import (
    OF_DTYPE,
    DraftSet,
    TensorPart,
    file_tensor,
    number_tensor,
    of_tensors,
    text_tensor,
)
from bench.request_sets.manifest import MANIFEST, USUAL_CLASS, ManifestRequest
from bench.run_file.json_text import file_bytes, json_from

PICTURES = {".jpg", ".jpeg", ".png", ".webp"}
FORMATS = ("JPEG", "PNG", "WEBP")
USUAL_INPUT = "image"
# of all arrays of a file together
MOST_ARRAY_BYTES = 1 << 30
SHOWN = 3


@dataclass(frozen=True, slots=True)
class FromFiles:
    """What requests are made of, the input that a picture is, and the class of what has none of its own."""

    source: Path
    input_name: str = USUAL_INPUT
    request_class: str = USUAL_CLASS


@dataclass(frozen=True, slots=True)
class MadeOfFiles:
    """The set, and in a line what was left out of it, empty if nothing was."""

    draft: DraftSet
    left_out: str = ""


def made_of(asked: FromFiles) -> MadeOfFiles:
    """The set of a folder, of an .npz file or of lines of JSON; raises UsageError if it makes none."""
    source = asked.source
    try:
        if source.is_dir():
            return _of_folder(asked)
        make = KINDS.get(source.suffix.lower())
        if make is None and source.exists():
            raise UsageError(
                f"{source.name} is neither a folder of pictures, lines of JSON (.jsonl) nor arrays (.npz): "
                "name one of these"
            )
        if make is None:
            raise UsageError(f"there is no {source.name}: name a folder of pictures, a .jsonl or a .npz file")
        return MadeOfFiles(make(asked))
    except FileNotFoundError as error:
        missing = Path(str(error.filename)).name
        raise UsageError(f"there is no {missing}: name files that are there") from None
    except OSError as error:
        why = error.strerror or str(error)
        raise UsageError(f"{source.name} cannot be read ({why}): name files that you may read") from None


def _of_folder(asked: FromFiles) -> MadeOfFiles:
    """A request for each picture; those in a folder of the folder have the class of that folder's name."""
    found = sorted(path for path in asked.source.rglob("*") if not path.is_dir())
    seen = {path: path.relative_to(asked.source).as_posix() for path in found}
    seen = {path: name for path, name in seen.items() if not f"/{name}".count("/.")}
    pictures = {path: name for path, name in seen.items() if path.suffix.lower() in PICTURES}
    if not pictures:
        raise UsageError(
            f"{asked.source.name or '.'}/ has no picture: put JPEG, PNG or WebP files there (.jpg, .jpeg, "
            ".png, .webp)"
        )
    requests, files = [], dict[str, bytes]()
    for path, name in pictures.items():
        content = file_bytes(path)
        _require_picture(name, content)
        part = file_tensor(asked.input_name, name, content)
        files.update(part.files)
        requests.append(of_tensors(name, _class_of(name, asked.request_class), [part]))
    others = [path.name for path in seen if path not in pictures]
    return MadeOfFiles(DraftSet(tuple(requests), files), _left_out(others))


def _left_out(names: Sequence[str]) -> str:
    if not names:
        return ""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"left out, since they are not pictures: {', '.join(names[:SHOWN])}{more}"


def _class_of(name: str, usual: str) -> str:
    """The folder that a picture lies in, of those in the folder of all."""
    folder, slash, _ = name.partition("/")
    if not slash:
        return usual
    if not is_name(folder):
        raise UsageError(f"the folder {folder[:MOST_LINE]!r} cannot name a class: {NAME_RULE}")
    return folder


def _require_picture(name: str, content: bytes) -> None:
    """Raise UsageError unless the content decodes, to its end, as a picture that every service takes."""
    if name.partition("/")[0] == MANIFEST:
        raise UsageError(f"the folder {MANIFEST} has the name of the set's manifest: rename it")
    if not is_line(name):
        raise UsageError(
            f"{name[:MOST_LINE]!r} cannot name a request: give the file a shorter, printable name"
        )
    try:
        with warnings.catch_warnings():
            # a large picture is the service's to refuse
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(content), formats=FORMATS) as image:
                image.load()
    except UnidentifiedImageError:
        raise UsageError(f"{name} is no JPEG, PNG or WebP: repair it, or take it away") from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UsageError(
            f"{name} is not a whole JPEG, PNG or WebP ({str(error)[:80]}): repair it, or take it away"
        ) from None


def _of_lines(asked: FromFiles) -> DraftSet:
    """A request for each line that is not empty, named after its number."""
    requests = []
    # some editors put a mark before the first line
    content = file_bytes(asked.source).removeprefix(codecs.BOM_UTF8)
    for number, line in enumerate(content.split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            body = json_from(line)
        except ValueError as error:
            raise UsageError(
                f"line {number} of {asked.source.name} is not JSON ({str(error)[:80]}): write one request's "
                "body on each line"
            ) from None
        requests.append(
            ManifestRequest(
                name=f"line-{number}",
                request_class=asked.request_class,
                json_body=body,
                expect=NoExpectation(),
            )
        )
    if not requests:
        raise UsageError(f"{asked.source.name} has no line: write one request's body, in JSON, on each line")
    return DraftSet(tuple(requests))


def _of_arrays(asked: FromFiles) -> DraftSet:
    """A request for each place on the arrays' first axis; the arrays' names are the inputs'."""
    arrays = _arrays(asked.source)
    counts = {name: len(values) for name, values in arrays.items()}
    if len(set(counts.values())) > 1:
        shown = ", ".join(f"{name} {count}" for name, count in counts.items())
        raise UsageError(
            f"the arrays of {asked.source.name} are of different lengths, {shown}: the first axis of each is "
            "the request"
        )
    requests, files = [], dict[str, bytes]()
    for number in range(next(iter(counts.values()))):
        parts = [
            part_of(name, values[number : number + 1], f"{place}-{number:04d}")
            for place, (name, values) in enumerate(arrays.items())
        ]
        for part in parts:
            files.update(part.files)
        requests.append(of_tensors(f"row-{number}", asked.request_class, parts))
    return DraftSet(tuple(requests), files)


def part_of(name: str, values: NDArray[Any], file: str) -> TensorPart:
    """One request's part of an array, of shape [1, ...], as an input."""
    if values.dtype.kind not in "US":
        return number_tensor(name, values, file)
    try:
        texts = [one if isinstance(one, str) else one.decode() for one in values.ravel().tolist()]
        "".join(texts).encode()
    except UnicodeError:
        raise UsageError(
            f"{name} holds bytes that are not text in UTF-8: send bytes as files, a request for each"
        ) from None
    return text_tensor(name, texts, values.shape)


def _arrays(source: Path) -> dict[str, NDArray[Any]]:
    """The arrays of an .npz file by name; nothing is ever unpickled."""
    content = file_bytes(source)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            unpacked = sum(part.file_size for part in packed.infolist())
        if unpacked > MOST_ARRAY_BYTES:
            raise UsageError(
                f"the arrays of {source.name} take {unpacked} bytes: divide them, {MOST_ARRAY_BYTES} may be"
            )
        with np.load(io.BytesIO(content), allow_pickle=False) as stored:
            arrays = {name: _array(source.name, name, stored) for name in stored.files}
    except (zipfile.BadZipFile, ValueError, EOFError, KeyError, SyntaxError) as error:
        raise UsageError(
            f"{source.name} holds no arrays that can be read ({str(error)[:80]}): write it with numpy.savez"
        ) from None
    if not arrays or not all(len(values) for values in arrays.values()):
        raise UsageError(f"{source.name} holds no request: write arrays whose first axis is the request")
    return arrays


def _array(file: str, name: str, stored: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
    if not is_line(name):
        raise UsageError(f"{file} has an array named {name[:MOST_LINE]!r}: name it as the model's input")
    try:
        values = stored[name]
    except ValueError as error:
        if "pickle" not in str(error):
            raise
        raise UsageError(
            f"{file}: {name} holds Python objects, which are never unpickled: save it as numbers or text"
        ) from None
    if not isinstance(values, np.ndarray):
        raise UsageError(f"{file}: {name[:MOST_LINE]} is not an array: write it with numpy.savez")
    if values.dtype.kind not in "US" and values.dtype.newbyteorder("=") not in OF_DTYPE:
        raise UsageError(
            f"{file}: {name} is {values.dtype}, which no input can be: save it as numbers, flags or text"
        )
    if values.ndim == 0:
        raise UsageError(f"{file}: {name} is a single value: write arrays whose first axis is the request")
    return values


KINDS: Mapping[str, Callable[[FromFiles], DraftSet]] = {
    ".jsonl": _of_lines,
    ".ndjson": _of_lines,
    ".npz": _of_arrays,
}
