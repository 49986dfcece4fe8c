"""Models of PyTorch as files: a torch.export program, or weights with the architecture that takes them."""

import logging
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import SymInt, Tensor, nn
from torch.export import Dim, ExportedProgram

from modelkit import ModelkitError
from modelkit.add import Intake
from modelkit.export import NotExportedError, changed_state, program_graph
from modelkit.forms import ComputationError, Form, one_line
from modelkit.manifest import PROGRAM_FILE, WEIGHTS_FILE
from modelkit.modules import OF_INPUTS, ModuleError, in_order, load_module
from modelkit.onnx_file import integer_bounds, save_graph
from modelkit.programs import ProgramError, read_program, runnable
from modelkit.signature import DATATYPES, Port, Tensors

_EXPORTED_GRAPH = "exported.onnx"
_MOST = 2**31 - 1
# what differs from these would be fixed in the export as a constant
_EXAMPLE_BATCH = 2
# a network may take no short input, as a convolution with a long kernel
_EXAMPLE_SIZES = (8, 64, 224)
_DATATYPES = {
    torch.from_numpy(np.zeros(0, dtype)).dtype: name for name, dtype in DATATYPES.items() if name != "BYTES"
}


@dataclass(frozen=True, slots=True)
class InputShape:
    """An input as the command line states it: -1 is a size that varies, the batch is in front."""

    name: str
    datatype: str
    dims: tuple[int, ...]


def module_form(name: str, module: nn.Module) -> Form:
    """Return the form of a network or program that runs eagerly."""

    def run(values: Tensors) -> list[NDArray[Any]]:
        try:
            with torch.inference_mode():
                # a module may change what it is given
                made = in_order(module(*(torch.from_numpy(value.copy()) for value in values)))
                return [tensor.numpy() for tensor in made]
        except OF_INPUTS as error:
            raise ComputationError(one_line(error)) from None

    return Form(name, run)


def read_program_file(file: Path, output_names: Sequence[str], folder: Path) -> Intake:
    """Read a .pt2 program, which is not unpickled; raises ModelkitError if it cannot be served."""
    try:
        program = read_program(file)
        inputs = _inputs(file, program)
        form = module_form(file.name, runnable(program))
    except ProgramError as error:
        raise ModelkitError(str(error)) from None
    copy = folder / PROGRAM_FILE
    shutil.copyfile(file, copy)
    return _intake(file, form, program, inputs, output_names, (copy,), folder, None)


def _inputs(file: Path, program: ExportedProgram) -> tuple[Port, ...]:
    positional, keywords = program.call_spec.in_spec.children()
    if keywords.num_children or any(not spec.is_leaf() for spec in positional.children()):
        problem = f"{file} takes lists, mappings or keyword arguments"
        raise ModelkitError(f"{problem}: export a module whose forward takes tensors by position")
    values = {node.name: node.meta["val"] for node in program.graph.nodes if node.op == "placeholder"}
    ports = tuple(_port(file, name, values.get(str(name))) for name in program.graph_signature.user_inputs)
    _check_least_batch(file, program, ports)
    return ports


def _check_least_batch(file: Path, program: ExportedProgram, inputs: Sequence[Port]) -> None:
    limits = _limits(program)
    firsts = {str(port.dims[0]) for port in inputs if port.dims}
    least = limits.get(firsts.pop(), (1, 1))[0] if len(firsts) == 1 else 1
    if least > 1:
        by = ", as Dim.AUTO and Dim.DYNAMIC make it" if least == 2 else ""
        problem = f"{file} takes batches of at least {least} items{by}"
        raise ModelkitError(f"{problem}: export it with dynamic_shapes={{0: torch.export.Dim('batch')}}")


def _port(file: Path, name: object, value: object) -> Port:
    if not isinstance(value, Tensor):
        problem = f"{file}: {name} is not a tensor"
        raise ModelkitError(f"{problem}: export a module whose forward takes and returns tensors alone")
    datatype = _DATATYPES.get(value.dtype)
    if datatype is None:
        problem = f"{file}: {name} has datatype {value.dtype}, which no request can carry"
        raise ModelkitError(f"{problem}: cast it to float32 in forward, or export the model in float32")
    dims = tuple(_size(size) for size in value.shape)
    return Port(str(name), datatype, dims)


def _size(size: int | SymInt) -> int | str:
    """Return a size as a number, or as the symbol's name; a symbol may stand for a number that was found."""
    if isinstance(size, int) or size.node.expr.is_Integer:
        return int(size)
    return str(size.node.expr)


def _outputs(file: Path, program: ExportedProgram, names: Sequence[str]) -> tuple[Port, ...]:
    made = program.graph.output_node().args[0]
    values = made if isinstance(made, (tuple, list)) else (made,)
    wanted = program.graph_signature.user_outputs
    # what is changed in place comes first
    tensors = values[len(values) - len(wanted) :]
    spec = program.call_spec.out_spec
    if not spec.is_leaf() and not issubclass(spec.type, (tuple, list, Mapping)):
        problem = f"{file} returns a {spec.type.__name__}"
        raise ModelkitError(f"{problem}: export a module that returns tensors in a tuple or a dictionary")
    if not spec.is_leaf() and any(not child.is_leaf() for child in spec.children()):
        raise ModelkitError(f"{file} returns nested tuples: export a module that returns tensors in a tuple")
    default = ["output"] if len(tensors) == 1 else [f"output_{place}" for place in range(len(tensors))]
    chosen = list(names) or default
    if len(chosen) != len(tensors):
        problem = f"{len(chosen)} output names are given, and {file} has {len(tensors)} outputs"
        raise ModelkitError(f"{problem}: give a name for each")
    return tuple(
        _port(file, name, node.meta["val"] if isinstance(node, torch.fx.Node) else node)
        for name, node in zip(chosen, tensors, strict=True)
    )


