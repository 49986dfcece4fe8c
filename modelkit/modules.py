"""A network from a file: a program of torch.export, or weights that an architecture of the user's takes."""

import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from modelkit.network import WeightsError, read_state
from modelkit.programs import PROCESSOR, ProgramError, read_program, runnable

PROGRAM_SUFFIX = ".pt2"
WEIGHTS_SUFFIX = ".safetensors"
LONGEST_CAUSE = 200
_OWN_NETWORKS = "modelkit.network"
# names in older manifests, and the networks that they mean
_OLDER_NAMES = {"mobilenet_v3_small": f"{_OWN_NETWORKS}:MobileNetV3Small"}
# A manifest may be a stranger's: it names networks, and nothing else that is installed here.
_NO_NETWORKS = frozenset(
    {
        *("batched_serving", "bench", "modelkit", "onnx_serving", "peers", "serving_core", "torch_serving"),
        *("_distutils_hack", "distutils", "functorch", "pip", "pkg_resources", "setuptools", "torch"),
        *("sitecustomize", "torchgen", "usercustomize", "wheel"),
    }
)
# what PyTorch, or a program's rules for sizes, raise for inputs that a network cannot compute
OF_INPUTS = (IndexError, RuntimeError, ValueError)


class ModuleError(ValueError):
    """A file and its architecture give no network; the message is one line that ends with the remedy."""


def load_module(path: Path, architecture: str | None, device: torch.device = PROCESSOR) -> nn.Module:
    """Return the network in a file, in eval mode; it is called with its inputs in order.

    A .pt2 file is a program, which computes on the device, as do the tensors that its own forward makes; a
    .safetensors file holds weights for `architecture`, "package.module:factory", and stays on the processor.
    Nothing is unpickled. Raises ModuleError, and RuntimeError if the device fails.
    """
    if path.suffix == PROGRAM_SUFFIX:
        try:
            return runnable(read_program(path, device))
        except ProgramError as error:
            raise ModuleError(str(error)) from None
    if path.suffix == ".onnx":
        raise ModuleError(f"{path.name} is an ONNX graph: give a .pt2 or .safetensors, or use onnx_serving")
    if path.suffix != WEIGHTS_SUFFIX:
        raise ModuleError(
            f"{path.name} is not a {WEIGHTS_SUFFIX} file, and other weights are not read: "
            "save them with safetensors.torch.save_file"
        )
    if architecture is None:
        raise ModuleError(
            f"{path.name} holds weights, and its manifest no architecture: "
            "publish it with package.module:factory, or publish a .pt2"
        )
    network = make_network(architecture)
    try:
        state = _with_shared(network, read_state(path))
    except WeightsError as error:
        raise ModuleError(f"{path.name} is {error}: save it again with safetensors.torch.save_file") from None
    _check_kinds(path, architecture, network, state)
    try:
        network.load_state_dict(state, strict=True)
    except (RuntimeError, TypeError) as error:
        cause = " ".join(str(error).split())[:LONGEST_CAUSE]
        raise ModuleError(
            f"{path.name} does not fit the architecture {architecture} ({cause}): "
            "publish the weights with the code that they were trained with"
        ) from None
    return network.eval()


def _with_shared(network: nn.Module, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the state with the names that it leaves out because another name has the same tensor."""
    own = network.state_dict(keep_vars=True)
    held = {id(own[name]): tensor for name, tensor in state.items() if name in own}
    return {**{name: held[id(tensor)] for name, tensor in own.items() if id(tensor) in held}, **state}


def _check_kinds(path: Path, architecture: str, network: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Raise ModuleError if the file holds integers for floats, as quantised weights are."""
    for name, tensor in network.state_dict().items():
        if not isinstance(tensor, Tensor):  # the extra state of a module
            continue
        given = state.get(name, tensor).dtype
        if tensor.dtype.is_floating_point and not given.is_floating_point:
            raise ModuleError(
                f"{path.name} has {name} as {given}, and {architecture} takes {tensor.dtype}: "
                "publish the weights with the code that they were trained with"
            )


def in_order(made: Any) -> Sequence[Tensor]:
    """Return the tensors of a module's result: a tensor, or several in a tuple, a list or a mapping."""
    if isinstance(made, Tensor):
        return (made,)
    several: Sequence[Tensor] = [*made.values()] if isinstance(made, Mapping) else made
    return several


def make_network(architecture: str) -> nn.Module:
    """Return what "package.module:factory" makes without arguments; raises ModuleError.

    The factory is a class of networks, or a function that its package defines: never one of the standard
    library, of PyTorch, of what installs packages or of the services.
    """
    architecture = _OLDER_NAMES.get(architecture, architecture)
    module_name, _, name = architecture.partition(":")
    parts = [*module_name.split("."), name]
    if not all(part.isidentifier() and not part.startswith("__") for part in parts):
        raise ModuleError(f"the architecture is {architecture!r}: write package.module:factory")
    if parts[0] in sys.stdlib_module_names:
        raise ModuleError(
            f"the architecture {architecture} is of Python's standard library: name a module of your own"
        )
    if parts[0] in _NO_NETWORKS and module_name != _OWN_NETWORKS:
        raise ModuleError(
            f"the architecture {architecture} is of {parts[0]}, which has no networks to serve: "
            "name a module of your own"
        )
    factory = _factory(architecture, module_name, name)
    try:
        network = factory()
    except (Exception, SystemExit) as error:
        raise ModuleError(f"the architecture {architecture} {_raised(error)}: mend it") from error
    if not isinstance(network, nn.Module):
        raise ModuleError(
            f"the architecture {architecture} makes a {type(network).__name__}: make it return an nn.Module"
        )
    return network


def _factory(architecture: str, module_name: str, name: str) -> Callable[[], object]:
    try:
        factory: Any = getattr(import_module(module_name), name, None)
    except ModuleNotFoundError as error:
        missing = error.name or module_name
        if module_name == missing or module_name.startswith(missing + "."):
            raise ModuleError(
                f"the architecture {architecture} is not here, there is no module {missing}: "
                "build the image with MODEL_CODE, or set PYTHONPATH"
            ) from None
        raise ModuleError(f"the architecture {architecture} needs {missing}: install it") from None
    except (Exception, SystemExit) as error:
        raise ModuleError(f"the architecture {architecture} {_raised(error)}: mend it") from error
    if not _is_a_factory(factory, module_name):
        raise ModuleError(
            f"the architecture {architecture}: {module_name} has no function {name} of its own "
            "and no nn.Module of that name: name the module that defines it"
        )
    try:
        inspect.signature(factory).bind()
    except (TypeError, ValueError) as error:
        raise ModuleError(
            f"the architecture {architecture} is not made without arguments ({error}): "
            "name a function that takes none"
        ) from None
    made: Callable[[], object] = factory
    return made


def _is_a_factory(found: Any, module_name: str) -> bool:
    """Tell whether a module's attribute makes networks: what it imported from elsewhere is not called."""
    if inspect.isclass(found):
        return issubclass(found, nn.Module)
    package, _, _ = module_name.partition(".")
    return inspect.isfunction(found) and found.__module__.partition(".")[0] == package


def _raised(error: BaseException) -> str:
    return "raises " + " ".join(f"{type(error).__name__}: {error}".split())[:LONGEST_CAUSE]
