"""The engines refuse a file that is not the manifest's in one line, before anything is served."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch

from batched_serving.engine import BatchedEngine
from onnx_serving.engine import OnnxEngine
from serving_core.classifier import ImageClassifier, network_of
from serving_core.engine import Compute, Engine, Takes, Uncomputable, uncomputable
from serving_core.errors import StartError
from serving_core.handler import Context
from serving_core.models.manifest import Classifier, ServedTransform, read_manifest, read_tensors
from serving_core.models.store import Model
from serving_core.network import Network
from serving_core.preparation.preparer import Preparer
from serving_core.tensors import TensorSpec
from tests.running.encoder import encoder
from tests.running.tensor_models import publish_doubler, publish_encoder
from torch_serving.engine import TorchEngine

CROP, CLASSES = 32, 5
CLASSIFIER = Classifier(None, ("a", "b", "c"), ServedTransform(CROP, CROP, (0, 0, 0), (1, 1, 1)), 0.05, False)
ENGINES: dict[str, tuple[Callable[[], Engine], str]] = {
    "onnx": (OnnxEngine, "model.onnx"),
    "torch program": (TorchEngine, "program.pt2"),
    "torch weights": (TorchEngine, "weights.safetensors"),
    "batched program": (BatchedEngine, "program.pt2"),
    "batched weights": (BatchedEngine, "weights.safetensors"),
}


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the encoder."""
    folder = tmp_path_factory.mktemp("encoder")
    publish_encoder(folder)
    return folder


def network(folder: Path) -> Network:
    """What the folder's manifest says."""
    read = read_tensors(read_manifest((folder / "model.json").read_bytes(), "model.json"))
    return Network(read.inputs, read.outputs, read.batch, read.architecture)


@pytest.mark.parametrize("name", ENGINES)
def test_each_form_computes_the_same(name: str, published: Path) -> None:
    make, file = ENGINES[name]
    engine = make()
    engine.load(published / file, network(published), Compute(device="cpu", max_batch=4))
    tokens = np.array([[1, 2, 3], [7, 8, 9]])
    mask = np.array([[1, 1, 1], [1, 0, 1]], np.float32)
    engine.warm([[tokens[:1], mask[:1]]])
    with torch.inference_mode():
        expected = encoder()(torch.from_numpy(tokens), torch.from_numpy(mask))
    for found, wanted in zip(engine.predict([tokens, mask]), expected, strict=True):
        np.testing.assert_allclose(found, wanted.numpy(), atol=1e-5)


TOKENS, MASK = TensorSpec("tokens", "INT64", (-1,)), TensorSpec("mask", "FP32", (-1,))
WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "a name": (
        {"inputs": (TensorSpec("ids", "INT64", (-1,)), MASK)},
        r"its inputs are \['tokens', 'mask'\], the manifest's \['ids', 'mask'\]",
    ),
    "an input too few": ({"inputs": (TOKENS,)}, "its inputs are"),
    "a datatype": (
        {"inputs": (replace(TOKENS, datatype="INT32"), MASK)},
        r"tokens is INT64 \[-1, -1\], the manifest's is INT32 \[-1, -1\]",
    ),
    "a rank": ({"inputs": (replace(TOKENS, shape=()), MASK)}, r"the manifest's is INT64 \[-1\]"),
    "an output": ({"outputs": (TensorSpec("scores", "FP32", (8,)),)}, r"without the manifest's \['scores'\]"),
    "an output's size": (
        {"outputs": (TensorSpec("embedding", "FP32", (9,)),)},
        r"embedding is FP32 \[-1, 8\], the manifest's is FP32 \[-1, 9\]",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_graph_of_another_signature_is_refused(case: str, published: Path) -> None:
    changes, says = WRONG[case]
    with pytest.raises(StartError, match=says) as refusal:
        OnnxEngine().load(
            published / "model.onnx", replace(network(published), **changes), Compute(device="cpu")
        )
    assert str(refusal.value).endswith("publish the graph and its manifest again")
    assert "\n" not in str(refusal.value)


def test_a_fixed_batch_is_no_batch_of_any_size(tmp_path: Path) -> None:
    publish_doubler(tmp_path, "single", "one")
    with pytest.raises(StartError, match=r"numbers is FP64 \[1, 3\], the manifest's is FP64 \[-1, 3\]"):
        OnnxEngine().load(
            tmp_path / "model.onnx", replace(network(tmp_path), batch="any"), Compute(device="cpu")
        )


def graph_of(folder: Path, name: str, takes: Takes) -> Path:
    """A graph that takes an image classifier's input in this form, and gives no more than means of it."""
    (source,) = network_of(CLASSIFIER, takes).inputs
    kind = onnx.TensorProto.FLOAT if source.datatype == "FP32" else onnx.TensorProto.UINT8
    front = 1 if takes == "image" else "batch"
    sides = [front, *(size if size > 0 else f"side {place}" for place, size in enumerate(source.shape))]
    axes = [1, 2] if takes == "image" else [2, 3]
    graph = onnx.helper.make_graph(
        [
            onnx.helper.make_node("Cast", [source.name], ["numbers"], to=onnx.TensorProto.FLOAT),
            onnx.helper.make_node("ReduceMean", ["numbers"], ["logits"], axes=axes, keepdims=0),
        ],
        name,
        [onnx.helper.make_tensor_value_info(source.name, kind, sides)],
        [onnx.helper.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, [front, 3])],
    )
    made = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(made, folder / f"{name}.onnx")
    return folder / f"{name}.onnx"


