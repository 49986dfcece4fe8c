"""Optimises a graph with ONNX Runtime on the host that will serve it, and checks it against the reference."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from modelkit import ModelkitError
from modelkit.images import decode
from modelkit.manifest import INDEX_FILE, MANIFEST_FILE, read_json

_ERRORS_ONLY = 3


def open_graph(graph: Path, threads: int = 1) -> onnxruntime.InferenceSession:
    """Return a session on the CPU with `threads` threads; raises ModelkitError if the file is not a graph."""
    return _session(graph, _options(threads))


def optimise(graph: Path, output: Path) -> None:
    """Write the graph after ONNX Runtime's full optimisation for this host.

    Raises ModelkitError if the file is missing or is not a graph.
    """
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.parent) as folder:
        made = Path(folder) / output.name
        options = _options(threads=1)
        # ONNX Runtime warns that the result depends on this host's instructions, which is intended here
        options.log_severity_level = _ERRORS_ONLY
        options.optimized_model_filepath = str(made)
        _session(graph, options)
        made.replace(output)


def _options(threads: int) -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    return options


def _session(graph: Path, options: onnxruntime.SessionOptions) -> onnxruntime.InferenceSession:
    if not graph.is_file():
        raise ModelkitError(
            f"{graph} does not exist: create it with python -m modelkit export --output {graph}"
        )
    try:
        return onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
    # ONNX Runtime's exceptions share no base class but Exception
    except Exception as error:  # noqa: BLE001 - see the line above
        cause = str(error).splitlines()[0]
        raise ModelkitError(
            f"{graph} is not a graph that ONNX Runtime loads ({cause}): export again"
        ) from None


_SHOWN = 5


class ParityError(ModelkitError):
    """Answers differ from the reference's."""


@dataclass(frozen=True, slots=True)
class ExpectedAnswer:
    """An encoded image of the set, and the reference's logits [classes] for it."""

    file: str
    content: bytes
    logits: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Parity:
    """The agreement of answers: the number of images and the largest difference of a logit."""

    images: int
    largest_difference: float
    tolerance: float

    def __str__(self) -> str:
        agreement = f"{self.images} images agree, largest logit difference {self.largest_difference:.4f}"
        return f"{agreement} (tolerance {self.tolerance})"


def read_expected(images: Path) -> list[ExpectedAnswer]:
    """Return the image set; raises ModelkitError if its manifest or an image is missing or empty."""
    entries = read_json(images / INDEX_FILE).get("images", [])
    if not entries:
        raise ModelkitError(
            f"{images / INDEX_FILE} lists no images: create them with python -m modelkit images"
        )
    return [_expected(images, entry) for entry in entries]


def _expected(images: Path, entry: dict[str, Any]) -> ExpectedAnswer:
    try:
        content = (images / entry["file"]).read_bytes()
        return ExpectedAnswer(entry["file"], content, np.asarray(entry["expected"]["logits"], np.float32))
    except FileNotFoundError:
        raise ModelkitError(f"{images / entry['file']} is missing: restore it, or remake the set") from None
    except (KeyError, TypeError, ValueError) as error:
        raise ModelkitError(f"{images / INDEX_FILE} has a bad entry ({error}): remake the set") from None


def read_tolerance(model_dir: Path) -> float:
    """Return the largest difference of a logit that the model's manifest allows."""
    return float(read_json(model_dir / MANIFEST_FILE).get("logit_tolerance", 0.0))


def graph_logits(graph: Path, answers: list[ExpectedAnswer]) -> NDArray[np.float32]:
    """Return the graph's logits [n, classes], one image at a time, with the reference's decoding."""
    session = open_graph(graph)
    source = session.get_inputs()[0].name
    rows = []
    for answer in answers:
        pixels = np.asarray(decode(answer.content, answer.file))[None]
        rows.append(session.run(["logits"], {source: pixels})[0][0])
    return np.stack(rows)


def compare(
    files: list[str], expected: NDArray[np.float32], actual: NDArray[np.float32], tolerance: float
) -> Parity:
    """Compare logits [n, classes]; raises ParityError that names the images that differ."""
    differences = np.abs(expected - actual).max(1)
    flipped = expected.argmax(1) != actual.argmax(1)
    # "not at most" rather than "more than", because a logit that is NaN must be reported too
    offenders = [
        f"{file} ({'another class, ' if flip else ''}logits off by {difference:.4f})"
        for file, flip, difference in zip(files, flipped, differences, strict=True)
        if flip or not difference <= tolerance
    ]
    if offenders:
        rest = f" and {len(offenders) - _SHOWN} more" if len(offenders) > _SHOWN else ""
        problem = (
            f"{len(offenders)} of {len(files)} images differ from the reference by more than {tolerance}"
        )
        raise ParityError(
            f"{problem}: {', '.join(offenders[:_SHOWN])}{rest}; export again or remake the images"
        )
    return Parity(len(files), float(differences.max()), tolerance)


def check_graph(graph: Path, images: Path, model_dir: Path) -> Parity:
    """Compare the graph with the image set's committed answers; raises ParityError if they differ."""
    answers = read_expected(images)
    expected = np.stack([answer.logits for answer in answers])
    actual = graph_logits(graph, answers)
    return compare([answer.file for answer in answers], expected, actual, read_tolerance(model_dir))
