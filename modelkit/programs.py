"""Programs of torch.export (.pt2), read without unpickling anything and without running code of the file.

PyTorch's own torch.export.load unpickles parts of some files, loads compiled libraries of others, and
evaluates the Python expressions that a file holds. Here a file is checked first: its graph may call PyTorch's
operators and nothing else. What needs a pickle is refused; example inputs and guards are not read. PyTorch's
own reader opens the archive for the checks too, since two readers may find different records in one file.
"""

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import SymInt, nn
from torch.export import ExportedProgram
from torch.export.passes import move_to_device_pass

from modelkit.program_texts import faults, within

PROGRAM_FILE = "model"
_GRAPH = f"models/{PROGRAM_FILE}.json"
LONGEST_CAUSE = 200
PROCESSOR = torch.device("cpu")


class ProgramError(ValueError):
    """The file is not a program that may run here; the message is one line that ends with the remedy."""


def read_program(path: Path, device: torch.device = PROCESSOR) -> ExportedProgram:
    """Return the program in a .pt2 file; raises ProgramError if it is damaged, newer or not to be trusted.

    The program has no example inputs and no guards. Its weights, its constants and what its operators make
    are on the device, wherever it was exported; raises RuntimeError if a device beside the processor fails.
    """
    # PyTorch's public function also reads what is pickled: these are the parts that it does the rest with
    from torch.export.pt2_archive._package import PT2ArchiveReader, _load_constants, _load_state_dict

    stated: Any = None
    try:
        with PT2ArchiveReader(str(path)) as reader:
            _check_records(path, reader.get_file_names())
            _check_size(path, reader)
            _check_payloads(path, reader)
            stated = json.loads(reader.read_bytes(_GRAPH))
            program = _checked(path, stated)
            state, constants = _load_state_dict(reader, PROGRAM_FILE), _load_constants(reader, PROGRAM_FILE)
        made = _deserialised(program, state, constants)
    except ProgramError:
        raise
    except Exception as error:  # noqa: BLE001 - what PyTorch raises for a file it cannot read is not documented
        raise _unreadable(path, stated, f"{type(error).__name__}: {error}") from None
    try:
        return move_to_device_pass(made, device)
    except Exception as error:
        if device != PROCESSOR and isinstance(error, RuntimeError):
            raise
        raise _unreadable(path, stated, f"{type(error).__name__}: {error}") from None


def _check_records(path: Path, records: Sequence[str]) -> None:
    """Raise ProgramError if the file holds something that only a pickle or a library's code could be."""
    # PyTorch finds a record whatever the case of its name is
    names = {name.lower() for name in records}
    if len(names) < len(records):
        raise _not_a_program(path, "two of its records have one name")
    for name in names:
        if name.startswith("data/aotinductor/"):
            raise ProgramError(f"{path.name} holds compiled code: export it with torch.export.save alone")
        pickled = name in {f"data/{part}/{PROGRAM_FILE}.pt" for part in ("weights", "constants")}
        if pickled or name.startswith(("data/constants/custom_obj_", "data/constants/opaque_obj_")):
            raise _pickled(path, name)
    models = [name for name in records if name.startswith("models/")]
    if models != [_GRAPH]:
        raise _not_a_program(path, f"its models are {models}")


def _check_size(path: Path, reader: Any) -> None:
    """Raise ProgramError if the records are larger than the file: PyTorch compresses none."""
    total = sum(reader.archive_file.get_record_size(name) for name in reader.get_file_names())
    if total > path.stat().st_size:
        raise _not_a_program(path, f"it is compressed, from {total} bytes")


def _check_payloads(path: Path, reader: Any) -> None:
    """Raise ProgramError if a weight or a constant is no plain tensor; it raises what a damaged file does."""
    from torch._export.serde import schema
    from torch._export.serde.serialize import _dict_to_dataclass
    from torch.export.pt2_archive import constants
    from torch.export.pt2_archive.constants import ARCHIVE_VERSION_PATH, ARCHIVE_VERSION_VALUE

    if (version := reader.read_string(ARCHIVE_VERSION_PATH)) != ARCHIVE_VERSION_VALUE:
        raise ValueError(f"it is an archive of version {version[:20]}")
    for config_file, plain in (
        (constants.WEIGHTS_CONFIG_FILENAME_FORMAT, constants.WEIGHT_FILENAME_PREFIX),
        (constants.CONSTANTS_CONFIG_FILENAME_FORMAT, constants.TENSOR_CONSTANT_FILENAME_PREFIX),
    ):
        config = _dict_to_dataclass(  # type: ignore[no-untyped-call]  # untyped there
            schema.PayloadConfig, json.loads(reader.read_bytes(config_file.format(PROGRAM_FILE)))
        )
        for name, payload in config.config.items():
            if payload.use_pickle is not False or not re.fullmatch(rf"{plain}\d+", payload.path_name):
                raise _pickled(path, name)
        _raise_faults(path, config)


def _pickled(path: Path, name: str) -> ProgramError:
    return ProgramError(
        f"{path.name} holds {name[:80]!r} as a pickle, which is not read: "
        "export the model with plain tensors as its weights and constants"
    )