@pytest.mark.parametrize(
    ("has", "wanted", "says"),
    [
        ("normalised", "image", ("set PIXELS to pillow, simd or native", "the address of model.onnx")),
        ("image", "normalised", ("set PIXELS=graph", "the address of network.onnx")),
    ],
)
def test_a_graph_that_does_not_fit_pixels_is_refused_with_both_remedies(
    tmp_path: Path, has: Takes, wanted: Takes, says: tuple[str, str]
) -> None:
    path = graph_of(tmp_path, "some", has)
    with pytest.raises(StartError) as refused:
        OnnxEngine().load(path, network_of(CLASSIFIER, wanted), Compute())
    message = str(refused.value)
    assert message.startswith("some.onnx has ")
    assert "ONNX_MODEL_URI" in message
    assert all(remedy in message for remedy in says)
    assert "\n" not in message
    OnnxEngine().load(path, network_of(CLASSIFIER, has), Compute())


class Classes(torch.nn.Module):
    """A tiny network of images: it has the softmax inside, or not."""

    def __init__(self, softmax: bool) -> None:
        super().__init__()
        self._softmax = softmax

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return scores [n, CLASSES] of normalised images."""
        means = images.mean((2, 3)) @ torch.linspace(-2, 2, 3 * CLASSES).reshape(3, CLASSES)
        return means.softmax(1) if self._softmax else means


def classifier(
    folder: Path, make_engine: Callable[[], Engine], *, inside: bool, said: bool, pixels: Preparer = "graph"
) -> ImageClassifier:
    """A handler of a network that has the softmax inside, or not, and whose manifest says so, or not."""
    path = folder / "program.pt2"
    dynamic = {"images": {0: torch.export.Dim("batch")}}
    program = torch.export.export(Classes(inside), (torch.zeros(2, 3, CROP, CROP),), dynamic_shapes=dynamic)
    torch.export.save(program, path)
    transform = {"resize": CROP, "crop": CROP, "interpolation": "bicubic", "antialias": True}
    fields = {
        "name": "classes",
        "kind": "image",
        "labels": list("abcde"),
        "softmax": said,
        "transform": {**transform, "mean": [0.5] * 3, "std": [0.5] * 3},
    }
    read = read_manifest(json.dumps(fields).encode(), "model.json")
    made = ImageClassifier()
    made.load(
        Model(path, read, cached=True), Context(make_engine, Compute(device="cpu"), 10**6, pixels=pixels)
    )
    return made


@pytest.mark.parametrize("make_engine", [TorchEngine, BatchedEngine])
def test_a_softmax_inside_the_network_gives_the_same_answers(
    tmp_path: Path, make_engine: Callable[[], Engine]
) -> None:
    answers = []
    for inside in (True, False):
        handler = classifier(tmp_path, make_engine, inside=inside, said=inside)
        handler.warm()
        assert [spec.name for spec in handler.outputs] == ["logits", "probabilities", "label"][inside:]
        item = handler.example()
        outputs = handler.postprocess(handler.predict([handler.preprocess(handler.decode(item))])[0])
        assert outputs.keys() == {spec.name for spec in handler.outputs}
        answers.append(handler.answer(outputs, None))
    assert answers[0]["prediction"] == answers[1]["prediction"]
    assert answers[0]["probabilities"] == pytest.approx(answers[1]["probabilities"], abs=1e-6)


@pytest.mark.parametrize("make_engine", [TorchEngine, BatchedEngine])
@pytest.mark.parametrize("pixels", ["pillow", "simd"])
def test_services_of_pytorch_take_crops_whoever_makes_them(
    tmp_path: Path, make_engine: Callable[[], Engine], pixels: Preparer
) -> None:
    found = []
    for preparer in ("graph", pixels):
        handler = classifier(tmp_path, make_engine, inside=False, said=False, pixels=preparer)
        handler.warm()
        item = handler.example()
        (made,) = handler.predict([handler.preprocess(handler.decode(item))])
        found.append(made)
    # two levels of 255, over the deviation of 0.5, times the network's weights
    np.testing.assert_allclose(found[0], found[1], atol=0.05 if pixels == "simd" else 0)


def test_a_softmax_that_is_not_inside_is_noticed_at_the_start(tmp_path: Path) -> None:
    handler = classifier(tmp_path, TorchEngine, inside=False, said=True)
    with pytest.raises(StartError, match=r"probabilities sum to .*: publish it without softmax"):
        handler.warm()


def test_a_network_of_other_classes_than_its_labels_ends_the_start(tmp_path: Path) -> None:
    handler = classifier(tmp_path, TorchEngine, inside=False, said=False)
    handler._network = replace(handler._network, outputs=(TensorSpec("logits", "FP32", (7,)),))
    with pytest.raises(StartError, match=r"'logits' is float32 \[1, 5\], its manifest says FP32 \[1, 7\]"):
        handler.warm()


class Doubled(torch.nn.Module):
    """Doubles rows."""

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Return rows of the same shape."""
        return rows + rows


