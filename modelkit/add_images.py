"""An image classifier is taken in: its transform is put into the graph, and compared with Pillow's pixels."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from PIL import Image

from modelkit import ModelkitError, ModelkitUsageError
from modelkit.add import Checks, Intake, Publication, compare_forms, most_together, put
from modelkit.batching import find_batch
from modelkit.forms import ComputationError, Form, graph_form
from modelkit.graph import ParityError, compare, optimise
from modelkit.image_graph import IMAGE, NETWORK_INPUT, last_operator, with_names, with_transform
from modelkit.images import crop_offset, reference_input, reference_pixels
from modelkit.manifest import (
    GRAPH_FILE,
    LABELS,
    NETWORK_FILE,
    Interpolation,
    Transform,
    check_fields,
    image_fields,
)
from modelkit.scenes import scene
from modelkit.signature import Tensors

DEFAULT_CROP = 224
# as 256 is to 224
_RESIZE_TO_CROP = 8 / 7
_SIZES = ((320, 240), (240, 320), (500, 375), (96, 64), (640, 427), (333, 333), (1200, 727), (257, 259))
_SUM_TOLERANCE = 1e-3
# smaller probabilities count as this one: what rounding leaves of them says nothing
_LEAST_PROBABILITY = 1e-7
_UNOPTIMISED = "unoptimised.onnx"
_VARYING_BATCH = "export it with a batch that varies, dynamic_axes or dynamic_shapes={0: Dim('batch')}"


@dataclass(frozen=True, slots=True)
class ImageOptions:
    """What the command line says of an image classifier; None is the default, which the model may decide."""

    labels: tuple[str, ...]
    resize: int | None
    crop: int | None
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    interpolation: Interpolation
    logit_tolerance: float

    def transform(self, side: int | None) -> Transform:
        """Return the transform for a network that takes images of this side, or of any if None.

        Raises ModelkitError if the sizes do not fit each other.
        """
        crop = self.crop or side or DEFAULT_CROP
        if side is not None and crop != side:
            raise ModelkitError(
                f"--crop is {crop}, and the network takes {side} x {side} pixels: use --crop {side}"
            )
        resize = self.resize or round(crop * _RESIZE_TO_CROP)
        if crop > resize:
            raise ModelkitUsageError(f"--crop {crop} is larger than --resize {resize}: make --resize larger")
        return Transform(resize, crop, self.mean, self.std, self.interpolation)


@dataclass(frozen=True, slots=True)
class _Scenes:
    """Example images, by name, and what a network takes for each.

    That is normalised [1, 3, crop, crop], or `framed`, uint8 [resize, resize, 3], as services hand a large
    image to a graph that has the transform inside.
    """

    images: tuple[tuple[str, NDArray[np.uint8]], ...]
    normalised: tuple[NDArray[np.float32], ...]
    framed: tuple[NDArray[np.uint8], ...]

    @property
    def names(self) -> list[str]:
        """The images' names in order."""
        return [name for name, _ in self.images]


def add_image(
    options: ImageOptions, publication: Publication, checks: Checks, intake: Intake, folder: Path
) -> None:
    """Publish an image classifier, if its graph with the transform inside gives what the network gives.

    Raises ModelkitError, one line with the remedy, before anything is written.
    """
    whole = _takes_images(intake)
    if whole:
        _check_whole(intake, options)
    side = None if whole else _side(intake)
    transform = options.transform(side)
    fields = image_fields(options.labels, transform, options.logit_tolerance, intake.architecture)
    check_fields(fields)
    print(f"transform: shortest side to {transform.resize}, crop {transform.crop}, {transform.interpolation}")
    scenes = _scenes(transform, checks.seed)
    inputs = [image[None] for _, image in scenes.images] if whole else list(scenes.normalised)
    answers = _answers(intake, inputs, len(options.labels), checks)
    network = graph = onnx.load(intake.graph)
    softmax = _is_softmax(answers, last_operator(graph))
    output = "probabilities" if softmax else "logits"
    if whole:
        _check_framed(intake.first, scenes, answers, softmax, options.logit_tolerance)
        graph = with_names(graph, IMAGE, output)
    else:
        if intake.files:
            compare_forms(
                intake.first,
                [graph_form("the network in ONNX", intake.graph)],
                intake.outputs,
                [[value] for value in inputs],
                checks.tolerance,
            )
        graph = with_transform(graph, transform, output)
    # of a graph with its transform inside nothing tells where the network begins
    graphs = (
        {GRAPH_FILE: graph}
        if whole
        else {GRAPH_FILE: graph, NETWORK_FILE: with_names(network, NETWORK_INPUT, output)}
    )
    for file, made in graphs.items():
        onnx.save(made, folder / _UNOPTIMISED)
        optimise(folder / _UNOPTIMISED, folder / file)
        _compare_images(folder / file, intake.first.name, scenes, answers, softmax, options.logit_tolerance)
    files = [*intake.files, *(folder / file for file in graphs)]
    put(publication, fields | {"softmax": softmax}, files, folder)


