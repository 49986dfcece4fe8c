"""The held-out set: scenes that neither training nor the image set has, with the reference's answers."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from modelkit.data import parallel_map
from modelkit.images import jpeg
from modelkit.manifest import INDEX_FILE, LABELS, read_json
from modelkit.reference import Reference, softmax
from modelkit.scenes import scene

# in a block of training's seeds, beyond all that a training takes of it, and beyond those of the image set
_FIRST_SEED = 7_500_000
_QUALITY = 57
_DIGITS = 6
# that of a run, unless somebody says another: what it tolerates may make either of two classes the likeliest
_TOLERANCE = 0.02


_SMALL, _LARGE = (288, 216), (1200, 800)


@dataclass(frozen=True, slots=True)
class HeldOutPicture:
    """A picture to paint: the class that it shows, its seed and its size in pixels."""

    file: str
    kind: str
    label: str
    seed: int
    width: int
    height: int


def make_held_out(model_dir: Path, out: Path, small: int, large: int) -> None:
    """Write the pictures and their manifest to `out`, and print how often the reference is right.

    A picture is in the set whatever the reference answers. Raises ModelkitError if the model cannot be read.
    """
    reference = Reference(model_dir)
    # with another number of threads the last bits of its answers are others
    torch.set_num_threads(1)
    out.mkdir(parents=True, exist_ok=True)
    if (out / INDEX_FILE).exists():
        for entry in read_json(out / INDEX_FILE)["requests"]:
            (out / entry["name"]).unlink(missing_ok=True)
    wanted = list(pictures(small, large))
    entries = []
    with parallel_map() as apply:
        painted = tqdm(apply(_paint, wanted), total=len(wanted), desc="held-out pictures", unit="img")
        for picture, content in zip(wanted, painted, strict=True):
            (out / picture.file).write_bytes(content)
            entries.append(_entry(picture, reference.logits([(picture.file, content)])[0]))
    (out / INDEX_FILE).write_text(_text(entries), "utf-8")
    right = sum(entry["expect"]["label"] == entry["expect"]["truth"] for entry in entries)
    total = sum(file.stat().st_size for file in out.iterdir())
    print(f"{len(entries)} pictures, {total / 1e6:.2f} MB with the manifest in {out}")
    print(f"the reference is right on {right}: accuracy {right / len(entries):.4f}")


def pictures(small: int, large: int) -> Iterator[HeldOutPicture]:
    """Yield so many pictures of either size, the classes in turn."""
    for number in range(small + large):
        kind, (width, height) = ("small", _SMALL) if number < small else ("large", _LARGE)
        label = LABELS[number % len(LABELS)]
        yield HeldOutPicture(f"{label}_{number:04}.jpg", kind, label, _FIRST_SEED + number, width, height)


def _paint(picture: HeldOutPicture) -> bytes:
    return jpeg(scene(picture.label, picture.seed, picture.width, picture.height), _QUALITY)


def _entry(picture: HeldOutPicture, logits: "np.ndarray[Any, Any]") -> dict[str, Any]:
    """The request of a picture in the manifest's form."""
    probabilities = softmax(logits)
    label = LABELS[int(logits.argmax())]
    named = dict(zip(LABELS, map(float, probabilities), strict=True))
    least = named[label] - 2 * _TOLERANCE
    near = [name for name, value in named.items() if name != label and value >= least]
    return {
        "name": picture.file,
        "class": picture.kind,
        "tensors": [{"name": "image", "datatype": "BYTES", "shape": [1], "file": picture.file}],
        "expect": {
            "compare": "label",
            "label": label,
            "probabilities": {name: round(value, _DIGITS) for name, value in named.items()},
            **({"near": near} if near else {}),
            "truth": picture.label,
        },
    }


def _text(entries: Sequence[dict[str, Any]]) -> str:
    """The manifest, a request a line: indented it would be three times as long."""
    lines = ",\n".join(json.dumps(entry, separators=(",", ":")) for entry in entries)
    return f'{{"schema_version":2,"title":"held-out weather scenes","requests":[\n{lines}\n]}}\n'
