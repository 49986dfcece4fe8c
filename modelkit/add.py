"""A model is taken in: its forms are made, compared with each other and published with their manifest."""

import re
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

from modelkit import ModelkitError
from modelkit.batching import batch_names, find_batch
from modelkit.destination import Destination
from modelkit.example_item import example_fields
from modelkit.examples import Drawing, read_examples, split_items, together, usable_sizes
from modelkit.file_kinds import check_is_file
from modelkit.forms import (
    Answered,
    ComputationError,
    Form,
    Tolerance,
    answered,
    blind_spots,
    graph_form,
    largest_differences,
)
from modelkit.graph import ParityError, optimise
from modelkit.manifest import GRAPH_FILE, MANIFEST_FILE, build_manifest, check_fields, write_json
from modelkit.signature import ModelSignature, Port, Tensors, with_shapes

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_BATCHES = (1, 2, 5)
_NO_LIMIT = 2**31 - 1
# of examples that are computed together
_MOST_NUMBERS = 2**24


@dataclass(frozen=True, slots=True)
class Publication:
    """What a model is called, and where its files go."""

    name: str
    version: str
    destination: Destination

    def check(self, file: Path) -> None:
        """Raise ModelkitError if the name is no part of a path, or if the place may not be written.

        It may not if it holds another model, or `file` itself, from which this model is made.
        """
        for what, text in (("name", self.name), ("version", self.version)):
            if not _NAME.fullmatch(text):
                problem = f"{text!r} is not a model's {what}"
                raise ModelkitError(
                    f"{problem}: use letters, digits, '.', '_' and '-', a letter or digit first"
                )
        self.destination.check(self.name, file)


@dataclass(frozen=True, slots=True)
class Checks:
    """How a model's forms are compared: the tolerance, and examples drawn from a seed or the user's own."""

    tolerance: Tolerance
    seed: int
    example: Path | None


@dataclass(frozen=True, slots=True)
class Intake:
    """A file that was read: the form as it came, its inputs and outputs, and a graph that computes the same.

    `files` are published beside the optimised graph; `bounds` and `limits` are those of a Drawing; `graph` is
    in a temporary folder.
    """

    first: Form
    graph: Path
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    bounds: Mapping[str, int]
    limits: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    files: tuple[Path, ...] = ()
    architecture: str | None = None


Publish = Callable[[Publication, Checks, Intake, Path], None]
"""Makes the forms of what was read, compares and publishes them; the folder is temporary."""


class Reader(Protocol):
    """Reads a file into an Intake, whose graph it writes into a temporary folder."""

    def __call__(self, file: Path, *, folder: Path) -> Intake:
        """Raise ModelkitError if the file cannot be served."""
        ...


def add_tensors(publication: Publication, checks: Checks, intake: Intake, folder: Path) -> None:
    """Publish a model of any inputs and outputs, if all its forms agree.

    Raises ModelkitError, one line with the remedy, before anything is written.
    """
    signature, examples, item = examine(intake, checks)
    print("\n".join(signature.described()))
    fields = {
        "kind": "tensors",
        **({"architecture": intake.architecture} if intake.architecture else {}),
        **signature.fields(),
        **example_fields(intake.inputs, item),
        "tolerance": {"rtol": checks.tolerance.rtol, "atol": checks.tolerance.least(1.0)},
    }
    check_fields(fields)
    optimised = folder / GRAPH_FILE
    optimise(intake.graph, optimised, intake.first.name)
    compare_forms(
        intake.first, [graph_form(GRAPH_FILE, optimised)], signature.outputs, examples, checks.tolerance
    )
    put(publication, fields, [*intake.files, optimised], folder)


def put(publication: Publication, fields: Mapping[str, Any], files: list[Path], folder: Path) -> None:
    """Write the manifest into `folder`, then put the files where they are published, the manifest last."""
    manifest = folder / MANIFEST_FILE
    write_json(manifest, build_manifest(publication.name, publication.version, fields, files))
    publication.destination.put([*files, manifest])


def compare_forms(
    first: Form, others: list[Form], outputs: tuple[Port, ...], examples: list[Tensors], tolerance: Tolerance
) -> None:
    """Compare every form with the first, and print a line for each; raises ParityError if one differs."""
    expected = answered(first, examples)
    for other in others:
        largest = largest_differences(outputs, expected, other, tolerance)
        agreement = f"{len(examples)} examples agree with {first.name}, largest difference {largest:.3g}"
        print(f"{other.name}: {agreement} ({tolerance})", flush=True)
    for line in blind_spots(outputs, expected):
        print(f"{line}: give examples of the model's own with --example FILE.npz", flush=True)