def _takes_images(intake: Intake) -> bool:
    """Tell whether the graph takes uint8 images [n, h, w, 3], its transform inside."""
    (first, *_) = intake.inputs
    dims = first.dims or ()
    return first.datatype == "UINT8" and len(dims) == 4 and dims[3] == 3


def _check_whole(intake: Intake, options: ImageOptions) -> None:
    """Raise ModelkitError unless a graph that has its transform inside can be served as it is."""
    name, (port, *more) = intake.first.name, intake.inputs
    dims = port.dims or ()
    if intake.files:
        problem = f"{name} takes images uint8 {list(dims)}, which a graph alone may"
        raise ModelkitError(
            f"{problem}: export a network of normalised images FP32 [n, 3, crop, crop], or an ONNX graph"
        )
    if more:
        raise ModelkitError(f"{name} takes {len(more)} inputs beside the image: add it with --kind tensors")
    if not all(_varies(size) for size in dims[1:3]):
        problem = f"{name} takes images of {dims[1]} x {dims[2]} pixels, and images have any size"
        raise ModelkitError(
            f"{problem}: export it with height and width that vary, or add it with --kind tensors"
        )
    if options.resize is None or options.crop is None:
        problem = f"{name} takes images uint8, so it has its transform inside"
        raise ModelkitUsageError(f"{problem}: give the --resize and the --crop that it has")


def _side(intake: Intake) -> int | None:
    """Return the side of the images that the network takes, None if any; raises ModelkitError if unfit."""
    port, *more = intake.inputs
    dims = port.dims or ()
    stated = ", ".join(f"{each.name} {each.datatype} {list(each.dims or ())}" for each in intake.inputs)
    if more or port.datatype != "FP32" or len(dims) != 4 or dims[1] not in (3, *filter(_varies, dims)):
        problem = f"{intake.first.name} takes {stated}, not normalised images FP32 [n, 3, crop, crop]"
        raise ModelkitError(f"{problem}: export it so, channels first, or add it with --kind tensors")
    if not _varies(dims[0]):
        raise ModelkitError(f"{intake.first.name} takes batches of {dims[0]} alone: {_VARYING_BATCH}")
    sides = {size for size in dims[2:] if isinstance(size, int)}
    if len(sides) > 1:
        raise ModelkitError(f"{intake.first.name} takes {stated}, no squares: add it with --kind tensors")
    return sides.pop() if sides else None


def _varies(size: int | str) -> bool:
    return isinstance(size, str)


def _scenes(transform: Transform, seed: int) -> _Scenes:
    """Return example images of several sizes, drawn from a seed, and Pillow's pixels of them, normalised."""
    images: list[tuple[str, NDArray[np.uint8]]] = []
    normalised: list[NDArray[np.float32]] = []
    framed: list[NDArray[np.uint8]] = []
    for place, (width, height) in enumerate(_SIZES):
        label = LABELS[place % len(LABELS)]
        image: Image.Image = scene(label, seed + place, width, height)
        cropped = reference_pixels(image, transform)
        images.append((f"{label} {width}x{height}", np.asarray(image)))
        framed.append(_framed(cropped, transform))
        normalised.append(reference_input(image, transform))
    return _Scenes(tuple(images), tuple(normalised), tuple(framed))


def _framed(cropped: NDArray[np.uint8], transform: Transform) -> NDArray[np.uint8]:
    """Return the image, uint8 [resize, resize, 3], of which the transform is the given crop."""
    before = crop_offset(transform.resize, transform.crop)
    after = transform.resize - transform.crop - before
    return np.pad(cropped, ((before, after), (before, after), (0, 0)))


def _answers(intake: Intake, inputs: list[NDArray[Any]], labels: int, checks: Checks) -> NDArray[np.float32]:
    """Return the network's answers [n, classes] as it came; raises ModelkitError if it is no classifier."""
    name = intake.first.name
    try:
        answers = [intake.first.run([value]) for value in inputs]
    except ComputationError as error:
        raise ModelkitError(f"{name} does not compute images ({error}): give the right --crop") from None
    stated = ", ".join(f"{port.name} {port.datatype}" for port in intake.outputs)
    if len(intake.outputs) != 1 or answers[0][0].ndim != 2 or intake.outputs[0].datatype != "FP32":
        problem = f"{name} gives {stated}, not one output FP32 [n, classes]"
        raise ModelkitError(f"{problem}: export it so, or add it with --kind tensors")
    classes = answers[0][0].shape[1]
    if classes != labels:
        raise ModelkitError(
            f"there are {labels} labels, and {name} has {classes} classes: give a label for each"
        )
    _check_batch(intake, inputs, checks)
    made = np.concatenate([answer[0] for answer in answers])
    if not np.isfinite(made).all():
        problem = f"{name} gives NaN or infinity for images"
        raise ModelkitError(f"{problem}: give the --mean and --std that it has, or export it again")
    return made


