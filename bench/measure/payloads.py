"""The image set as request bodies, each with the answer that it must get."""

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.errors import UsageError
from bench.model import Payload

# every service must take these; any other image goes as application/octet-stream
CONTENT_TYPES = {"jpg": "image/jpeg", "jpeg": "image/jpeg", "png": "image/png", "webp": "image/webp"}
REMEDY = "make the image set with `python -m modelkit images`, or name another with --images"


@dataclass(frozen=True, slots=True)
class PayloadImage:
    """One image of the set, its kind, and the answer expected for it."""

    file: str
    kind: str
    content: bytes
    label: str
    probabilities: Mapping[str, float]


def read_images(folder: Path) -> tuple[PayloadImage, ...]:
    """Read folder/manifest.json and its images; raises UsageError where there is nothing to send."""
    try:
        raw = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        entries: list[dict[str, Any]] = raw["images"]
        labels = [str(label) for label in raw["labels"]]
        images = tuple(_image(folder, entry, labels) for entry in entries)
    except FileNotFoundError as error:
        missing = Path(str(error.filename)).name
        raise UsageError(f"{folder.name}/ has no {missing}: {REMEDY}") from None
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(f"{folder.name}/manifest.json is not usable ({error!r}): {REMEDY}") from None
    if not images:
        raise UsageError(f"{folder.name}/manifest.json lists no image: {REMEDY}")
    return images


def make_payload(image: PayloadImage, encoding: str) -> Payload:
    """One image as a request body: "json" is {"image": base64}, "raw" the file itself."""
    if encoding == "json":
        body = b'{"image":"' + base64.b64encode(image.content) + b'"}'
        content_type = "application/json"
    elif encoding == "raw":
        body = image.content
        content_type = CONTENT_TYPES.get(image.file.rpartition(".")[2].lower(), "application/octet-stream")
    else:
        raise UsageError(f"unknown encoding {encoding}: there are json and raw")
    return Payload(image.file, image.kind, encoding, content_type, body, image.label, image.probabilities)


def by_class(
    images: Iterable[PayloadImage], classes: Iterable[str], encoding: str
) -> dict[str, tuple[Payload, ...]]:
    """The payloads of each class; raises UsageError for a class of which the set has no image."""
    images = tuple(images)
    chosen = {}
    for name in classes:
        payloads = tuple(make_payload(image, encoding) for image in images if image.kind == name)
        if not payloads:
            known = ", ".join(dict.fromkeys(image.kind for image in images))
            raise UsageError(f"no image of class {name}: the set has {known}")
        chosen[name] = payloads
    return chosen


def _image(folder: Path, entry: Mapping[str, Any], labels: Sequence[str]) -> PayloadImage:
    expected = entry["expected"]
    return PayloadImage(
        file=str(entry["file"]),
        kind=str(entry["kind"]),
        content=(folder / str(entry["file"])).read_bytes(),
        label=str(expected["label"]),
        probabilities=dict(zip(labels, map(float, expected["probabilities"]), strict=True)),
    )