@pytest.mark.parametrize(("most", "size"), [(3, 2), (16, 16)])
def test_a_programs_largest_batch_is_kept_to(tmp_path: Path, most: int, size: int) -> None:
    dynamic = {"rows": {0: torch.export.Dim("batch", max=most)}}
    torch.export.save(
        torch.export.export(Doubled(), (torch.ones(2, 3),), dynamic_shapes=dynamic), tmp_path / "program.pt2"
    )
    rows = (TensorSpec("rows", "FP32", (3,)),)
    engine = BatchedEngine()
    engine.load(tmp_path / "program.pt2", Network(rows, rows), Compute(device="cpu", max_batch=32))
    engine.warm([[np.ones((1, 3), np.float32)]])
    assert engine.batching.size <= size
    with pytest.raises(Uncomputable, match=f"the model takes 0 to {most}"):
        engine.predict([np.ones((most + 1, 3), np.float32)])


@pytest.mark.parametrize(
    ("said", "whose"),
    [
        ("index out of range in self", Uncomputable),
        ("[enforce fail] DefaultCPUAllocator: can't allocate memory", RuntimeError),
        ("CUDA error: an illegal memory access was encountered", RuntimeError),
    ],
)
def test_memory_that_ran_out_is_no_fault_of_the_input(said: str, whose: type[Exception]) -> None:
    assert type(uncomputable(RuntimeError(said))) is whose


def test_what_a_graph_cannot_compute_writes_nothing_of_its_own(
    published: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A client could fill the log with it, and a line of the log is JSON."""
    engine = OnnxEngine()
    engine.load(published / "model.onnx", network(published), Compute(device="cpu"))
    with pytest.raises(Uncomputable):
        engine.predict([np.array([[999]]), np.ones((1, 1), np.float32)])
    assert capfd.readouterr() == ("", "")