def _checked(path: Path, stated: Any) -> Any:
    """Return the program in PyTorch's schema, without what its graph does not need; raises ProgramError.

    Dropped are guards, the names of types, and metadata: traces of the source, and functions of its language;
    and the ranges of sizes such as 2*s40, which follow from those of s40.
    """
    from torch._export.serde import schema
    from torch._export.serde.serialize import _dict_to_dataclass

    program = _dict_to_dataclass(schema.ExportedProgram, stated)  # type: ignore[no-untyped-call]  # untyped there
    program.guards_code, program.torch_version = [], ""
    program.graph_module.treespec_namedtuple_fields = {}
    ranges = program.range_constraints
    program.range_constraints = {name: ranges[name] for name in ranges if name.isidentifier()}
    for _, part in within(program):
        if isinstance(part, (schema.GraphModule, schema.Node)):
            part.metadata = {}
    if any(made.type == "as_string" for made in program.graph_module.graph.outputs):
        raise ProgramError(f"{path.name} returns a text: export a module whose forward returns tensors alone")
    _raise_faults(path, program)
    return program


def _raise_faults(path: Path, part: Any) -> None:
    for fault in faults(part):
        raise ProgramError(
            f"{path.name} {fault}: export the model again, from tensors and PyTorch's own operators"
        )


def _deserialised(program: Any, state: Any, constants: Any) -> ExportedProgram:
    from torch._export.serde.serialize import ExportedProgramDeserializer

    made: ExportedProgram = ExportedProgramDeserializer().deserialize(program, state, constants)
    return made


@dataclass(frozen=True, slots=True)
class _Axes:
    """The axes of a program's inputs that have one size together, from `least` to `most`."""

    places: tuple[tuple[int, int], ...]
    least: int
    most: float

    def check(self, inputs: tuple[Any, ...]) -> None:
        sizes = {inputs[place].shape[axis] for place, axis in self.places}
        if len(sizes) > 1:
            raise ValueError(
                f"the inputs have sizes {sorted(sizes)} where the model has one: make them equal"
            )
        (size,) = sizes
        if not self.least <= size <= self.most:
            raise ValueError(f"an input has size {size}: the model takes {self.least} to {self.most:g}")


def runnable(program: ExportedProgram) -> nn.Module:
    """Return the program as a module that checks the sizes of its inputs in some microseconds.

    Raises ProgramError if it makes none. Calling it with sizes that the program was not exported for raises
    ValueError, or what PyTorch raises.
    """
    try:
        _bound_arithmetic(program)
        module: nn.Module = program.module(check_guards=False)
        axes = _axes(program)
    except Exception as error:  # noqa: BLE001 - what PyTorch raises for a contradictory program is not documented
        cause = _short(f"{type(error).__name__}: {error}")
        raise ProgramError(f"the program makes no module ({cause}): export the model again") from None
    if axes is not None:
        # PyTorch's own check takes as long as a small network
        module._forward_pre_hooks.clear()
        rules = [rule for rule in axes if len(rule.places) > 1 or rule.least > 0 or rule.most < math.inf]
        if rules:
            module.register_forward_pre_hook(lambda _, inputs: _check_axes(rules, inputs))
    return module


def _bound_arithmetic(program: ExportedProgram) -> None:
    """Give sizes such as 2*s40 the range that follows from that of s40, for PyTorch's own check."""
    from torch.utils._sympy.value_ranges import bound_sympy

    ranges: Any = program.range_constraints
    wanted = dict.fromkeys(program.graph_signature.user_inputs)
    for node in program.graph.nodes:
        for size in getattr(node.meta["val"], "shape", ()) if node.name in wanted else ():
            if isinstance(size, SymInt) and not (size.node.expr.is_Symbol or size.node.expr.is_Integer):
                ranges[size.node.expr] = bound_sympy(size.node.expr, ranges)


def _check_axes(rules: list[_Axes], inputs: tuple[Any, ...]) -> None:
    for rule in rules:
        rule.check(inputs)


def _axes(program: ExportedProgram) -> list[_Axes] | None:
    """Return the rules for the inputs' sizes that vary; None if one of them is not a plain symbol."""
    wanted = dict.fromkeys(program.graph_signature.user_inputs)
    shapes = [node.meta["val"].shape for node in program.graph.nodes if node.name in wanted]
    places: dict[Any, list[tuple[int, int]]] = {}
    for place, shape in enumerate(shapes):
        for axis, size in enumerate(shape):
            if not isinstance(size, SymInt):
                places.setdefault(int(size), []).append((place, axis))
            elif size.node.expr.is_Symbol:
                places.setdefault(size.node.expr, []).append((place, axis))
            else:
                return None
    return [_rule(program, size, tuple(where)) for size, where in places.items()]


def _rule(program: ExportedProgram, size: Any, where: tuple[tuple[int, int], ...]) -> _Axes:
    if isinstance(size, int):
        return _Axes(where, size, size)
    allowed = program.range_constraints[size]
    most = int(allowed.upper) if allowed.upper.is_Integer else math.inf
    return _Axes(where, int(allowed.lower), most)


def _unreadable(path: Path, stated: Any, cause: str) -> ProgramError:
    by = str(stated.get("torch_version", "")) if isinstance(stated, dict) else ""
    here = torch.__version__
    if _numbers(by) > _numbers(here):
        return ProgramError(
            f"{path.name} was exported by PyTorch {_release(by)}, and this is {_release(here)} "
            f"({_short(cause)}): export it with PyTorch {_release(here)} or older"
        )
    return _not_a_program(path, cause)


def _not_a_program(path: Path, cause: str) -> ProgramError:
    return ProgramError(
        f"{path.name} is not a whole program of torch.export ({_short(cause)}): "
        f"write it with torch.export.save of PyTorch {_release(torch.__version__)}"
    )


def _release(version: str) -> str:
    return version.partition("+")[0][:20]


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", _release(version))[:2])


def _short(cause: str) -> str:
    return " ".join(cause.split())[:LONGEST_CAUSE]
