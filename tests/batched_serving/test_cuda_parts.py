"""How the parts of the GPU's engine are put together: with a pretended CUDA, on the processor."""

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import orjson
import pytest
import torch

from batched_serving import cuda, network
from batched_serving.engine import BatchedEngine
from batched_serving.network import load_folded
from serving_core.classifier import ImageClassifier, network_of
from serving_core.engine import Batching, Compute
from serving_core.errors import StartError
from serving_core.handler import Context
from serving_core.models.manifest import read_manifest
from serving_core.models.store import Model
from serving_core.process.serve import JsonLines
from tests.batched_serving.pretended_cuda import PretendedTorch
from tests.batched_serving.weather import WEIGHTS, classifier, pictures, plain_logits

MAX_BATCH = 3
# A processor computes half precision slowly; the network takes small pictures as well.
CROP = 32
WEATHER = classifier()
SMALL = replace(WEATHER, transform=replace(WEATHER.transform, crop=CROP))
EXAMPLE = [pictures(1, CROP)]
# of the smallest networks
SIDE, CLASSES = 16, 5


def made(monkeypatch: pytest.MonkeyPatch, pretended: PretendedTorch) -> cuda.CudaBackend:
    monkeypatch.setattr(cuda, "torch", pretended)
    compute = Compute(device="cuda", max_batch=MAX_BATCH, device_share=0.3)
    small = network_of(SMALL, "crop")
    return cuda.CudaBackend(load_folded(WEIGHTS, small), small, SMALL.transform, compute)


def assert_answers(backend: cuda.CudaBackend) -> None:
    """Batches of all sizes, small ones after large ones, answer as the plain network does."""
    batch = pictures(MAX_BATCH + 1, CROP)
    expected = plain_logits(batch)
    # kept until all are there: no batch may write where an earlier one's answers are
    found = [backend.predict([batch[-size:]])[0] for size in (MAX_BATCH + 1, 1, MAX_BATCH, 2, 1)]
    for answers in found:
        size = len(answers)
        assert answers.dtype == np.float32
        np.testing.assert_allclose(answers, expected[-size:], atol=SMALL.logit_tolerance, rtol=0)


def precision_line(caplog: pytest.LogCaptureFixture) -> dict[str, Any]:
    """The log's line about the precision, as the service writes it."""
    (record,) = [record for record in caplog.records if record.getMessage() == "precision"]
    line: dict[str, Any] = orjson.loads(JsonLines("batched").format(record))
    return line


