"""The committed image set: scenes and edge cases, with the reference's answers to them."""

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tqdm import tqdm

from modelkit import ModelkitError
from modelkit.images import jpeg_of_size
from modelkit.manifest import INDEX_FILE, LABELS, read_json, write_json
from modelkit.reference import Reference, softmax
from modelkit.scenes import scene

_ORIENTATION_TAG = 0x0112


@dataclass(frozen=True, slots=True)
class EdgeCase:
    """A file's name, its true class (None if it shows nothing) and the function that makes its bytes."""

    file: str
    label: str | None
    make: Callable[[int], bytes]


def _encoded(image: Image.Image, container: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, container, **options)
    return buffer.getvalue()


def _converted(
    label: str, mode: str, container: str, size: tuple[int, int], **options: Any
) -> Callable[[int], bytes]:
    return lambda seed: _encoded(scene(label, seed, *size).convert(mode), container, **options)


def _rotated(label: str, orientation: int) -> Callable[[int], bytes]:
    """Return the maker of a scene that is stored rotated, with the EXIF tag that says how to turn it."""
    undo = {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}

    def make(seed: int) -> bytes:
        exif = Image.Exif()
        exif[_ORIENTATION_TAG] = orientation
        stored = scene(label, seed, 400, 250).transpose(undo[orientation])
        return _encoded(stored, "JPEG", quality=85, exif=exif)

    return make


def _deep_grey(seed: int) -> bytes:
    levels = np.asarray(scene("lightning", seed, 280, 210).convert("L")).astype(np.uint16)
    return _encoded(Image.fromarray(levels * 257), "PNG")


def _see_through(mode: str) -> Callable[[int], bytes]:
    """Return the maker of a scene whose alpha runs from clear to solid; the reference ignores alpha."""

    def make(seed: int) -> bytes:
        image = scene("rainbow", seed, 260, 200)
        ramp = np.tile(np.linspace(0, 255, 260).astype(np.uint8), (200, 1))
        image = image.convert(mode.rstrip("A")) if mode == "LA" else image
        image.putalpha(Image.fromarray(ramp))
        return _encoded(image, "PNG")

    return make


def _palette(transparent: bool) -> Callable[[int], bytes]:
    def make(seed: int) -> bytes:
        image = scene("sandstorm", seed, 300, 225).quantize(64)
        return _encoded(image, "PNG", **({"transparency": 3} if transparent else {}))

    return make


def _flat(size: tuple[int, int]) -> Callable[[int], bytes]:
    """Return the maker of a picture with a few pixels of random colours."""

    def make(seed: int) -> bytes:
        levels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), np.uint8)
        return _encoded(Image.fromarray(levels), "PNG")

    return make


CASES = (
    EdgeCase("edge_grey.jpg", "snow", _converted("snow", "L", "JPEG", (360, 270), quality=85)),
    EdgeCase("edge_cmyk.jpg", "rain", _converted("rain", "CMYK", "JPEG", (320, 240), quality=85)),
    EdgeCase("edge_alpha.png", "rainbow", _see_through("RGBA")),
    EdgeCase("edge_grey_alpha.png", "rainbow", _see_through("LA")),
    EdgeCase("edge_palette.png", "sandstorm", _palette(transparent=False)),
    EdgeCase("edge_palette_transparent.png", "sandstorm", _palette(transparent=True)),
    EdgeCase("edge_bilevel.png", "lightning", _converted("lightning", "1", "PNG", (300, 200))),
    EdgeCase("edge_16bit.png", "lightning", _deep_grey),
    EdgeCase("edge_exif_3.jpg", "rime", _rotated("rime", 3)),
    EdgeCase("edge_exif_6.jpg", "glaze", _rotated("glaze", 6)),
    EdgeCase("edge_exif_8.jpg", "snow", _rotated("snow", 8)),
    EdgeCase("edge_progressive.jpg", "dew", _converted("dew", "RGB", "JPEG", (480, 320), progressive=True)),
    EdgeCase("edge_no_subsampling.jpg", "hail", _converted("hail", "RGB", "JPEG", (331, 247), subsampling=0)),
    EdgeCase("edge_webp.webp", "fogsmog", _converted("fogsmog", "RGB", "WEBP", (420, 280), quality=80)),
    EdgeCase("edge_bmp.bmp", "frost", _converted("frost", "RGB", "BMP", (160, 120))),
    EdgeCase("edge_large.jpg", "frost", _converted("frost", "RGB", "JPEG", (3000, 2000), quality=40)),
    EdgeCase("edge_exact.png", "fogsmog", _converted("fogsmog", "RGB", "PNG", (256, 256))),
    EdgeCase("edge_257.png", "sandstorm", _converted("sandstorm", "RGB", "PNG", (257, 259))),
    EdgeCase("edge_tiny_8x8.png", None, _flat((8, 8))),
    EdgeCase("edge_tiny_1x1.png", None, _flat((1, 1))),
    EdgeCase("edge_tiny_2x1.png", None, _flat((2, 1))),
    EdgeCase("edge_wide.png", None, _converted("rain", "RGB", "PNG", (1000, 20))),
    EdgeCase("edge_tall.jpg", None, _converted("hail", "RGB", "JPEG", (20, 1000), quality=90)),
)


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
# what a run times unless somebody names other classes
_TIMED = ("seed", "small")
_SEED_CLASSES = ("rime", "snow", "dew", "hail", "frost", "rainbow")


