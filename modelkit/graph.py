"""Optimises a graph with ONNX Runtime on the host that will serve it, and checks it against the reference."""

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from modelkit import ModelkitError
from modelkit.images import decode, reference_input
from modelkit.manifest import INDEX_FILE, MANIFEST_FILE, Transform, read_json, read_transform

_ERRORS_ONLY = 3
_FATAL_ONLY = 4
# what ONNX Runtime says of a graph -> what is wrong, and the remedy
_REFUSALS = (
    (
        r"Unsupported model IR version: (\d+), max supported IR version: (\d+)",
        "it has IR version {0}, and this ONNX Runtime reads up to {1}: save it with ir_version={1} or less",
    ),
    (
        r"Opset (\d+) is under development.*Current official support for domain (\S+) is till opset (\d+)",
        "it has opset {0} of {1}, and this ONNX Runtime has up to {2}: export it with opset {2} or less",
    ),
    (
        r"(\S+:\w+)\(-?\d+\) is not a registered function/op",
        "it has the custom operator {0}, which ONNX Runtime lacks: export it with standard operators",
    ),
    (
        r"No Op registered for (\w+) with domain_version of (\d+)",
        "opset {1} has no operator {0}: export it with an opset that has it",
    ),
    (
        r"Failed to construct locale with name:([\w.@-]+)",
        "its texts are normalised by the locale {0}, which this host lacks: convert it with the locale "
        "C.UTF-8, as an option of skl2onnx for its TfidfVectorizer or CountVectorizer",
    ),
    (
        r"Could not find an implementation for (\w+)\(\d+\)",
        "ONNX Runtime has no {0} of this opset and datatype for a CPU: export it in float32, from opset 12",
    ),
)

# what ONNX Runtime's messages begin with, and what they say of its own source
_NOISE = tuple(
    re.compile(pattern, re.DOTALL)
    for pattern in (
        r"\[ONNXRuntimeError\] : \d+ : \w+ : ",
        r"Load model from .*? failed:",
        r"Non-zero status code returned while running ",
        r" node\. Name:'.*?' Status Message(?=: )",
        r"\S+\.(?:h|cc):\d+ ",
        r"(?:void )?onnxruntime::.*?\) ",
        r"(?<=: )[^.:]* was false\. ",
        r"This is an invalid model\. ",
    )
)
_MOST_WORDS = 200


def open_graph(
    graph: Path, threads: int = 1, as_it_is: bool = False, name: str | None = None
) -> onnxruntime.InferenceSession:
    """Return a session on the CPU with `threads` threads; with `as_it_is` the graph is not optimised first.

    Raises ModelkitError if the file is not a graph; the message calls it `name`, or else by its path.
    """
    options = _options(threads)
    if as_it_is:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        # inputs that do not fit are tried on purpose, and the exception says the same
        options.log_severity_level = _FATAL_ONLY
    return _session(graph, options, name)


def optimise(graph: Path, output: Path, name: str | None = None) -> None:
    """Write the graph after ONNX Runtime's full optimisation for this host.

    Raises ModelkitError if the file is missing or is not a graph; the message has `name`, if it is given, in
    place of the path of a temporary graph.
    """
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.parent) as folder:
        made = Path(folder) / output.name
        options = _options(threads=1)
        # ONNX Runtime warns that the result depends on this host's instructions, which is intended here
        options.log_severity_level = _ERRORS_ONLY
        options.optimized_model_filepath = str(made)
        _session(graph, options, name)
        made.replace(output)


def _options(threads: int) -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    return options


def _session(
    graph: Path, options: onnxruntime.SessionOptions, name: str | None = None
) -> onnxruntime.InferenceSession:
    if not graph.is_file():
        raise ModelkitError(
            f"{graph} does not exist: create it with python -m modelkit export --output {graph}"
        )
    try:
        return onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
    # ONNX Runtime's exceptions share no base class but Exception
    except Exception as error:  # noqa: BLE001 - see the line above
        raise ModelkitError(f"{name or graph} cannot be served: {_refusal(str(error))}") from None


def _refusal(message: str) -> str:
    """Return what is wrong with a graph, and the remedy, of what ONNX Runtime says."""
    for pattern, words in _REFUSALS:
        if found := re.search(pattern, message, re.DOTALL):
            return words.format(*found.groups())
    return f"it is not a graph that ONNX Runtime loads ({runtime_words(message)}): export it again"


