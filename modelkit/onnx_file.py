"""An ONNX graph as its maker wrote it: read whole, checked against what the runtime serves."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from google.protobuf.message import DecodeError, EncodeError
from onnx import AttributeProto, GraphProto, ModelProto, TensorProto, TypeProto, ValueInfoProto
from onnx.external_data_helper import ExternalDataInfo, load_external_data_for_model, uses_external_data

from modelkit import ModelkitError
from modelkit.file_kinds import unreadable_graph
from modelkit.signature import Port

CONTROL_FLOW = frozenset({"If", "Loop", "Scan"})
_MOST_BYTES = 2**31 - 1
_IR_OF_DEFAULTS = 4
_DATATYPES: Mapping[int, str] = {
    TensorProto.BOOL: "BOOL",
    TensorProto.UINT8: "UINT8",
    TensorProto.UINT16: "UINT16",
    TensorProto.UINT32: "UINT32",
    TensorProto.UINT64: "UINT64",
    TensorProto.INT8: "INT8",
    TensorProto.INT16: "INT16",
    TensorProto.INT32: "INT32",
    TensorProto.INT64: "INT64",
    TensorProto.FLOAT16: "FP16",
    TensorProto.FLOAT: "FP32",
    TensorProto.DOUBLE: "FP64",
    TensorProto.STRING: "BYTES",
}
# operators whose output holds their first input's values and no others
_CARRIERS = frozenset(
    {"Cast", "Identity", "Reshape", "Unsqueeze", "Squeeze", "Transpose", "Flatten", "Slice"}
)


def read_graph(file: Path) -> ModelProto:
    """Return the graph with its external data in it, and without defaults of inputs, which are constants.

    Raises ModelkitError if the file is no graph, or if its external data is missing or over 2 GiB.
    """
    _check_size(str(file), file.stat().st_size)
    model = ModelProto()
    try:
        model.ParseFromString(file.read_bytes())
    except DecodeError:
        raise unreadable_graph(file) from None
    if not model.HasField("graph"):
        raise unreadable_graph(file)
    if not model.graph.output:
        raise ModelkitError(f"{file} is a graph without outputs: export it again, with the outputs to serve")
    external = [tensor for tensor in _tensors(model.graph) if uses_external_data(tensor)]
    if external:
        _check_external(file, external)
        try:
            load_external_data_for_model(model, str(file.parent))
        # the library raises what its C++ part raises, of several classes
        except Exception as error:  # noqa: BLE001 - see the line above
            cause = " ".join(str(error).split())[:160]
            raise ModelkitError(
                f"{file}: its external data cannot be read ({cause}): export it again"
            ) from None
    _drop_defaults(model)
    return model


def _drop_defaults(model: ModelProto) -> None:
    """Take inputs that have a default out of the inputs: no request gives them, so they are constants."""
    # before IR version 4 every constant is an input too, and ONNX Runtime takes none of them for an input
    if model.ir_version >= _IR_OF_DEFAULTS:
        constants = _constants(model.graph)
        kept = [value for value in model.graph.input if value.name not in constants]
        del model.graph.input[:]
        model.graph.input.extend(kept)


def _constants(graph: GraphProto) -> set[str]:
    sparse = (tensor.values.name for tensor in graph.sparse_initializer)
    return {*(tensor.name for tensor in graph.initializer), *sparse}


def save_graph(model: ModelProto, path: Path, source: Path) -> None:
    """Write the graph that was read or made of `source`; raises ModelkitError if it is over 2 GiB."""
    try:
        content = model.SerializeToString()
    except (EncodeError, ValueError):  # which of the two is the library's choice
        content = None
    if content is None or len(content) > _MOST_BYTES:
        raise ModelkitError(
            f"{source} makes a graph of over 2 GiB, which no file holds: export it in float16"
        )
    path.write_bytes(content)


def _check_external(file: Path, external: list[TensorProto]) -> None:
    total = file.stat().st_size
    for location in sorted({ExternalDataInfo(tensor).location for tensor in external}):
        data = file.parent / location
        if not location:
            raise ModelkitError(f"{file} does not say which file holds its weights: export it again")
        if Path(location).is_absolute() or ".." in Path(location).parts:
            problem = f"{file} has its weights in {location}, which is not in its folder"
            raise ModelkitError(f"{problem}: export it again, with a location beside the graph")
        if not data.is_file():
            problem = f"{file} has its weights in {location}, which is missing"
            raise ModelkitError(f"{problem}: put {location} beside it")
        # the library reads neither; a cache of downloaded models has links
        if data.is_symlink() or data.stat().st_nlink > 1:
            problem = f"{file} has its weights in {location}, which is a link"
            raise ModelkitError(f"{problem}: copy the graph and {location} into a folder, with cp -L")
        total += data.stat().st_size
    _check_size(f"{file} and its external data", total)


def _check_size(what: str, total: int) -> None:
    if total > _MOST_BYTES:
        problem = f"{what}: {total / 2**30:.1f} GiB, and one graph holds 2 GiB"
        raise ModelkitError(f"{problem}: export it in float16 or int8")


def _graphs(graph: GraphProto) -> Iterator[GraphProto]:
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == AttributeProto.GRAPH:
                yield from _graphs(attribute.g)
            for inner in attribute.graphs:
                yield from _graphs(inner)


def _tensors(graph: GraphProto) -> Iterator[TensorProto]:
    for inner in _graphs(graph):
        yield from inner.initializer
        for node in inner.node:
            for attribute in node.attribute:
                if attribute.HasField("t"):
                    yield attribute.t
                yield from attribute.tensors


def control_flow(model: ModelProto) -> list[str]:
    """Return the names of the graph's operators that hold graphs themselves."""
    return sorted({node.op_type for graph in _graphs(model.graph) for node in graph.node} & CONTROL_FLOW)


