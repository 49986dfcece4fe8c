"""The committed image set: scenes and edge cases, with the answers that the reference gives for them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from modelkit import edge_cases
from modelkit.encode import jpeg_of_size
from modelkit.errors import ModelkitError
from modelkit.manifest import INDEX_FILE, LABELS, file_entry, read_json, write_json
from modelkit.reference import Reference, softmax
from modelkit.scenes import scene

_FIRST_SEED = 7_000_000
_ATTEMPTS = 40
_SCENE_MARGIN = 0.3
_EDGE_MARGIN = 0.1
_VARIED_SIZES = (
    (480, 360),
    (640, 427),
    (300, 400),
    (256, 256),
    (500, 281),
    (224, 336),
    (768, 512),
    (225, 225),
)
_SMALL_SIZES = ((320, 240), (400, 300), (420, 280), (360, 240), (333, 250), (384, 256), (350, 263))
_SEED_CLASSES = ("rime", "snow", "dew", "hail", "frost", "rainbow")


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file to make: its class (None where there is no truth) and a maker of its bytes from a seed."""

    file: str
    kind: str
    label: str | None
    margin: float
    make: Callable[[int], bytes]


def make_image_set(model_dir: Path, out: Path) -> None:
    """Write the images and their manifest to `out`; raises ModelkitError where the model is too unsure."""
    reference = Reference(model_dir)
    out.mkdir(parents=True, exist_ok=True)
    index = out / INDEX_FILE
    if index.exists():
        for entry in read_json(index)["images"]:
            (out / entry["file"]).unlink(missing_ok=True)
    progress = tqdm(list(_plan()), desc="images", unit="img")
    entries = [_fulfil(wanted, reference, out, place * _ATTEMPTS) for place, wanted in enumerate(progress)]
    write_json(index, {"schema_version": 1, "labels": list(LABELS), "images": entries})
    total = sum(entry["bytes"] for entry in entries)
    print(f"{len(entries)} images, {total / 1e6:.2f} MB in {out}")


def _plan() -> Iterator[Wanted]:
    for label in _SEED_CLASSES:
        yield _scene_of(f"{label}_seed.jpg", "seed", label, (1200, 727), 230_000)
    for index, label in enumerate(LABELS):
        size = _SMALL_SIZES[index % len(_SMALL_SIZES)]
        yield _scene_of(f"{label}_small.jpg", "small", label, size, 20_000)
        for turn in range(3):
            size = _VARIED_SIZES[(index * 3 + turn) % len(_VARIED_SIZES)]
            target = size[0] * size[1] // 5
            yield _scene_of(f"{label}_{turn + 1:02}.jpg", "varied", label, size, target)
    for case in edge_cases.CASES:
        yield Wanted(case.file, "edge", case.label, _EDGE_MARGIN, case.make)


def _scene_of(file: str, kind: str, label: str, size: tuple[int, int], target_bytes: int) -> Wanted:
    def make(seed: int) -> bytes:
        return jpeg_of_size(scene(label, seed, *size), target_bytes, seed)

    return Wanted(file, kind, label, _SCENE_MARGIN, make)


def _fulfil(wanted: Wanted, reference: Reference, out: Path, offset: int) -> dict[str, Any]:
    """Try seeds from `offset` on until the reference is right and sure of it, then write the file."""
    for attempt in range(_ATTEMPTS):
        content = wanted.make(_FIRST_SEED + offset + attempt)
        logits = reference.logits([(wanted.file, content)])[0]
        probabilities = softmax(logits)
        second, first = np.sort(probabilities)[-2:]
        label = LABELS[int(logits.argmax())]
        right = wanted.label is None or wanted.kind == "edge" or label == wanted.label
        if right and first - second >= wanted.margin:
            break
    else:
        raise ModelkitError(
            f"no {wanted.file} in {_ATTEMPTS} seeds that the model is sure of: train it longer"
        )
    path = out / wanted.file
    path.write_bytes(content)
    width, height = edge_cases.stored_size(content)
    return {
        "file": wanted.file,
        **file_entry(path),
        "width": width,
        "height": height,
        "class": wanted.label,
        "kind": wanted.kind,
        "expected": {
            "label": label,
            "logits": [round(float(value), 5) for value in logits],
            "probabilities": [round(float(value), 6) for value in probabilities],
        },
    }