def _limits(program: ExportedProgram) -> dict[str, tuple[int, int]]:
    """Return the least and the greatest value of each size that varies."""
    return {
        str(symbol): (
            max(1, int(allowed.lower)),
            int(allowed.upper) if allowed.upper.is_Integer else _MOST,
        )
        for symbol, allowed in program.range_constraints.items()
        if symbol.is_Symbol
    }


def _intake(
    file: Path,
    form: Form,
    program: ExportedProgram,
    inputs: tuple[Port, ...],
    output_names: Sequence[str],
    files: tuple[Path, ...],
    folder: Path,
    architecture: str | None,
) -> Intake:
    """Export the program to a graph, and return both."""
    outputs = _outputs(file, program, output_names)
    names = [port.name for port in (*inputs, *outputs)]
    if len(set(names)) < len(names):
        raise ModelkitError(f"{file} has two tensors of one name: give others with --output-names")
    try:
        if changed := changed_state(program):
            problem = f"{file} changes {', '.join(changed)[:80]} whenever it runs"
            raise ModelkitError(f"{problem}: call .eval() before the export, and let forward change copies")
        graph = program_graph(program, [port.name for port in inputs], [port.name for port in outputs])
    except NotExportedError as error:
        problem = f"{file} cannot be exported to ONNX ({error})"
        raise ModelkitError(f"{problem}: write what it names with other operators of PyTorch") from None
    path = folder / _EXPORTED_GRAPH
    save_graph(graph, path, file)
    bounds = integer_bounds(graph, inputs)
    return Intake(form, path, inputs, outputs, bounds, _limits(program), files, architecture)


def read_weights_file(
    file: Path,
    architecture: str,
    shapes: Sequence[InputShape],
    output_names: Sequence[str],
    folder: Path,
) -> Intake:
    """Read weights with the architecture "package.module:factory" that takes them strictly.

    Raises ModelkitError if the network cannot be made, computed or exported.
    """
    try:
        network = load_module(file, architecture)
    except ModuleError as error:
        raise ModelkitError(str(error)) from None
    program = exported(file, network, shapes)
    values = {node.name: node.meta["val"] for node in program.graph.nodes if node.op == "placeholder"}
    taken = [str(name) for name in program.graph_signature.user_inputs]
    inputs = tuple(
        Port(shape.name, shape.datatype, _port(file, name, values.get(name)).dims)
        for shape, name in zip(shapes, taken, strict=True)
    )
    _check_varying(shapes, inputs)
    copy = folder / WEIGHTS_FILE
    shutil.copyfile(file, copy)
    form = module_form(file.name, network)
    return _intake(file, form, program, inputs, output_names, (copy,), folder, architecture)


def exported(file: Path, network: nn.Module, shapes: Sequence[InputShape]) -> ExportedProgram:
    """Return the network as a program whose sizes vary where the shapes say -1; raises ModelkitError."""
    varying = tuple(
        {axis: Dim.AUTO for axis, size in enumerate(shape.dims) if size == -1} for shape in shapes
    )
    cause = ""
    # what it raises is said below in one line
    logging.getLogger("torch._subclasses.fake_tensor").setLevel(logging.CRITICAL)
    for size in _EXAMPLE_SIZES:
        examples = tuple(_example(shape, size) for shape in shapes)
        try:
            return torch.export.export(network, examples, dynamic_shapes=_by_argument(network, varying))
        # what a network of the user's raises while it is traced
        except Exception as error:  # noqa: BLE001 - see the line above
            cause = cause or one_line(error)
        if not any(-1 in shape.dims[1:] for shape in shapes):
            break
    stated = ", ".join(f"{shape.name}:{shape.datatype}{list(shape.dims)}" for shape in shapes)
    problem = f"{file} cannot be exported with the inputs {stated} ({cause})"
    raise ModelkitError(f"{problem}: state its inputs with --input, or mend forward")


def _by_argument(network: nn.Module, varying: tuple[dict[int, Any], ...]) -> Any:
    """Return the varying axes in the form that suits a forward with *args too."""
    import inspect

    kinds = [argument.kind for argument in inspect.signature(network.forward).parameters.values()]
    return (varying,) if inspect.Parameter.VAR_POSITIONAL in kinds else varying


def _example(shape: InputShape, varying: int) -> Tensor:
    sizes = [
        size if size != -1 else varying if axis else _EXAMPLE_BATCH for axis, size in enumerate(shape.dims)
    ]
    return torch.from_numpy(np.zeros(sizes, DATATYPES[shape.datatype]))


def _check_varying(shapes: Sequence[InputShape], inputs: Sequence[Port]) -> None:
    for shape, port in zip(shapes, inputs, strict=True):
        for axis, (stated, found) in enumerate(zip(shape.dims, port.dims or (), strict=True)):
            if stated == -1 and isinstance(found, int):
                problem = f"axis {axis} of {shape.name} does not vary in this network"
                raise ModelkitError(f"{problem}: state its size in --input, or mend forward")
