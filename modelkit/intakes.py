"""How each kind of file is read. No file is unpickled."""

import importlib.util
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from modelkit import ModelkitError, ModelkitUsageError
from modelkit.add import Intake
from modelkit.file_kinds import kind_of
from modelkit.forms import graph_form
from modelkit.signature import BYTES, DATATYPES

if TYPE_CHECKING:  # adding a graph needs no PyTorch
    from modelkit.torch_intakes import InputShape

_GRAPH_AS_GIVEN = "given.onnx"
# a label may hold what str.splitlines takes for the end of a line too
_LINE = re.compile(r"\r\n|\r|\n")
_INPUT = re.compile(r"(?P<name>[^:\[\]]+):(?P<datatype>\w+)\[(?P<dims>[-\d, ]*)\]")


@dataclass(frozen=True, slots=True)
class TorchOptions:
    """What a file of PyTorch's needs beside itself: the architecture of weights, and names and shapes.

    `usual_input` is the input of weights for which none is stated.
    """

    architecture: str | None
    inputs: tuple[str, ...]
    output_names: tuple[str, ...]
    usual_input: str | None = None


def read_file(file: Path, options: TorchOptions, folder: Path) -> Intake:
    """Read a model's file of any kind; raises ModelkitError, ModelkitUsageError if an option is missing."""
    kind = kind_of(file)
    if kind != "weights":
        for option, given in (("--architecture", options.architecture), ("--input", options.inputs)):
            if given:
                raise ModelkitUsageError(f"{option} is for .safetensors: {file} states its own; leave it out")
    if kind == "graph":
        if options.output_names:
            raise ModelkitUsageError(f"--output-names is for PyTorch: {file} names its own; leave it out")
        return read_onnx(file, folder)
    if importlib.util.find_spec("torch") is None:
        raise ModelkitError(f"{file} needs PyTorch, which is not installed: pip install torch")
    from modelkit.torch_intakes import read_program_file, read_weights_file

    if kind == "program":
        return read_program_file(file, options.output_names, folder)
    if options.architecture is None:
        problem = f"{file} holds weights and no network"
        raise ModelkitUsageError(f"{problem}: give --architecture package.module:factory, which makes it")
    stated = options.inputs or (() if options.usual_input is None else (options.usual_input,))
    if not stated:
        raise ModelkitUsageError(
            f"{file} does not say what it takes: give --input NAME:FP32[-1,8] for each input"
        )
    shapes = [read_input(text) for text in stated]
    return read_weights_file(file, options.architecture, shapes, options.output_names, folder)


def read_input(text: str) -> "InputShape":
    """Return an input of the form NAME:DATATYPE[SIZES]; raises ModelkitUsageError for any other text."""
    from modelkit.torch_intakes import InputShape

    found = _INPUT.fullmatch(text)
    sizes = [part.strip() for part in found["dims"].split(",")] if found and found["dims"].strip() else []
    known = [name for name in DATATYPES if name != BYTES]
    if not found or not all(re.fullmatch(r"-1|[1-9]\d*", size) for size in sizes):
        problem = f"--input {text} is not NAME:DATATYPE[SIZES]"
        raise ModelkitUsageError(
            f"{problem}: write tokens:INT64[-1,-1], the batch in front, -1 for what varies"
        )
    if found["datatype"] not in known:
        raise ModelkitUsageError(
            f"--input {text} has no datatype of the protocol: use one of {', '.join(known)}"
        )
    return InputShape(found["name"], found["datatype"], tuple(int(size) for size in sizes))


def read_onnx(file: Path, folder: Path) -> Intake:
    """Read an ONNX graph, needing no PyTorch; raises ModelkitError if it cannot be served."""
    if importlib.util.find_spec("onnx") is None:
        raise ModelkitError(f"{file} cannot be read, as the package onnx is not installed: pip install onnx")
    from modelkit.onnx_file import control_flow, integer_bounds, ports, read_graph, save_graph

    model = read_graph(file)
    inputs, outputs = ports(model)
    graph = folder / _GRAPH_AS_GIVEN
    save_graph(model, graph, file)
    form = graph_form(file.name, graph, as_it_is=True)
    if found := control_flow(model):
        print(f"control flow: {', '.join(found)}, which ONNX Runtime serves")
    return Intake(form, graph, inputs, outputs, integer_bounds(model, inputs))


def read_labels(file: Path) -> tuple[str, ...]:
    """Return the labels of a file, a line each or a JSON list; raises ModelkitError if they are no labels."""
    try:
        text = file.read_text("utf-8-sig")
        lines = _LINE.split(text.rstrip()) if text.strip() else []
        given = json.loads(text) if text.lstrip().startswith(("[", "{")) else lines
    except FileNotFoundError:
        raise ModelkitError(f"{file} does not exist: write the labels there, a line each") from None
    except (OSError, ValueError, RecursionError) as error:
        problem = f"{file} cannot be read as labels ({error})"
        raise ModelkitError(f"{problem}: write a line each in UTF-8, or a JSON list") from None
    if not isinstance(given, list):
        raise ModelkitError(f"{file} is a JSON object: write its labels as a list, in the order of classes")
    labels = _plain(file, given)
    doubled = sorted({label for label in labels if labels.count(label) > 1})
    if doubled:
        raise ModelkitError(f"{file} has the label {doubled[0]!r} twice: give each class a name of its own")
    return labels


def _plain(file: Path, given: Sequence[object]) -> tuple[str, ...]:
    labels = tuple(label.strip() if isinstance(label, str) else "" for label in given)
    for place, label in enumerate(labels, 1):
        if not label:
            raise ModelkitError(f"{file}: label {place} is empty or no text: give each class a name")
        if not label.isprintable():
            raise ModelkitError(
                f"{file}: label {place} is {label!r}, which cannot be printed: give it another name"
            )
    return labels
