"""The export to one ONNX graph: the reference transform, then the network from PyTorch's exporter."""

import logging
import tempfile
import warnings
from pathlib import Path

import onnx
import torch
from onnx import compose

from modelkit.graph import check_graph, compare, graph_logits, read_expected, read_tolerance
from modelkit.manifest import GRAPH_WEIGHTS_KEY, WEIGHTS_FILE, Transform, file_entry, read_transform
from modelkit.network import MobileNetV3Small
from modelkit.reference import Reference, load_network
from modelkit.transform_graph import IR_VERSION, OPSET, transform_model


def export(model_dir: Path, images: Path, output: Path) -> None:
    """Write the graph to `output` if it agrees with the live reference and with the committed answers.

    Raises ParityError, and leaves `output` unchanged, if it does not agree.
    """
    network, transform = load_network(model_dir / WEIGHTS_FILE), read_transform(model_dir)
    graph = whole_graph(network, transform)
    weights = file_entry(model_dir / WEIGHTS_FILE)
    onnx.helper.set_model_props(graph, {GRAPH_WEIGHTS_KEY: weights["sha256"]})
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.parent) as folder:
        made = Path(folder) / output.name
        onnx.save(graph, made)
        print(f"live reference: {_against_reference(made, images, model_dir)}")
        print(f"committed answers: {check_graph(made, images, model_dir)}")
        made.replace(output)
    print(f"{output}: {len(graph.graph.node)} nodes, {output.stat().st_size / 1e6:.1f} MB")


def _against_reference(graph: Path, images: Path, model_dir: Path) -> object:
    answers = read_expected(images)
    expected = Reference(model_dir).logits([(answer.file, answer.content) for answer in answers])
    logits = graph_logits(graph, answers)
    return compare([answer.file for answer in answers], expected, logits, read_tolerance(model_dir))


def whole_graph(network: MobileNetV3Small, transform: Transform) -> onnx.ModelProto:
    """Return the graph from uint8 `image` [batch, height, width, 3] to float32 `logits` [batch, classes]."""
    classifier = network_graph(network, transform.crop)
    joined = compose.merge_models(transform_model(transform), classifier, [("pixels", "normalised")])
    onnx.checker.check_model(joined, full_check=True)
    return joined


def network_graph(network: MobileNetV3Small, side: int) -> onnx.ModelProto:
    """Return the network alone, from float32 `normalised` [batch, 3, side, side] to `logits`."""
    example = torch.zeros(2, 3, side, side)
    with warnings.catch_warnings():
        # the exporter's own dependencies emit warnings that no change here could avoid
        warnings.simplefilter("ignore")
        # each export logs that torchvision is missing, but this network does not use its operators
        logging.getLogger("torch.onnx._internal.exporter._registration").setLevel(logging.ERROR)
        program = torch.onnx.export(
            network.eval(),
            (example,),
            input_names=["normalised"],
            output_names=["logits"],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
    if program is None:
        raise RuntimeError("the exporter returned no program")
    graph = program.model_proto
    graph.ir_version = IR_VERSION
    return graph
