"""Times each engine on one thread of one core: the network alone, by the code that the services have.

time_engines.py FOLDER [COMPILED] [--rounds N] takes what `modelkit publish` and `modelkit compile` wrote. The
engines have turns of many calls each, in a new random order in every round, as no service changes its engine
between two calls. What is timed is the calling thread's CPU time, since other programs may run beside.
"""

import argparse
import os
import random
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # a program's own folder comes first in the path

import numpy as np  # noqa: E402 - the lines above come first
from numpy.typing import NDArray  # noqa: E402

from modelkit.graph import read_expected  # noqa: E402
from modelkit.images import decode, reference_input, reference_pixels  # noqa: E402
from modelkit.manifest import read_transform  # noqa: E402
from onnx_serving.engine import OnnxEngine  # noqa: E402
from serving_core.classifier import network_of  # noqa: E402
from serving_core.engine import Compute, Engine, Takes  # noqa: E402
from serving_core.models.manifest import read_classifier, read_manifest  # noqa: E402
from serving_core.process.serve import keep_freed_memory  # noqa: E402
from torch_serving.engine import TorchEngine  # noqa: E402

BATCHES = (1, 4, 8, 16)
# of each turn, after some that are not timed
CALLS, UNTIMED = 12, 3
# strategy -> its engine, the form of an image, the file of its model, and its settings
ENGINES: Mapping[str, tuple[Callable[[], Engine], Takes, str, Compute]] = {
    "onnx_pillow": (OnnxEngine, "normalised", "network.onnx", Compute()),
    "openvino": (OnnxEngine, "normalised", "network_plain.onnx", Compute(runtime="openvino")),
    "openvino_bf16": (
        OnnxEngine,
        "normalised",
        "network_plain.onnx",
        Compute(runtime="openvino", precision="bf16"),
    ),
    "onnx_int8": (OnnxEngine, "normalised", "network_int8.onnx", Compute()),
    "torch": (TorchEngine, "crop", "weights.safetensors", Compute()),
    "torch_channels_last": (TorchEngine, "crop", "weights.safetensors", Compute(execution="channels_last")),
    "torch_fused": (TorchEngine, "crop", "weights.safetensors", Compute(execution="fused")),
    "torch_aot": (TorchEngine, "crop", "network.pt2", Compute(execution="aot")),
}
FIRST = "onnx_pillow"
Images = NDArray[Any]


def main(arguments: list[str]) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="where modelkit publish --to FOLDER wrote the model")
    parser.add_argument("compiled", type=Path, nargs="?", help="the same of modelkit compile")
    parser.add_argument("--rounds", type=int, default=10)
    options = parser.parse_args(arguments)
    keep_freed_memory()
    images, engines = _images(), _engines(options.folder, options.compiled)
    times = [_timed(engines, images, batch, options.rounds) for batch in BATCHES]
    heads = [f"{batch} at once, ms an image (ratio)" for batch in BATCHES]
    print(f"| strategy | {' | '.join(heads)} | largest difference of a probability | other labels |")
    print("| --- |" + " ---: |" * (len(heads) + 2))
    for name, (takes, engine) in engines.items():
        cells = [f"{of[name]:.2f} ({of[name] / of[FIRST]:.2f})" for of in times]
        print(f"| `{name}` | {' | '.join(cells)} | {_differences(engine, images[takes])} |")


def _differences(engine: Engine, images: Images) -> str:
    """Return how far the engine's answers to the image set, one by one, are from the committed ones."""
    expected = np.stack([answer.logits for answer in read_expected(ROOT / "images")])
    found = np.concatenate([engine.predict([image[np.newaxis]])[0] for image in images])
    away = np.abs(_probabilities(found) - _probabilities(expected)).max()
    differ = int((found.argmax(1) != expected.argmax(1)).sum())
    return f"{away:.4f} | {differ} of {len(expected)}"


def _images() -> Mapping[Takes, Images]:
    """Return the image set in each form that an engine takes."""
    transform = read_transform(ROOT / "model")
    decoded = [decode(answer.content, answer.file) for answer in read_expected(ROOT / "images")]
    return {
        "normalised": np.concatenate([reference_input(image, transform) for image in decoded]),
        "crop": np.stack([reference_pixels(image, transform) for image in decoded]),
    }


def _engines(folder: Path, compiled: Path | None) -> dict[str, tuple[Takes, Engine]]:
    classifier = read_classifier(read_manifest((folder / "model.json").read_bytes(), "model.json"))
    found: dict[str, tuple[Takes, Engine]] = {}
    for name, (make, takes, file, compute) in ENGINES.items():
        place = compiled if name == "torch_aot" else folder
        if place is not None:
            engine = make()
            engine.load(place / file, network_of(classifier, takes), compute)
            found[name] = takes, engine
    return found


def _timed(
    engines: Mapping[str, tuple[Takes, Engine]], images: Mapping[Takes, Images], batch: int, rounds: int
) -> dict[str, float]:
    """Return the median time of an image in a batch for each engine, in ms."""
    times: dict[str, list[float]] = {name: [] for name in engines}
    for _ in range(rounds):
        for name in random.sample([*engines], len(engines)):
            takes, engine = engines[name]
            for call in range(-UNTIMED, CALLS):
                places = np.arange(call * batch, (call + 1) * batch) % len(images[takes])
                compute = partial(engine.predict, [images[takes][places]])
                began = time.thread_time()
                compute()
                if call >= 0:
                    times[name].append((time.thread_time() - began) * 1e3 / batch)
    return {name: statistics.median(of) for name, of in times.items()}


def _probabilities(logits: Images) -> Images:
    weights = np.exp(logits - logits.max(1, keepdims=True))
    shares: Images = weights / weights.sum(1, keepdims=True)
    return shares


if __name__ == "__main__":
    main(sys.argv[1:])
