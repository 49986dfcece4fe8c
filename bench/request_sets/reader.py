"""Reads a request set from its folder: every fault is one line with its remedy, before anything is timed."""

import base64
import binascii
import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import orjson

from bench.errors import UsageError
from bench.model.expectations import (
    BytesExpectation,
    Expectation,
    JsonExpectation,
    LabelExpectation,
    TensorsExpectation,
    TopKExpectation,
)
from bench.model.from_outside import OWN_HEADERS, is_header, is_http_path, is_line, is_name
from bench.request_sets.comparators import NUMBERS, comparator_of
from bench.request_sets.encodings import ENCODINGS, encodings_for
from bench.request_sets.json_differences import compares_anything, fits, numbers_at, pointer_parts
from bench.request_sets.manifest import (
    EXACTLY_ONE,
    LEAST_WEIGHT,
    MANIFEST,
    MOST_WEIGHT,
    SCHEMA_VERSION,
    ManifestRequest,
    ManifestTensor,
    SetManifest,
)
from bench.request_sets.older_set import from_older
from bench.request_sets.request_set import (
    BYTES,
    CONTENT_TYPES,
    DTYPES,
    OCTETS,
    InputTensor,
    RequestSet,
    SetRequest,
    WholeBody,
    classes_of,
)
from bench.run_file.json_text import file_bytes, json_from

REMEDY = "make a set with `bench requests make`, or name another with --requests"
SCHEMA = "bench/request_sets/request_set.schema.json"
# samples have a number of two bytes for each
MOST_REQUESTS = 30_000
JSON_TYPE = "application/json"
# of files that are sent as they are
BODY_TYPES = {
    **CONTENT_TYPES,
    "json": JSON_TYPE,
    "msgpack": "application/msgpack",
    "txt": "text/plain",
    "bin": OCTETS,
}
HEADER_VALUE = re.compile(r"[\x20-\x7e]*")


class _BadRequestError(ValueError):
    """What is wrong with one request of a manifest, with its remedy."""


def read_request_set(folder: Path) -> RequestSet:
    """Read folder/manifest.json and the files that it names; raises UsageError for what cannot be sent."""
    return _read_set(folder, lambda: file_bytes(folder / MANIFEST))


def read_set_text(folder: Path, manifest: bytes) -> RequestSet:
    """Read this text as the manifest of the folder; raises UsageError as `read_request_set` does."""
    return _read_set(folder, lambda: manifest)


def _read_set(folder: Path, manifest: Callable[[], bytes]) -> RequestSet:
    name = folder.resolve().name
    try:
        raw = json_from(manifest())
        version = raw.get("schema_version") if isinstance(raw, dict) else None
        if isinstance(version, int) and version > SCHEMA_VERSION:
            raise _BadRequestError(
                f"it is of schema_version {version:.6g}, and this bench reads {SCHEMA_VERSION}: read it with "
                "the bench that wrote it, or a newer one"
            )
        if isinstance(raw, dict) and version != SCHEMA_VERSION and "images" in raw:
            return from_older(folder, raw)
        found = _read(folder, msgspec.convert(raw, SetManifest))
    except FileNotFoundError as error:
        missing = Path(str(error.filename)).name
        raise UsageError(f"{name}/ has no {missing}: {REMEDY}") from None
    except OSError as error:
        raise UsageError(f"a file of {name}/ cannot be read ({error.strerror}): {REMEDY}") from None
    except _BadRequestError as error:
        raise UsageError(f"{name}/{MANIFEST}: {error}") from None
    except msgspec.ValidationError as error:
        raise UsageError(
            f"{name}/{MANIFEST} is not a request set ({error}): {SCHEMA} says its form"
        ) from None
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise UsageError(f"{name}/{MANIFEST} is not usable ({error!r}): {REMEDY}") from None
    return found


