"""Models of tensors, published into folders in every form: small, of several signatures, always the same."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from safetensors.torch import save_file
from torch import nn

from tests.running.encoder import WIDTH, encoder

ARCHITECTURE = "tests.running.encoder:encoder"
OPSET = 17
Tensors = Sequence[tuple[str, str, Sequence[int]]]


def publish(folder: Path, name: str, inputs: Tensors, outputs: Tensors, batch: str, **more: Any) -> None:
    """Write the manifest of a model of tensors beside the files that the folder has."""
    files = {
        path.name: {"bytes": path.stat().st_size, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
        for path in sorted(folder.iterdir())
        if path.name != "model.json"
    }
    listed = [
        [{"name": name, "datatype": datatype, "shape": [*shape]} for name, datatype, shape in tensors]
        for tensors in (inputs, outputs)
    ]
    manifest = {
        "name": name,
        "version": "1",
        "kind": "tensors",
        "files": files,
        "inputs": listed[0],
        "outputs": listed[1],
        "batch": batch,
        **more,
    }
    (folder / "model.json").write_text(json.dumps(manifest), encoding="utf-8")


def publish_encoder(folder: Path) -> None:
    """Publish an encoder of tokens of any length, batched, as graph, program and weights."""
    network = encoder()
    both = {0: torch.export.Dim("batch"), 1: torch.export.Dim("length", max=512)}
    example = (torch.zeros(2, 5, dtype=torch.long), torch.ones(2, 5))
    program = torch.export.export(network, example, dynamic_shapes={"tokens": both, "mask": both})
    torch.export.save(program, folder / "program.pt2")
    save_file(network.state_dict(), folder / "weights.safetensors")
    state = {name: value.numpy() for name, value in network.state_dict().items()}
    _save_graph(
        folder,
        [
            helper.make_node("Gather", ["table.weight", "tokens"], ["embedded"]),
            helper.make_node("Unsqueeze", ["mask", "last"], ["deep"]),
            helper.make_node("Mul", ["embedded", "deep"], ["kept"]),
            helper.make_node("ReduceMean", ["kept"], ["mean"], axes=[1], keepdims=0),
            helper.make_node("Gemm", ["mean", "head.weight", "head.bias"], ["embedding"], transB=1),
            helper.make_node("ReduceSum", ["mask", "second"], ["count"], keepdims=0),
        ],
        [("tokens", TensorProto.INT64, ["n", "length"]), ("mask", TensorProto.FLOAT, ["n", "length"])],
        [("embedding", TensorProto.FLOAT, ["n", WIDTH]), ("count", TensorProto.FLOAT, ["n"])],
        {**state, "last": torch.tensor([2]).numpy(), "second": torch.tensor([1]).numpy()},
    )
    publish(
        folder,
        "encoder",
        [("tokens", "INT64", [-1]), ("mask", "FP32", [-1])],
        [("embedding", "FP32", [WIDTH]), ("count", "FP32", [])],
        "any",
        architecture=ARCHITECTURE,
    )


def publish_doubler(folder: Path, name: str, batch: str) -> None:
    """Publish a model that doubles three numbers, with a fixed batch of one or with no batch's axis."""
    shape = [1, 3] if batch == "one" else [3]
    program = torch.export.export(_Doubled(), (torch.ones(shape, dtype=torch.float64),))
    torch.export.save(program, folder / "program.pt2")
    _save_graph(
        folder,
        [helper.make_node("Add", ["numbers", "numbers"], ["doubled"])],
        [("numbers", TensorProto.DOUBLE, shape)],
        [("doubled", TensorProto.DOUBLE, shape)],
        {},
    )
    publish(folder, name, [("numbers", "FP64", [3])], [("doubled", "FP64", [3])], batch)


def publish_words(folder: Path) -> None:
    """Publish a graph that gives its only input, text, back."""
    _save_graph(
        folder,
        [helper.make_node("Identity", ["words"], ["again"])],
        [("words", TensorProto.STRING, ["n", 1])],
        [("again", TensorProto.STRING, ["n", 1])],
        {},
    )
    publish(folder, "words", [("words", "BYTES", [])], [("again", "BYTES", [])], "any")


class _Doubled(nn.Module):
    def forward(self, numbers: torch.Tensor) -> torch.Tensor:
        return numbers + numbers


def _save_graph(
    folder: Path,
    nodes: Sequence[Any],
    inputs: Sequence[Any],
    outputs: Sequence[Any],
    constants: dict[str, Any],
) -> None:
    values = [
        [helper.make_tensor_value_info(name, kind, shape) for name, kind, shape in tensors]
        for tensors in (inputs, outputs)
    ]
    weights = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "graph", values[0], values[1], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, folder / "model.onnx")
