"""The export to one ONNX graph: the reference transform, then the network from PyTorch's exporter."""

import logging
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path

import onnx
import torch
from torch import nn
from torch.export import ExportedProgram

from modelkit.agreement import check_agreement
from modelkit.graph import check_graph, check_network, compare, graph_logits, read_expected, read_tolerance
from modelkit.image_graph import NETWORK_INPUT, with_names, with_transform
from modelkit.manifest import (
    GRAPH_WEIGHTS_KEY,
    WEIGHTS_FILE,
    Transform,
    file_entry,
    network_beside,
    quantised_beside,
    read_transform,
)
from modelkit.quantised import quantise
from modelkit.reference import Reference, load_network
from modelkit.transform_graph import IR_VERSION, OPSET


def export(model_dir: Path, images: Path, output: Path) -> None:
    """Write the graph to `output` if it agrees with the live reference and with the committed answers.

    The network alone, from float32 `input` [batch, 3, crop, crop], normalised, to `logits`, is written beside
    it, and the same in int8. Raises ParityError, and leaves all files unchanged, if one does not agree.
    """
    network, transform = load_network(model_dir / WEIGHTS_FILE), read_transform(model_dir)
    weights = file_entry(model_dir / WEIGHTS_FILE)
    alone = network_graph(network, transform.crop)
    named = with_names(alone, NETWORK_INPUT, "logits")
    graphs = {
        output: whole_graph(alone, transform),
        network_beside(output): named,
        quantised_beside(output): quantise(named, transform),
    }
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.parent) as folder:
        for place, graph in graphs.items():
            onnx.helper.set_model_props(graph, {GRAPH_WEIGHTS_KEY: weights["sha256"]})
            onnx.save(graph, Path(folder) / place.name)
        made, made_alone, quantised = (Path(folder) / place.name for place in graphs)
        print(f"live reference: {_against_reference(made, images, model_dir)}")
        print(f"committed answers: {check_graph(made, images, model_dir)}")
        print(f"committed answers, the network alone: {check_network(made_alone, images, model_dir)}")
        print(f"committed answers, in int8: {check_agreement(quantised, images, model_dir)}")
        for place, graph in graphs.items():
            (Path(folder) / place.name).replace(place)
            print(f"{place}: {len(graph.graph.node)} nodes, {place.stat().st_size / 1e6:.1f} MB")


def _against_reference(graph: Path, images: Path, model_dir: Path) -> object:
    answers = read_expected(images)
    expected = Reference(model_dir).logits([(answer.file, answer.content) for answer in answers])
    logits = graph_logits(graph, answers)
    return compare([answer.file for answer in answers], expected, logits, read_tolerance(model_dir))


def whole_graph(network: onnx.ModelProto, transform: Transform) -> onnx.ModelProto:
    """Return the graph from uint8 `image` [batch, height, width, 3] to float32 `logits` [batch, classes]."""
    joined = with_transform(network, transform, "logits")
    onnx.checker.check_model(joined, full_check=True)
    return joined


class NotExportedError(Exception):
    """PyTorch's exporter cannot make a graph; the message is its own, in one line."""


def network_graph(network: nn.Module, side: int) -> onnx.ModelProto:
    """Return the network alone, from float32 `normalised` [batch, 3, side, side] to `logits`."""
    sizes = ({0: torch.export.Dim("batch")},)
    program = torch.export.export(network.eval(), (torch.zeros(2, 3, side, side),), dynamic_shapes=sizes)
    return program_graph(program, ["normalised"], ["logits"])


def program_graph(program: ExportedProgram, inputs: Sequence[str], outputs: Sequence[str]) -> onnx.ModelProto:
    """Return the graph of a program, with these names; its first varying size is named "batch".

    Raises NotExportedError.
    """
    with warnings.catch_warnings():
        # the exporter's own dependencies emit warnings that no change here could avoid
        warnings.simplefilter("ignore")
        # each export logs that torchvision is missing, but these networks do not use its operators
        logging.getLogger("torch.onnx._internal.exporter._registration").setLevel(logging.ERROR)
        # and that an output which is a constant is not stored once only
        logging.getLogger("onnx_ir").setLevel(logging.ERROR)
        try:
            made = torch.onnx.export(
                program,
                (),
                input_names=list(inputs),
                output_names=list(outputs),
                opset_version=OPSET,
                dynamo=True,
                verbose=False,
            )
        # the exporter raises what the translation of each operator raises
        except Exception as error:  # noqa: BLE001 - see the line above
            raise NotExportedError(_first_cause(error)) from None
    if made is None:
        raise RuntimeError("the exporter returned no program")
    graph = made.model_proto
    graph.ir_version = IR_VERSION
    _name_batch(graph)
    return graph


def _first_cause(error: BaseException) -> str:
    """Return in one line what the exporter met, which its own message wraps in advice."""
    while error.__cause__ is not None:
        error = error.__cause__
    return " ".join(str(error).split())[:200] or type(error).__name__


def changed_state(program: ExportedProgram) -> list[str]:
    """Return the names of the inputs and of the buffers that the program changes whenever it runs.

    Raises NotExportedError.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # as in program_graph
            # an exported program names them only once its operators change nothing in place
            signature = program.run_decompositions({}).graph_signature
    # see program_graph
    except Exception as error:  # noqa: BLE001 - see the line above
        raise NotExportedError(_first_cause(error)) from None
    changed = (
        signature.user_inputs_to_mutate,
        signature.buffers_to_mutate,
        signature.parameters_to_mutate,
    )
    return [name for some in changed for name in some.values()]


def _name_batch(graph: onnx.ModelProto) -> None:
    """Name the size that the first axis of all inputs has "batch", as a program's symbols say nothing."""
    shapes = [value.type.tensor_type.shape.dim for value in graph.graph.input]
    firsts = {shape[0].dim_param if shape else "" for shape in shapes}
    if len(firsts) != 1 or not all(firsts):
        return
    (symbol,) = firsts
    for value in (*graph.graph.input, *graph.graph.output, *graph.graph.value_info):
        for size in value.type.tensor_type.shape.dim:
            if size.dim_param == symbol:
                size.dim_param = "batch"