def runtime_words(message: str) -> str:
    """Return what ONNX Runtime says, in one line of at most 200 characters, without places in its source."""
    for noise in _NOISE:
        message = noise.sub("", message)
    printable = "".join(letter if letter.isprintable() else " " for letter in message)
    return " ".join(printable.split())[:_MOST_WORDS].rstrip(" .:")


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
        return f"{agreement} (tolerance {self.tolerance:.3g})"


def read_expected(images: Path) -> list[ExpectedAnswer]:
    """Return the image set; raises ModelkitError if its manifest or an image is missing or empty."""
    entries = read_json(images / INDEX_FILE).get("requests", [])
    if not entries:
        raise ModelkitError(
            f"{images / INDEX_FILE} lists no images: create them with python -m modelkit images"
        )
    return [_expected(images, entry) for entry in entries]


def _expected(images: Path, entry: dict[str, Any]) -> ExpectedAnswer:
    try:
        file: str = entry["tensors"][0]["file"]
        content = (images / file).read_bytes()
        return ExpectedAnswer(entry["name"], content, np.asarray(entry["expect"]["logits"], np.float32))
    except FileNotFoundError:
        raise ModelkitError(f"{images / file} is missing: restore it, or remake the set") from None
    except (LookupError, TypeError, ValueError) as error:
        raise ModelkitError(f"{images / INDEX_FILE} has a bad entry ({error}): remake the set") from None


def read_tolerance(model_dir: Path) -> float:
    """Return the largest difference of a logit that the model's manifest allows."""
    return float(read_json(model_dir / MANIFEST_FILE).get("logit_tolerance", 0.0))


def graph_logits(
    graph: Path, answers: list[ExpectedAnswer], transform: Transform | None = None
) -> NDArray[np.float32]:
    """Return the graph's logits [n, classes], one image at a time, with the reference's decoding.

    With `transform` the graph is the network alone, and gets the reference's pixels, normalised.
    """
    session = open_graph(graph)
    source = session.get_inputs()[0].name
    rows = []
    for answer in answers:
        image = decode(answer.content, answer.file)
        taken: NDArray[Any] = np.asarray(image)[None]
        if transform is not None:
            taken = reference_input(image, transform)
        rows.append(session.run(["logits"], {source: taken})[0][0])
    return np.stack(rows)


def compare(
    files: list[str],
    expected: NDArray[np.float32],
    actual: NDArray[np.float32],
    tolerance: float,
    near_may_swap: bool = False,
) -> Parity:
    """Compare logits [n, classes]; raises ParityError that names the images that differ.

    The best class must be the same; with `near_may_swap` classes that the expected logits tell apart by no
    more than the tolerance may change places.
    """
    differences = np.abs(expected - actual).max(1)
    margin = expected.max(1) - expected[np.arange(len(expected)), actual.argmax(1)]
    flipped = margin > (tolerance if near_may_swap else 0)
    # "not at most" rather than "more than", because a logit that is NaN must be reported too
    offenders = [
        f"{file} ({'another class, ' if flip else ''}logits off by {difference:.4f})"
        for file, flip, difference in zip(files, flipped, differences, strict=True)
        if flip or not difference <= tolerance
    ]
    if offenders:
        rest = f" and {len(offenders) - _SHOWN} more" if len(offenders) > _SHOWN else ""
        problem = (
            f"{len(offenders)} of {len(files)} images differ from the reference by more than {tolerance:.3g}"
        )
        raise ParityError(
            f"{problem}: {', '.join(offenders[:_SHOWN])}{rest}; export again or remake the images"
        )
    return Parity(len(files), float(differences.max()), tolerance)


def check_graph(graph: Path, images: Path, model_dir: Path) -> Parity:
    """Compare the graph with the image set's committed answers; raises ParityError if they differ."""
    return _check(graph, images, model_dir, None)


def check_network(network: Path, images: Path, model_dir: Path) -> Parity:
    """As check_graph, for a graph of the network alone."""
    return _check(network, images, model_dir, read_transform(model_dir))


def _check(graph: Path, images: Path, model_dir: Path, transform: Transform | None) -> Parity:
    answers = read_expected(images)
    expected = np.stack([answer.logits for answer in answers])
    actual = graph_logits(graph, answers, transform)
    return compare([answer.file for answer in answers], expected, actual, read_tolerance(model_dir))
