"""A graph in the runtime that ENGINE names, checked against its manifest."""

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path

from serving_core.engine import Compute, Takes
from serving_core.engine_choices import Runtime
from serving_core.errors import StartError
from serving_core.network import IMAGE, NORMALISED, Arrays, Network
from serving_core.runtimes.graph import GraphPort, OpenedGraph
from serving_core.tensors import BYTES, TensorSpec

# what a graph of an image classifier may take; with PIXELS=graph it is the first
TAKES: Sequence[Takes] = ("image", "normalised")
# the class of each runtime, and what says that its package is missing: the lock that has it
RUNTIMES: Mapping[Runtime, tuple[str, str]] = {
    "onnxruntime": ("serving_core.runtimes.ort:OrtGraph", "onnx"),
    "openvino": ("serving_core.runtimes.vino:VinoGraph", "openvino"),
}
# what an image classifier's graph should take -> what is said of a file that takes the other
OTHERS = {
    IMAGE: "has no transform of images, and PIXELS=graph leaves that to the graph: give ONNX_MODEL_URI the "
    "address of model.onnx, or set PIXELS to pillow, simd or native",
    NORMALISED: "has the transform of images inside, and PIXELS says who prepares them outside of the graph: "
    "give ONNX_MODEL_URI the address of network.onnx, or set PIXELS=graph",
}


class OnnxGraph:
    """One opened graph; each calling thread computes on one core."""

    def __init__(self, path: Path, network: Network, compute: Compute) -> None:
        """Open the graph; raises StartError if it is not a graph of this model, or the runtime is missing."""
        self._graph = graph = _opened(path, compute)
        if _is_the_other_graph(network, graph.inputs):
            raise StartError(f"{path.name} {OTHERS[network.inputs[0].name]}")
        wrong = _differences(network, graph)
        if wrong:
            raise StartError(
                f"{path.name} differs from its manifest ({wrong}): publish the graph and its manifest again"
            )
        self._inputs = [spec.name for spec in network.inputs]
        self._outputs = [spec.name for spec in network.outputs]
        self._deep_inputs, self._deep_outputs = (
            _deep(network, network.inputs, graph.inputs),
            _deep(network, network.outputs, graph.outputs),
        )

    def predict(self, inputs: Arrays) -> Arrays:
        """Return the graph's outputs in the manifest's order; raises Uncomputable."""
        feed = dict(zip(self._inputs, inputs, strict=True))
        for number in self._deep_inputs:
            feed[self._inputs[number]] = inputs[number][..., None]
        made = self._graph.run(self._outputs, feed)
        for number in self._deep_outputs:
            made[number] = made[number][..., 0]
        return made


def _opened(path: Path, compute: Compute) -> OpenedGraph:
    name, lock = RUNTIMES[compute.runtime]
    module, _, graph = name.partition(":")
    try:
        make: Callable[[Path, Compute], OpenedGraph] = getattr(import_module(module), graph)
    except ModuleNotFoundError as error:
        raise StartError(
            f"ENGINE={compute.runtime}: the package {error.name} is missing: "
            f"`sh tools/install.sh locks/{lock}.txt .venv` installs it"
        ) from None
    return make(path, compute)


def _is_the_other_graph(network: Network, inputs: Sequence[GraphPort]) -> bool:
    """Tell whether an image classifier's graph has the transform inside and should not, or the reverse."""
    taken, (wanted, *_) = {port.name for port in inputs}, network.inputs
    return network.pixels is not None and taken == OTHERS.keys() - {wanted.name}


def _deep(network: Network, specs: Sequence[TensorSpec], ports: Sequence[GraphPort]) -> list[int]:
    """Return the places of strings to which the graph gives an axis of their own, [n, 1] and not [n]."""
    ranks = {port.name: len(port.sizes) for port in ports}
    return [
        place
        for place, spec in enumerate(specs)
        if spec.datatype == BYTES and ranks[spec.name] > len(_shape(network, spec))
    ]


def _differences(network: Network, graph: OpenedGraph) -> str:
    """Return in words how the graph's inputs and outputs differ from the manifest's; "" if they do not."""
    taken = {port.name: port for port in graph.inputs}
    made = {port.name: port for port in graph.outputs}
    wrong = []
    if taken.keys() != {spec.name for spec in network.inputs}:
        wrong.append(f"its inputs are {[*taken]}, the manifest's {[spec.name for spec in network.inputs]}")
    if strangers := [spec.name for spec in network.outputs if spec.name not in made]:
        wrong.append(f"its outputs are {[*made]}, without the manifest's {strangers}")
    for specs, ports in ((network.inputs, taken), (network.outputs, made)):
        wrong += [
            f"{spec.name} is {_written(ports[spec.name])}, the manifest's is {_wanted(network, spec)}"
            for spec in specs
            if spec.name in ports and not _fits(network, spec, ports[spec.name])
        ]
    return "; ".join(wrong)


def _written(port: GraphPort) -> str:
    return f"{port.datatype} {[*port.sizes]}"


def _wanted(network: Network, spec: TensorSpec) -> str:
    return f"{spec.datatype} {[*_shape(network, spec)]}"


def _shape(network: Network, spec: TensorSpec) -> tuple[int, ...]:
    front = {"any": (-1,), "one": (1,), "none": ()}[network.batch]
    return (*front, *spec.shape)


def _fits(network: Network, spec: TensorSpec, port: GraphPort) -> bool:
    """Tell whether the graph's tensor can be the spec's; a size that one of them does not fix may be any."""
    if port.datatype != spec.datatype:
        return False
    wanted, sizes = _shape(network, spec), port.sizes
    if spec.datatype == BYTES and len(sizes) == len(wanted) + 1 and sizes[-1] in (-1, 1):
        sizes = sizes[:-1]
    if not sizes and spec in network.outputs:  # of no known shape: the first answer shows it
        return True
    if network.batch == "any" and sizes[:1] != (-1,):
        return False
    return len(sizes) == len(wanted) and all(
        -1 in (known, size) or known == size for known, size in zip(wanted, sizes, strict=True)
    )
