"""The graph that services load of an image classifier: the reference transform, then the network."""

from collections.abc import Iterator

import onnx
from onnx import AttributeProto, GraphProto, ModelProto, compose, version_converter

from modelkit import ModelkitError
from modelkit.manifest import Transform
from modelkit.transform_graph import IR_VERSION, OLDEST_OPSET, OPSET, transform_model

IMAGE = "image"
NETWORK_INPUT = "input"
_PIXELS = "pixels"
_PREFIX = "network/"
_OLDEST_IR = 8
_SCORES_AXES = 2


def with_transform(network: ModelProto, transform: Transform, output: str) -> ModelProto:
    """Return the graph from uint8 `image` [batch, height, width, 3] to `output`, float32 [batch, classes].

    `network` takes normalised float32 [batch, 3, crop, crop] as its only input and has one output. It is left
    as it is. Raises ModelkitError if its opset is too old for the transform's operators, or if the two cannot
    be one graph.
    """
    network = _modern(network)
    before = transform_model(transform, opset=_opset(network), ir_version=network.ir_version)
    taken = {IMAGE, _PIXELS, output} | _names(before.graph)
    source, given = _input(network), network.graph.output[0].name
    if (_names(network.graph) - {source, given}) & taken or source == given:
        network = compose.add_prefix(network, _PREFIX)
        source, given = _PREFIX + source, _PREFIX + given
    _rename(network, given, output)
    sizes = network.graph.output[0].type.tensor_type.shape.dim
    while len(sizes) < _SCORES_AXES:  # the graph states no shape, which the library needs
        sizes.add()
    try:
        joined = compose.merge_models(before, network, [(_PIXELS, source)])
    except (ValueError, onnx.checker.ValidationError) as error:
        cause = " ".join(str(error).split())[:160]
        raise ModelkitError(
            f"the transform cannot be put before the graph ({cause}): export it again"
        ) from None
    joined.graph.output[0].type.tensor_type.shape.dim[0].dim_param = "batch"
    return joined


def with_names(graph: ModelProto, source_name: str, output: str) -> ModelProto:
    """Return a graph of one input and one output with these names; `graph` is left as it is."""
    made = ModelProto()
    made.CopyFrom(graph)
    constants = {tensor.name for tensor in made.graph.initializer}
    source = next(value.name for value in made.graph.input if value.name not in constants)
    given = made.graph.output[0].name
    kept = {name for name, wanted in ((source, source_name), (given, output)) if name == wanted}
    if (_names(made.graph) - kept) & {source_name, output}:
        made = compose.add_prefix(made, _PREFIX)
        source, given = _PREFIX + source, _PREFIX + given
    _rename(made, given, output)
    _rename(made, source, source_name)
    return made


def _rename(model: ModelProto, old: str, new: str) -> None:
    """Give a tensor of the graph another name, in place."""
    if old == new:
        return
    for graph in _graphs(model.graph):
        for node in graph.node:
            for names in (node.input, node.output):
                names[:] = [new if name == old else name for name in names]
        for value in (*graph.input, *graph.output, *graph.value_info):
            if value.name == old:
                value.name = new


def _modern(network: ModelProto) -> ModelProto:
    """Return a copy of an opset and IR version that the transform's operators have, without unused inputs."""
    made = ModelProto()
    made.CopyFrom(network)
    made.ir_version = max(made.ir_version, _OLDEST_IR)
    constants = {tensor.name for tensor in made.graph.initializer}
    inputs = [value for value in made.graph.input if value.name not in constants]
    del made.graph.input[:]
    made.graph.input.extend(inputs)
    if _opset(made) >= OLDEST_OPSET:
        return made
    made.ir_version = IR_VERSION
    try:
        return version_converter.convert_version(made, OPSET)
    # the converter's exceptions share no base class but Exception
    except Exception as error:  # noqa: BLE001 - see the line above
        problem = f"the graph has opset {_opset(network)}, which cannot be brought to {OPSET}"
        cause = " ".join(str(error).split())[:160]
        raise ModelkitError(f"{problem} ({cause}): export it with opset {OLDEST_OPSET} or newer") from None


def _opset(model: ModelProto) -> int:
    return next((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), OPSET)


def _input(model: ModelProto) -> str:
    return str(model.graph.input[0].name)


def _names(graph: GraphProto) -> set[str]:
    """Return the names of all tensors and nodes, those with a type alone too."""
    return {
        name
        for inner in _graphs(graph)
        for name in (
            *(value.name for value in (*inner.input, *inner.output, *inner.value_info)),
            *(tensor.name for tensor in inner.initializer),
            *(name for node in inner.node for name in (node.name, *node.output)),
        )
        if name
    }


def _graphs(graph: GraphProto) -> Iterator[GraphProto]:
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == AttributeProto.GRAPH:
                yield from _graphs(attribute.g)


def last_operator(model: onnx.ModelProto) -> str:
    """Return the operator that computes the first output, past those that change no number."""
    made = {name: node for node in model.graph.node for name in node.output}
    name = model.graph.output[0].name
    while name in made and made[name].op_type in ("Identity", "Cast", "Reshape", "Squeeze", "Flatten"):
        name = made[name].input[0]
    return made[name].op_type if name in made else ""