@dataclass(frozen=True, slots=True)
class WantedImage:
    """A file to make: its class (None if there is no true class) and a maker of its bytes from a seed."""

    file: str
    kind: str
    label: str | None
    margin: float
    make: Callable[[int], bytes]


def make_image_set(model_dir: Path, out: Path) -> None:
    """Write the images and their manifest to `out`; raises ModelkitError if the model is too unsure."""
    reference = Reference(model_dir)
    out.mkdir(parents=True, exist_ok=True)
    index = out / INDEX_FILE
    if index.exists():
        for file in listed_images(read_json(index)):
            (out / file).unlink(missing_ok=True)
    progress = tqdm(list(_plan()), desc="images", unit="img")
    entries = [_fulfil(wanted, reference, out, place * _ATTEMPTS) for place, wanted in enumerate(progress)]
    write_json(
        index, {"schema_version": 2, "title": "weather scenes", "classes": list(_TIMED), "requests": entries}
    )
    total = sum((out / entry["name"]).stat().st_size for entry in entries)
    print(f"{len(entries)} images, {total / 1e6:.2f} MB in {out}")


def listed_images(manifest: Any) -> list[str]:
    """The files of a set's images, which their requests are named after, also of a set of the older form."""
    if "images" in manifest:
        return [entry["file"] for entry in manifest["images"]]
    return [entry["name"] for entry in manifest["requests"]]


def _plan() -> Iterator[WantedImage]:
    for label in _SEED_CLASSES:
        yield _scene_of(f"{label}_seed.jpg", "seed", label, (1200, 727), 230_000)
    for index, label in enumerate(LABELS):
        size = _SMALL_SIZES[index % len(_SMALL_SIZES)]
        yield _scene_of(f"{label}_small.jpg", "small", label, size, 20_000)
        for turn in range(3):
            size = _VARIED_SIZES[(index * 3 + turn) % len(_VARIED_SIZES)]
            target = size[0] * size[1] // 5
            yield _scene_of(f"{label}_{turn + 1:02}.jpg", "varied", label, size, target)
    for case in CASES:
        yield WantedImage(case.file, "edge", case.label, _EDGE_MARGIN, case.make)


def _scene_of(file: str, kind: str, label: str, size: tuple[int, int], target_bytes: int) -> WantedImage:
    def make(seed: int) -> bytes:
        return jpeg_of_size(scene(label, seed, *size), target_bytes, seed)

    return WantedImage(file, kind, label, _SCENE_MARGIN, make)


def _fulfil(wanted: WantedImage, reference: Reference, out: Path, offset: int) -> dict[str, Any]:
    """Try seeds from `offset` on until the reference's answer is right and sure, then write the file."""
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
        raise ModelkitError(f"the model is sure of no {wanted.file} in {_ATTEMPTS} seeds: train it longer")
    (out / wanted.file).write_bytes(content)
    return {
        "name": wanted.file,
        "class": wanted.kind,
        "tensors": [{"name": "image", "datatype": "BYTES", "shape": [1], "file": wanted.file}],
        "expect": {
            "compare": "label",
            "label": label,
            "probabilities": {
                name: round(float(value), 6) for name, value in zip(LABELS, probabilities, strict=True)
            },
            "logits": [round(float(value), 5) for value in logits],
        },
    }