@pytest.mark.slow
def test_every_bucket_has_a_graph_that_answers(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    pretended = PretendedTorch()
    backend = made(monkeypatch, pretended)
    assert backend.warm(EXAMPLE) == Batching(size=MAX_BATCH, in_flight=2, own_device=True)
    assert pretended.fraction == 0.3
    # buckets 1, 2 and 3, each sent through both slots
    assert [graph.replays for graph in pretended.graphs] == [2, 2, 2]
    assert_answers(backend)
    assert sum(graph.replays for graph in pretended.graphs) == 6 + 6
    line = precision_line(caplog)
    assert (line["precision"], line["same_class"]) == ("half", True)
    assert 0 < line["largest_difference"] <= line["allowed_difference"]


def test_single_precision_where_half_does_not_answer_alike(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(network, "SHARE", 0.0)
    backend = made(monkeypatch, PretendedTorch())
    backend.warm(EXAMPLE)
    assert precision_line(caplog)["precision"] == "single"
    batch = pictures(2, CROP)
    np.testing.assert_allclose(backend.predict([batch])[0], plain_logits(batch), atol=1e-3, rtol=0)


class OnlySingle(torch.nn.Module):
    """A network with single precision written into it, as into an exported program."""

    def __init__(self, whole: torch.nn.Module) -> None:
        super().__init__()
        self.whole = whole

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return logits of pixels in single precision."""
        if pixels.dtype != torch.float32:
            raise RuntimeError("expected scalar type Float\nbut found Half")
        logits: torch.Tensor = self.whole(pixels)
        return logits


def test_single_precision_where_the_network_cannot_be_halved(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    backend = made(monkeypatch, PretendedTorch())
    backend._network = OnlySingle(backend._network)
    backend.warm(EXAMPLE)
    line = precision_line(caplog)
    assert (line["precision"], line["cause"]) == ("single", "expected scalar type Float but found Half")
    batch = pictures(2, CROP)
    np.testing.assert_allclose(backend.predict([batch])[0], plain_logits(batch), atol=1e-3, rtol=0)


@pytest.mark.slow
def test_without_graphs_it_answers_too_and_warns_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pretended = PretendedTorch(fails=RuntimeError("operation not permitted\nwhen capturing"))
    backend = made(monkeypatch, pretended)
    backend.warm(EXAMPLE)
    (warning,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert "no CUDA graph" in warning.getMessage()
    assert warning.__dict__["cause"] == "operation not permitted when capturing"
    assert_answers(backend)
    assert [graph.replays for graph in pretended.graphs] == [0, 0]


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        (torch.cuda.OutOfMemoryError("tried to allocate"), "lower MAX_BATCH, or raise DEVICE_MEMORY_SHARE"),
        (RuntimeError("no kernel image is available"), "or set DEVICE=cpu"),
    ],
)
def test_a_gpu_that_fails_while_warming_ends_the_start_in_one_line(
    monkeypatch: pytest.MonkeyPatch, error: Exception, remedy: str
) -> None:
    backend = made(monkeypatch, PretendedTorch())

    def fails(*_: object) -> None:
        raise error

    monkeypatch.setattr(cuda, "CudaSlot", fails)
    with pytest.raises(StartError) as refusal:
        backend.warm(EXAMPLE)
    assert remedy in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_gpu_that_fails_at_first_touch_ends_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails() -> int:
        raise RuntimeError("driver too old")

    pretended = PretendedTorch()
    pretended.cuda = SimpleNamespace(**{**vars(pretended.cuda), "current_device": fails})
    with pytest.raises(StartError, match=r"driver too old.*DEVICE=cpu"):
        made(monkeypatch, pretended)


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (lambda: torch.nn.ReLU(), torch.float32),
        (lambda: torch.nn.Linear(2, 2).half(), torch.float16),
        (lambda: torch.nn.BatchNorm1d(2, affine=False).half(), torch.float16),
    ],
)
def test_a_network_has_a_precision_whatever_its_numbers_are(
    made: Callable[[], torch.nn.Module], expected: torch.dtype
) -> None:
    assert cuda.dtype_of(made()) == expected


class Means(torch.nn.Module):
    """A tiny network of images [n, 3, crop, crop], with parameters or without."""

    def __init__(self, classes: int = CLASSES) -> None:
        super().__init__()
        self.last = torch.nn.Linear(3, classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return scores [n, classes]."""
        scores: torch.Tensor = self.last(images.mean((2, 3)))
        return scores


class Fixed(torch.nn.Module):
    """As Means, but without a parameter."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return scores [n, CLASSES]."""
        return images.mean((2, 3)) @ torch.linspace(-2, 2, 3 * CLASSES).reshape(3, CLASSES)


def handler_of(
    monkeypatch: pytest.MonkeyPatch, folder: Path, module: torch.nn.Module, crop: int = SIDE, most: int = 64
) -> ImageClassifier:
    """A classifier of the program, on a pretended GPU; its manifest says `crop`."""
    monkeypatch.setattr(cuda, "torch", PretendedTorch())
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    shapes = ({0: torch.export.Dim("batch", max=most)},)
    program = torch.export.export(module.eval(), (torch.zeros(2, 3, SIDE, SIDE),), dynamic_shapes=shapes)
    torch.export.save(program, folder / "program.pt2")
    sizes = {"resize": crop, "crop": crop, "interpolation": "bilinear", "antialias": True}
    fields = {
        "name": "means",
        "kind": "image",
        "labels": [f"class {number}" for number in range(CLASSES)],
        "transform": {**sizes, "mean": [0.5] * 3, "std": [0.5] * 3},
    }
    read = read_manifest(orjson.dumps(fields), "model.json")
    handler = ImageClassifier()
    compute = Compute(device="cuda", max_batch=MAX_BATCH)
    handler.load(Model(folder / "program.pt2", read, cached=True), Context(BatchedEngine, compute, 10**6))
    return handler


@pytest.mark.parametrize(("make", "most", "size"), [(Means, 64, 3), (Fixed, 64, 3), (Means, 2, 2)])
def test_a_classifier_starts_and_answers_on_it(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    make: Callable[[], torch.nn.Module],
    most: int,
    size: int,
) -> None:
    """Whether or not the network has parameters; buckets end at a program's largest batch."""
    module = make()
    handler = handler_of(monkeypatch, tmp_path, module, most=most)
    handler.warm()
    assert handler.batching == Batching(size=size, in_flight=2, own_device=True)
    crops = [*pictures(MAX_BATCH, SIDE)[:, None]]
    pixels = torch.from_numpy(np.concatenate(crops)).permute(0, 3, 1, 2) / 255
    with torch.inference_mode():
        expected = module((pixels - 0.5) / 0.5).numpy()
    np.testing.assert_allclose(np.stack(handler.predict(crops)), expected, atol=0.02, rtol=0)


@pytest.mark.parametrize(
    ("classes", "crop", "says"),
    [
        (
            CLASSES + 2,
            SIDE,
            rf"gives \[{CLASSES + 2}\] scores of an image, its manifest says {CLASSES}: publish",
        ),
        (
            CLASSES,
            SIDE + 1,
            f"computes no image of crop {SIDE + 1} .*: publish the model and its manifest again",
        ),
    ],
)
def test_a_network_unlike_its_manifest_ends_the_start(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, classes: int, crop: int, says: str
) -> None:
    with pytest.raises(StartError, match=says):
        handler_of(monkeypatch, tmp_path, Means(classes), crop).warm()
