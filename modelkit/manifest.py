"""The model's manifest, model.json: the facts that the services need beside the weights."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
GRAPH_WEIGHTS_KEY = "weights_sha256"
INDEX_FILE = "manifest.json"


@dataclass(frozen=True, slots=True)
class Transform:
    """The transform's numbers: sizes in pixels, mean and deviation on a scale of 0 to 1."""

    resize: int = 256
    crop: int = 224
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)


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
        return Transform(
            int(stated["resize"]), int(stated["crop"]), _three(stated["mean"]), _three(stated["std"])
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
    weights: Path, trained_on: str, metrics: dict[str, Any], tolerance: float
) -> dict[str, Any]:
    """Return the content of model.json for the weights file."""
    transform = Transform()
    return {
        "name": "weather",
        "version": "1",
        "architecture": "mobilenet_v3_small",
        "labels": list(LABELS),
        "transform": {
            "resize": transform.resize,
            "crop": transform.crop,
            "interpolation": "bilinear",
            "antialias": True,
            "mean": list(transform.mean),
            "std": list(transform.std),
        },
        "trained_on": trained_on,
        "metrics": metrics,
        "logit_tolerance": tolerance,
        "files": {weights.name: file_entry(weights)},
    }