def _read(folder: Path, manifest: SetManifest) -> RequestSet:
    if len(manifest.requests) > MOST_REQUESTS:
        raise _BadRequestError(f"{len(manifest.requests)} requests are too many: at most {MOST_REQUESTS}")
    twice = [name for name, times in Counter(one.name for one in manifest.requests).items() if times > 1]
    if twice:
        raise _BadRequestError(f"{len(twice)} names come twice, such as {twice[0]!r}: give each its own")
    requests = tuple(_request(folder, one) for one in manifest.requests)
    there = classes_of(requests)
    strange = [name for name in manifest.classes if name not in there]
    if strange:
        raise _BadRequestError(f"no request is of class {strange[0]}: the set has {', '.join(there)}")
    title = manifest.title or ""
    if title and not is_line(title):
        raise _BadRequestError("its title is not a plain line: shorten it")
    return RequestSet(requests, tuple(dict.fromkeys(manifest.classes)) or there, title)


def _request(folder: Path, entry: ManifestRequest) -> SetRequest:
    if not is_line(entry.name):
        raise _BadRequestError(f"the name {entry.name[:40]!r} is not a plain line: write another")
    try:
        made = SetRequest(
            name=entry.name,
            body=_body(folder, entry),
            expect=_expected(entry.expect),
            request_class=entry.request_class,
            weight=_weight(entry.weight),
            path=entry.path,
            method=entry.method,
            headers=_headers(entry.headers),
        )
        if not is_name(made.request_class):
            raise _BadRequestError(f"the class {made.request_class[:40]!r} is too long: shorten it")
        if made.path is not None and not is_http_path(made.path):
            raise _BadRequestError("its path is too long, or not ASCII without spaces: write it quoted")
        _require_fit(made)
    except _BadRequestError as error:
        raise _BadRequestError(f"{entry.name}: {error}") from None
    return made


def _body(folder: Path, entry: ManifestRequest) -> WholeBody | tuple[InputTensor, ...]:
    _require_one(entry, "ManifestRequest", "it")
    content_type = _content_type(entry.content_type)
    if entry.json_body is not msgspec.UNSET:
        return WholeBody(orjson.dumps(entry.json_body), content_type or JSON_TYPE)
    if isinstance(entry.file, str):
        usual = BODY_TYPES.get(_suffix(entry.file), OCTETS)
        return WholeBody(_file(folder, entry.file), content_type or usual)
    if isinstance(entry.tensors, msgspec.UnsetType):
        raise _BadRequestError("it has no body: give it one of file, json and tensors")
    if entry.content_type is not None:
        raise _BadRequestError("its content_type is of bodies that are sent as they are: leave it out")
    tensors = tuple(_tensor(folder, one) for one in entry.tensors)
    names = [one.name for one in tensors]
    if len(set(names)) < len(names):
        raise _BadRequestError("two inputs have the same name: name each as the model does")
    if len({one.shape[0] for one in tensors}) > 1:
        raise _BadRequestError("its inputs differ in their first dimension, the batch's: make them equal")
    return tensors


def _require_one(entry: msgspec.Struct, struct: str, who: str) -> None:
    """Raise if the entry does not have exactly one of the fields that exclude each other."""
    given = msgspec.to_builtins(entry)
    fields = EXACTLY_ONE[struct]
    if sum(given.get(name) is not None or (name == "json" and name in given) for name in fields) != 1:
        raise _BadRequestError(f"{who} has none or several of {', '.join(fields)}: give exactly one")


def _tensor(folder: Path, entry: ManifestTensor) -> InputTensor:
    if not is_line(entry.name) or '"' in entry.name or not entry.name.isascii():
        raise _BadRequestError(
            f"the input's name {entry.name[:40]!r} is not a plain word: name the model's input"
        )
    if not entry.shape or entry.shape[0] < 1:
        raise _BadRequestError(f"{entry.name} has no batch: let its shape begin with 1 for one item")
    _require_one(entry, "ManifestTensor", f"the input {entry.name}")
    suffix = ""
    if isinstance(entry.file, str):
        suffix = _suffix(entry.file)
        data = _from_file(folder, entry, entry.file)
    elif entry.datatype == BYTES:
        data = _texts(entry)
    else:
        data = numbers(entry.name, entry.datatype, entry.shape, entry.data or ())
    text = entry.datatype == BYTES and not suffix
    return InputTensor(entry.name, entry.datatype, entry.shape, data, text=text, suffix=suffix)


