"""The model's manifest, model.json: the facts that the services need beside the weights."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from modelkit import ModelkitError

LABELS = (
    "dew",
    "fogsmog",
    "frost",
    "glaze",
    "hail",
    "lightning",
    "rain",
    "rainbow",
    "rime",
    "sandstorm",
    "snow",
)
WEIGHTS_FILE = "weights.safetensors"
MANIFEST_FILE = "model.json"
GRAPH_FILE = "model.onnx"
# the network of an image classifier alone, for a service that prepares the crop itself
NETWORK_FILE = "network.onnx"
# the same for any runtime: what is optimised for a host has operators that ONNX Runtime alone has
PLAIN_FILE = "network_plain.onnx"
PROGRAM_FILE = "program.pt2"
# the same in int8, optimised for this host: nearly the same answers
INT8_FILE = "network_int8.onnx"
# the same network in machine code for one kind of processor, from modelkit compile
COMPILED_FILE = "network.pt2"
# the forms that a model may have beside its manifest
FORM_FILES = (GRAPH_FILE, NETWORK_FILE, PLAIN_FILE, INT8_FILE, PROGRAM_FILE, COMPILED_FILE, WEIGHTS_FILE)
GRAPH_WEIGHTS_KEY = "weights_sha256"
INDEX_FILE = "manifest.json"


Interpolation = Literal["bilinear", "bicubic"]
INTERPOLATIONS: tuple[Interpolation, ...] = get_args(Interpolation)


# the limits of what services load
FEWEST_LABELS = 2
MOST_SIDE = 4096


def network_beside(graph: Path) -> Path:
    """Return where the export writes the network alone of a graph at this path."""
    return graph.with_suffix(".network.onnx")


def quantised_beside(graph: Path) -> Path:
    """Return where the export writes the network alone in int8, of a graph at this path."""
    return graph.with_suffix(".network_int8.onnx")


@dataclass(frozen=True, slots=True)
class Transform:
    """The transform's numbers: sizes in pixels, mean and deviation on a scale of 0 to 1."""

    resize: int = 256
    crop: int = 224
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    interpolation: Interpolation = "bilinear"


def read_json(path: Path) -> Any:
    """Return the parsed file; raises ModelkitError if it is missing or not JSON."""
    try:
        return json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise ModelkitError(f"{path} does not exist: name the folder that holds it") from None
    except (OSError, ValueError) as error:
        raise ModelkitError(f"{path} cannot be read as JSON ({error}): restore or remake it") from None


def write_json(path: Path, content: Any) -> None:
    """Write JSON with a stable layout, short lists of numbers on one line."""
    path.write_text(json.dumps(content, indent=1) + "\n", "utf-8")


def read_transform(model_dir: Path) -> Transform:
    """Return the transform in the manifest of `model_dir`; raises ModelkitError if it cannot be read."""
    stated = read_json(model_dir / MANIFEST_FILE).get("transform", {})
    try:
        interpolation: Interpolation = stated.get("interpolation", "bilinear")
        if interpolation not in INTERPOLATIONS:
            raise ValueError(f"interpolation {interpolation!r}")
        return Transform(
            int(stated["resize"]),
            int(stated["crop"]),
            _three(stated["mean"]),
            _three(stated["std"]),
            interpolation,
        )
    except (KeyError, TypeError, ValueError) as error:
        problem = f"{model_dir / MANIFEST_FILE}: transform is incomplete ({error})"
        raise ModelkitError(f"{problem}: it needs resize, crop, mean and std") from None


def _three(values: Any) -> tuple[float, float, float]:
    first, second, third = (float(value) for value in values)
    return first, second, third


def file_entry(path: Path) -> dict[str, Any]:
    """Return a file's size in bytes and its SHA-256, in the manifests' form."""
    content = path.read_bytes()
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def build_manifest(
    name: str, version: str, fields: Mapping[str, Any], files: Sequence[Path]
) -> dict[str, Any]:
    """Return the content of model.json: the model's name, the fields of its kind, and the files beside it."""
    return {
        "name": name,
        "version": version,
        **fields,
        "files": {file.name: file_entry(file) for file in files},
    }


def image_fields(
    labels: Sequence[str], transform: Transform, logit_tolerance: float, architecture: str | None
) -> dict[str, Any]:
    """Return the manifest's fields of an image classifier."""
    return {
        "kind": "image",
        **({"architecture": architecture} if architecture else {}),
        "labels": list(labels),
        "transform": {
            "resize": transform.resize,
            "crop": transform.crop,
            "interpolation": transform.interpolation,
            "antialias": True,
            "mean": list(transform.mean),
            "std": list(transform.std),
        },
        "logit_tolerance": logit_tolerance,
    }


def rewritten(content: Mapping[str, Any], files: Sequence[Path]) -> dict[str, Any]:
    """Return a manifest's content with other files."""
    fields = {key: value for key, value in content.items() if key not in ("name", "version", "files")}
    return build_manifest(content["name"], content["version"], fields, files)


def check_fields(fields: Mapping[str, Any]) -> None:
    """Raise ModelkitError if services would refuse a manifest with these fields of its kind."""
    if fields["kind"] == "image":
        _check_image(fields)
        return
    for which in ("inputs", "outputs"):
        names = [entry["name"] for entry in fields[which]]
        if not all(names):
            raise ModelkitError(f"one of the {which} has an empty name: export the model with names")
        if len(set(names)) < len(names):
            raise ModelkitError(f"the {which} are {', '.join(names)}: give each a name of its own")


def _check_image(fields: Mapping[str, Any]) -> None:
    labels, transform = fields["labels"], fields["transform"]
    if len(labels) < FEWEST_LABELS:
        problem = f"a classifier has {FEWEST_LABELS} labels at least, and {len(labels)} is given"
        raise ModelkitError(f"{problem}: write a line for each class, or use --kind tensors")
    for option in ("resize", "crop"):
        if transform[option] > MOST_SIDE:
            problem = f"--{option} is {transform[option]}, and services take {MOST_SIDE} at most"
            raise ModelkitError(f"{problem}: make it smaller, or use --kind tensors")
    if not 0 < fields["logit_tolerance"] < float("inf"):
        raise ModelkitError(f"--logit-tolerance is {fields['logit_tolerance']}: give more than 0")