def examine(intake: Intake, checks: Checks) -> tuple[ModelSignature, list[Tensors], Tensors]:
    """Return the signature, the examples for comparing, and one item that the model computes.

    Examples are of several batches and sizes of what varies. Raises ModelkitError if the model computes none.
    """
    if not intake.inputs:
        raise ModelkitError(
            f"{intake.first.name} takes no input, so it always answers the same: let forward take a tensor"
        )
    if checks.example is None:
        drawing = Drawing(intake.inputs, checks.seed, intake.bounds, intake.limits)
        names = batch_names(intake.inputs) or set()
        sizes = usable_sizes(intake.first, drawing, dict.fromkeys(names, 1))
        draw: Callable[[int], list[NDArray[Any]]] = partial(_items, drawing, names, sizes[0])
        examples: Callable[[tuple[int, ...]], list[Tensors]] = partial(_examples, drawing, names, sizes)
    else:
        given = read_examples(checks.example, intake.inputs)
        _check_count(intake, checks.example, given)
        whole = batch_names(intake.inputs) is None or len({len(value) for value in given}) > 1
        draw = partial(_repeated, given, whole)
        examples = partial(_example_batches, given)
    single = draw(1)
    outputs = with_shapes(intake.outputs, _first_answers(intake, checks, single))
    most = most_together(intake, single)
    try:
        batch, reason = find_batch(
            intake.first, intake.inputs, outputs, lambda count: draw(min(count, most)), checks.tolerance
        )
    except ComputationError as error:
        problem = f"{intake.first.name} fails on drawn examples ({error}): give examples, --example FILE.npz"
        if checks.example is not None:
            problem = f"{intake.first.name} does not compute every item of {checks.example} ({error})"
            problem += ": give values that the model takes"
        raise ModelkitError(problem) from None
    if reason:
        print(f"one by one: {reason}")
    batches = (*(size for size in _BATCHES[:-1] if size < most), min(_BATCHES[-1], most))
    item = single if batch == "none" else [value[0, ...] for value in single]
    return ModelSignature(intake.inputs, outputs, batch), examples(batches if batch == "any" else (1,)), item


def _first_answers(intake: Intake, checks: Checks, values: Tensors) -> Tensors:
    """Return what the model gives; raises ModelkitError if it gives nothing, or each time something else."""
    try:
        answers = intake.first.run(values)
        outputs = with_shapes(intake.outputs, answers)
        largest_differences(
            outputs, Answered(intake.first.name, [values], [answers]), intake.first, checks.tolerance
        )
        return answers
    except ParityError as error:
        problem = f"{intake.first.name} gives other answers each time ({str(error).partition(': ')[0]})"
        raise ModelkitError(
            f"{problem}: export it for inference, without random numbers and dropout"
        ) from None
    except ComputationError as error:
        if checks.example is None:
            raise
        problem = f"{intake.first.name} does not compute the example in {checks.example} ({error})"
        raise ModelkitError(f"{problem}: give values that the model takes") from None


def _check_count(intake: Intake, example: Path, given: Tensors) -> None:
    most = _most_taken(intake)
    if batch_names(intake.inputs) is not None and len(given[0]) > most:
        problem = f"{example} holds {len(given[0])} items, and {intake.first.name} takes {most} at most"
        raise ModelkitError(f"{problem}: give fewer, or export it with a larger batch")


def _most_taken(intake: Intake) -> int:
    """Return the largest batch that the model takes."""
    names = batch_names(intake.inputs) or set()
    return min((intake.limits[name][1] for name in names if name in intake.limits), default=_NO_LIMIT)


def most_together(intake: Intake, item: Tensors) -> int:
    """Return the largest batch of items like this one that is tried: the model takes it, memory holds it."""
    # two at least: of a single item nothing can be seen
    held = max(2, _MOST_NUMBERS // max(1, sum(value.size for value in item)))
    return min(_most_taken(intake), held)


def _items(drawing: Drawing, names: set[str], size: int, count: int) -> list[NDArray[Any]]:
    return drawing.draw(size, dict.fromkeys(names, count))


def _examples(drawing: Drawing, names: set[str], sizes: list[int], batches: tuple[int, ...]) -> list[Tensors]:
    return [
        drawing.draw(size, dict.fromkeys(names, batch), turn)
        for size in sizes
        for turn, batch in enumerate(batches if names else batches * 3)
    ]


def _repeated(given: Tensors, whole: bool, count: int) -> list[NDArray[Any]]:
    """Return so many items of the given batch, in turn if it has fewer; `whole` is not divided."""
    if whole:
        return list(given)
    items = split_items(given)
    return together([items[row % len(items)] for row in range(count)])


def _example_batches(given: Tensors, batches: tuple[int, ...]) -> list[Tensors]:
    if batches == (1,):
        return [given]
    return [given, *split_items(given)]


def take_in(
    file: Path,
    publication: Publication,
    checks: Checks,
    read: Reader,
    publish: Publish,
) -> None:
    """Read a file with `read`, and publish what it holds; nothing is written if anything is wrong."""
    publication.check(file)
    check_is_file(file)
    with tempfile.TemporaryDirectory() as folder:
        publish(publication, checks, read(file, folder=Path(folder)), Path(folder))