def ports(model: ModelProto) -> tuple[tuple[Port, ...], tuple[Port, ...]]:
    """Return the graph's inputs and outputs.

    Raises ModelkitError for a tensor of a datatype that is not served, and for what is not a tensor.
    """
    constants = _constants(model.graph)
    taken = [value for value in model.graph.input if value.name not in constants]
    if not taken:
        raise ModelkitError("the graph has no inputs: a model that always gives the same is not served")
    inputs, outputs = (tuple(_port(value) for value in values) for values in (taken, model.graph.output))
    for port, value in zip(inputs, taken, strict=True):
        if port.dims is None:
            raise ModelkitError(f"the input {port.name} states no shape: export it with its number of axes")
        if any(
            size.HasField("dim_value") and not size.dim_value for size in value.type.tensor_type.shape.dim
        ):
            problem = f"the input {port.name} has an axis of size 0, so it holds nothing"
            raise ModelkitError(f"{problem}: export it with a size that varies, or without this input")
    return inputs, outputs


def _port(value: ValueInfoProto) -> Port:
    if not value.name.isprintable():
        raise ModelkitError(f"the name {value.name!r} cannot be printed: export the graph with other names")
    kind = value.type.WhichOneof("value")
    if kind is None:
        raise ModelkitError(f"{value.name} states no type: export the graph with the types of its outputs")
    if kind == "sequence_type":
        problem = f"{value.name} is a sequence (of maps, where ZipMap made it), not a tensor"
        remedy = "convert with options={'zipmap': False} (skl2onnx), or export a tensor"
        raise ModelkitError(f"{problem}: {remedy}")
    if kind != "tensor_type":
        what = kind.removesuffix("_type").replace("_", " ")
        raise ModelkitError(f"{value.name} is of the type {what}, not a tensor: export a tensor")
    tensor = value.type.tensor_type
    datatype = _DATATYPES.get(tensor.elem_type)
    if datatype is None:
        known = TensorProto.DataType.values()
        name = TensorProto.DataType.Name(tensor.elem_type) if tensor.elem_type in known else tensor.elem_type
        problem = f"{value.name} has datatype {name}, which no request can carry"
        raise ModelkitError(f"{problem}: cast it to float32 in the graph, or export the model in float32")
    return Port(value.name, datatype, _dims(value.name, tensor))


def _dims(name: str, tensor: TypeProto.Tensor) -> tuple[int | str, ...] | None:
    """Return the sizes; one that has no name gets its axis's, or the input's own if it is not the first."""
    if not tensor.HasField("shape"):
        return None
    return tuple(
        size.dim_value
        if size.dim_value > 0
        else size.dim_param or ("batch" if axis == 0 else f"{name}_{axis}")
        for axis, size in enumerate(tensor.shape.dim)
    )


def integer_bounds(model: ModelProto, inputs: tuple[Port, ...]) -> dict[str, int]:
    """Return, for each input whose values index a table of the graph, the table's length."""
    lengths = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    origin = {port.name: port.name for port in inputs}
    bounds: dict[str, int] = {}
    for node in model.graph.node:
        first = node.input[0] if node.input else ""
        if node.op_type in _CARRIERS and first in origin:
            origin[node.output[0]] = origin[first]
        elif node.op_type == "Gather" and first in lengths and node.input[1] in origin:
            axis = next((attribute.i for attribute in node.attribute if attribute.name == "axis"), 0)
            name = origin[node.input[1]]
            bounds[name] = min(bounds.get(name, _MOST_BYTES), lengths[first][axis])
    return bounds
