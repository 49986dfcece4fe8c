"""Image sets of the older form (schema_version 1), which earlier commits have: labels and images."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.model.expectations import LabelExpectation
from bench.model.from_outside import is_line, is_name
from bench.request_sets.request_set import BYTES, InputTensor, RequestSet, SetRequest, classes_of
from bench.run_file.json_text import file_bytes

IMAGE = "image"
# these were timed unless somebody named others
USUAL_KINDS = ("seed", "small")


def from_older(folder: Path, raw: Mapping[str, Any]) -> RequestSet:
    """The set whose manifest this is; raises OSError, KeyError, TypeError, ValueError or AttributeError."""
    entries: list[dict[str, Any]] = raw["images"]
    labels = [str(label) for label in raw["labels"]]
    requests = tuple(_request(folder, entry, labels) for entry in entries)
    if not requests:
        raise ValueError("it lists no image")
    there = classes_of(requests)
    return RequestSet(requests, tuple(name for name in USUAL_KINDS if name in there) or there)


def _request(folder: Path, entry: Mapping[str, Any], labels: Sequence[str]) -> SetRequest:
    expected, file, kind, label = entry["expected"], entry["file"], entry["kind"], entry["expected"]["label"]
    if not (is_name(kind) and is_line(file) and is_line(label)):
        raise ValueError(f"a file, kind or label of {[file, kind, label]} is not a plain name")
    if Path(file).is_absolute() or ".." in Path(file).parts:
        raise ValueError(f"{file!r} does not lie beside the manifest")
    probabilities = dict(zip(labels, map(float, expected["probabilities"]), strict=True))
    return SetRequest(
        name=file,
        body=image_input(file, file_bytes(folder / file)),
        expect=LabelExpectation(label, probabilities),
        request_class=kind,
    )


def image_input(file: str, content: bytes) -> tuple[InputTensor, ...]:
    """A picture as the only input, in the name that the older form takes for granted."""
    suffix = Path(file).suffix.lower().removeprefix(".")
    return (InputTensor(IMAGE, BYTES, (1,), (content,), suffix=suffix),)