def _texts(entry: ManifestTensor) -> tuple[bytes, ...]:
    data = entry.data or ()
    if any(type(one) is not str for one in data):
        raise _BadRequestError(
            f"{entry.name} is BYTES and has an element that is not text: write it in quotes"
        )
    if len(entry.shape) != 1:
        raise _BadRequestError(
            f"{entry.name} is BYTES of shape {list(entry.shape)}: one element an item can be sent, so let "
            "its shape be [1] for one item"
        )
    if len(data) != entry.shape[0]:
        raise _wrong_count(entry.name, len(data), entry.shape)
    return tuple(str(one).encode() for one in data)


def _from_file(folder: Path, entry: ManifestTensor, file: str) -> Any:
    content = _file(folder, file)
    if entry.datatype == BYTES:
        if entry.shape != (1,):
            raise _BadRequestError(f"{entry.name} takes a whole file: let its shape be [1]")
        return (content,)
    if _suffix(file) != "npy":
        raise _BadRequestError(f"{entry.name} takes numbers from {file}: write an .npy file, or data")
    try:
        array = np.load(folder / file, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise _BadRequestError(f"{file} is not an .npy file ({error}): write it with numpy.save") from None
    if array.shape != entry.shape or array.dtype != DTYPES[entry.datatype].newbyteorder("="):
        has = f"{array.dtype} of shape {list(array.shape)}"
        wanted = f"{entry.datatype} of shape {list(entry.shape)}"
        raise _BadRequestError(f"{file} holds {has} and {entry.name} is {wanted}: let both be the same")
    return np.ascontiguousarray(array, DTYPES[entry.datatype])


def numbers(name: str, datatype: str, shape: Sequence[int], data: Sequence[Any]) -> Any:
    """The numbers as an array of this datatype and shape; raises ValueError if they are not such numbers."""
    if len(data) != math.prod(shape):
        raise _wrong_count(name, len(data), shape)
    dtype = DTYPES[datatype]
    if not set(map(type, data)) <= NUMBERS[dtype.kind]:
        raise _BadRequestError(f"{name} is {datatype} and has an element of another kind: correct its data")
    try:
        with np.errstate(over="raise"):
            return np.array(data, dtype).reshape(shape)
    except (OverflowError, FloatingPointError):
        raise _BadRequestError(
            f"{name} has a number that is too large for {datatype}: choose a wider datatype"
        ) from None


def _wrong_count(name: str, count: int, shape: Sequence[int]) -> _BadRequestError:
    fits = f"shape {list(shape)} has {math.prod(shape)}"
    return _BadRequestError(f"{name} has {count} elements where its {fits}: correct one of the two")


def _file(folder: Path, file: str) -> bytes:
    if not is_line(file):
        raise _BadRequestError("the name of its file is not a plain line: rename the file")
    if Path(file).is_absolute() or ".." in Path(file).parts:
        raise _BadRequestError(f"{file} does not lie beside the manifest: copy it there")
    if not (folder / file).resolve().is_relative_to(folder.resolve()):
        raise _BadRequestError(f"{file} leads out of the folder: copy the file there")
    return file_bytes(folder / file)


def _suffix(file: str) -> str:
    return Path(file).suffix.lower().removeprefix(".")


def _weight(weight: float) -> float:
    if not LEAST_WEIGHT <= weight <= MOST_WEIGHT:
        raise _BadRequestError(f"its weight {weight:g} is not from 0.000001 to 1000000: choose another")
    return weight


def _content_type(content_type: str | None) -> str | None:
    if content_type is not None and not (HEADER_VALUE.fullmatch(content_type) and content_type.strip()):
        raise _BadRequestError("its content type is not a line of ASCII: write one such as image/png")
    return content_type


def _headers(headers: Mapping[str, str]) -> Mapping[str, str]:
    twice = [name for name, times in Counter(name.lower() for name in headers).items() if times > 1]
    if twice:
        raise _BadRequestError(f"the header {twice[0][:40]!r} comes twice: leave one of them out")
    for name, value in headers.items():
        if not is_header(name) or not HEADER_VALUE.fullmatch(value):
            raise _BadRequestError(f"the header {name[:40]!r} is not a line of ASCII: correct it")
        if name.lower() in OWN_HEADERS:
            raise _BadRequestError(f"the header {name} is not a request's to set: leave it out")
    return dict(headers)


def _require_fit(request: SetRequest) -> None:
    """Raise if no encoding of the request has answers that hold what is compared."""
    comparator = comparator_of(request.expect)
    if not any(ENCODINGS[one].reply in comparator.forms for one in encodings_for(request, tuple(ENCODINGS))):
        raise _BadRequestError(f"no answer to it holds what {comparator.name} compares: choose another")


def _expected(expect: Expectation) -> Expectation:
    """The expectation, if it can be met at all; logits are left out, as no answer is compared with them."""
    if isinstance(expect, LabelExpectation):
        if not is_line(expect.label) or not all(map(is_line, expect.probabilities)):
            raise _BadRequestError("a label is not a plain line: rename the class")
        for label in (expect.label, *expect.near):
            if label not in expect.probabilities:
                raise _BadRequestError(f"its probabilities lack its label, {label}: add it")
        if expect.truth is not None and expect.truth not in expect.probabilities:
            raise _BadRequestError("its truth is not one of its probabilities' classes: correct it")
        return msgspec.structs.replace(expect, logits=None)
    if isinstance(expect, TensorsExpectation):
        _require_tensors(expect)
    if isinstance(expect, JsonExpectation):
        _require_pointers(expect)
    if isinstance(expect, BytesExpectation):
        _require_one(expect, "BytesExpectation", "what it expects")
        try:
            base64.b64decode(expect.base64 or "", validate=True)
        except binascii.Error:
            raise _BadRequestError("what it expects is not base64: correct it, or write text") from None
    if isinstance(expect, TopKExpectation) and len(set(expect.labels)) != expect.k:
        raise _BadRequestError(
            f"it names {len(set(expect.labels))} labels for the {expect.k} best: name {expect.k}"
        )
    return expect


def _require_pointers(expect: JsonExpectation) -> None:
    try:
        ignored = [pointer_parts(pointer) for pointer in expect.ignore]
        tolerated = {pointer: pointer_parts(pointer) for pointer in expect.tolerances}
    except ValueError as error:
        raise _BadRequestError(str(error)) from None
    if not compares_anything(expect.value, ignored):
        raise _BadRequestError(
            "what it ignores is its whole answer: ignore less, or expect `unchecked`, which says so"
        )
    numbers_there = list(numbers_at(expect.value)) if tolerated else ()
    for pointer, path in tolerated.items():
        if not any(fits(path, place) for place in numbers_there):
            raise _BadRequestError(
                f"the tolerance {pointer!r} fits no number of its value: correct the path, in which * stands "
                "for any key or index"
            )


def _require_tensors(expect: TensorsExpectation) -> None:
    names = [one.name for one in expect.tensors]
    if len(set(names)) < len(names):
        raise _BadRequestError("two expected outputs have the same name: name each as the model does")
    for one in expect.tensors:
        if not is_line(one.name):
            raise _BadRequestError(
                f"the output's name {one.name[:40]!r} is not a plain line: name the model's output"
            )
        if not one.shape:
            raise _BadRequestError(f"{one.name} has no batch: let its shape begin with 1 for one item")
        if one.datatype != BYTES:
            numbers(one.name, one.datatype, one.shape, one.data)
        elif any(type(element) is not str for element in one.data):
            raise _BadRequestError(
                f"{one.name} is BYTES and has an element that is not text: write it in quotes"
            )
        elif len(one.data) != math.prod(one.shape):
            raise _wrong_count(one.name, len(one.data), one.shape)