def _check_batch(intake: Intake, inputs: list[NDArray[Any]], checks: Checks) -> None:
    def draw(count: int) -> Tensors:
        same = [value for value in inputs if value.shape[1:] == inputs[0].shape[1:]]
        return [np.concatenate([same[row % len(same)] for row in range(count)])]

    most = most_together(intake, draw(1))
    batch, reason = find_batch(
        intake.first,
        intake.inputs,
        intake.outputs,
        lambda count: list(draw(min(count, most))),
        checks.tolerance,
    )
    if batch != "any":
        raise ModelkitError(
            f"{intake.first.name} does not take any number of images ({reason}): {_VARYING_BATCH}"
        )


def _is_softmax(answers: NDArray[np.float32], operator: str) -> bool:
    """Tell whether answers are probabilities already, and say so: their numbers decide.

    Raises ModelkitError for numbers of which a softmax makes no sense.
    """
    sums = answers.astype(np.float64).sum(1)
    found = bool((answers >= 0).all() and np.allclose(sums, 1, rtol=0, atol=_SUM_TOLERANCE))
    if not found and bool(((answers >= 0) & (answers <= 1)).all()):
        problem = (
            "the network gives numbers from 0 to 1 that do not sum to 1, as a sigmoid of each class does"
        )
        raise ModelkitError(f"{problem}: export it without the sigmoid, or add it with --kind tensors")
    last = f", its last operator is {operator}" if operator else ""
    what = (
        "gives probabilities, which sum to 1" if found else "gives logits, so the services take the softmax"
    )
    print(f"softmax: the network {what}{last}", flush=True)
    return found


def _compare_images(
    graph: Path, first: str, scenes: _Scenes, answers: NDArray[np.float32], softmax: bool, tolerance: float
) -> None:
    form = graph_form(graph.name, graph)
    images = scenes.normalised if graph.name == NETWORK_FILE else [image[None] for _, image in scenes.images]
    found = np.concatenate([form.run([image])[0] for image in images])
    expected, found = _as_logits(answers, softmax), _as_logits(found, softmax)
    parity = compare(scenes.names, expected, found, _of_spread(expected, tolerance), near_may_swap=True)
    print(f"{graph.name}: {parity}, compared with {first} on Pillow's pixels", flush=True)


def _check_framed(
    form: Form, scenes: _Scenes, answers: NDArray[np.float32], softmax: bool, tolerance: float
) -> None:
    """Raise ModelkitError if the transform inside a graph is another than the manifest will say.

    Services resize and crop a large image themselves, and hand the graph the rest.
    """
    found = np.concatenate([form.run([image[None]])[0] for image in scenes.framed])
    expected, found = _as_logits(answers, softmax), _as_logits(found, softmax)
    try:
        compare(scenes.names, expected, found, _of_spread(expected, tolerance), near_may_swap=True)
    except ParityError:
        apart = float(np.abs(expected - found).max())
        problem = (
            f"{form.name} gives other answers if the image is resized and cropped before, off by {apart:.3g}"
        )
        remedy = "give the --resize, --crop and --interpolation that it has, or add it with --kind tensors"
        raise ModelkitError(f"{problem}: {remedy}") from None


def _of_spread(logits: NDArray[np.float32], tolerance: float) -> float:
    """Return the tolerance, or this share of how far apart classes are if that is less than 1.

    The number itself would allow anything of a network whose classes are all nearly alike.
    """
    apart = float(np.ptp(logits, axis=1).max())
    return tolerance * min(1.0, apart) if apart > 0 else tolerance


def _as_logits(answers: NDArray[np.float32], softmax: bool) -> NDArray[np.float32]:
    """Return what tells classes apart: logits, or else the logarithms of probabilities."""
    if not softmax:
        return answers
    return np.asarray(np.log(np.maximum(answers, _LEAST_PROBABILITY)), np.float32)


def image_port(crop: int | None) -> str:
    """Return the input of weights that classify images, in the words of --input."""
    side = crop or DEFAULT_CROP
    return f"images:FP32[-1,3,{side},{side}]"
