"""batched_serving computes an ONNX graph in batches, and then needs no PyTorch."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from batched_serving import best_batching as timing_module
from batched_serving.onnx_engine import LEAST, BatchedOnnxEngine
from onnx_serving.engine import OnnxEngine
from serving_core.classifier import network_of
from serving_core.engine import Batching, Compute
from serving_core.errors import StartError
from tests.services.test_engines import CLASSIFIER, graph_of

ROOT = Path(__file__).parents[2]
NETWORK = network_of(CLASSIFIER, "normalised")
(SOURCE,) = NETWORK.inputs


def inputs(count: int) -> list[np.ndarray]:
    return [np.random.default_rng(3).standard_normal((count, *SOURCE.shape), np.float32)]


def loaded(folder: Path, **compute: int) -> BatchedOnnxEngine:
    made = BatchedOnnxEngine()
    made.load(graph_of(folder, "network", "normalised"), NETWORK, Compute(**compute))  # type: ignore[arg-type]
    return made


def test_each_row_of_a_batch_is_what_onnx_serving_answers_to_it_alone(tmp_path: Path) -> None:
    engine, alone = loaded(tmp_path), OnnxEngine()
    alone.load(tmp_path / "network.onnx", NETWORK, Compute())
    (batch,) = inputs(7)
    (rows,) = engine.predict([batch])
    for row, one in zip(rows, batch, strict=True):
        np.testing.assert_allclose(row, alone.predict([one[np.newaxis]])[0][0], atol=1e-6)


@pytest.mark.parametrize(
    ("max_batch", "tried", "best", "size"),
    [(1, [1], 1, 1), (32, [4, 8, 16, 32], 4, 4), (32, [4, 8, 16, 32], 8, 8), (1024, [4, 8, 16, 32], 4, 4)],
)
def test_warm_up_finds_the_size_beyond_which_an_image_costs_no_less(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, max_batch: int, tried: list[int], best: int, size: int
) -> None:
    asked: list[int] = []

    def time_sizes(_run: object, sizes: Sequence[int], _budget_s: float) -> dict[int, float]:
        asked.extend(sizes)
        return {size: size * (0.004 if size >= best else 0.005) for size in sizes}

    monkeypatch.setattr(timing_module, "time_sizes", time_sizes)
    engine = loaded(tmp_path, threads=2, max_batch=max_batch)
    assert engine.batching == Batching()
    engine.warm([inputs(1)])
    assert (asked, engine.batching) == (tried, Batching(size=size, in_flight=2, own_device=False))
    assert min(LEAST, max_batch) == tried[0]


def test_whole_images_have_no_batch(tmp_path: Path) -> None:
    engine = BatchedOnnxEngine()
    path = graph_of(tmp_path, "model", "image")
    engine.load(path, network_of(CLASSIFIER, "image"), Compute(max_batch=32))
    engine.warm([[np.zeros((1, 20, 30, 3), np.uint8)], [np.zeros((1, 40, 50, 3), np.uint8)]])
    assert engine.batching.size == 1


def test_a_gpu_is_refused_with_the_remedies(tmp_path: Path) -> None:
    with pytest.raises(
        StartError, match=r"DEVICE=cuda: batched_serving computes an ONNX graph on the proc.*or"
    ):
        BatchedOnnxEngine().load(tmp_path, NETWORK, Compute(device="cuda"))


def chosen(folder: Path, **environment: str) -> list[str]:
    """The engine that the program would make, whether PyTorch was imported, and the setting's name."""
    program = (
        "import sys, batched_serving.__main__ as main\n"
        "engine = main.make_engine()\n"
        "import batched_serving.dispatch\n"
        "print(type(engine).__name__, 'torch' in sys.modules, main.VARIABLE)"
    )
    named = {name: value for name, value in os.environ.items() if not name.endswith("MODEL_URI")}
    made = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={**named, "TMPDIR": str(folder), **environment},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return made.stdout.split()


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"ONNX_MODEL_URI": "file:///network.onnx"}, ["BatchedOnnxEngine", "False", "ONNX_MODEL_URI"]),
        (
            {"ONNX_MODEL_URI": "file:///network.onnx", "TORCH_MODEL_URI": ""},
            ["BatchedOnnxEngine", "False", "ONNX_MODEL_URI"],
        ),
        ({"TORCH_MODEL_URI": "file:///w.safetensors"}, ["BatchedEngine", "True", "TORCH_MODEL_URI"]),
        (
            {"TORCH_MODEL_URI": "file:///w.safetensors", "ONNX_MODEL_URI": "file:///network.onnx"},
            ["BatchedEngine", "True", "TORCH_MODEL_URI"],
        ),
        ({}, ["BatchedEngine", "True", "TORCH_MODEL_URI"]),
    ],
)
def test_the_address_says_which_engine_computes_and_pytorch_is_imported_only_for_its_own(
    tmp_path: Path, environment: dict[str, str], expected: list[str]
) -> None:
    assert chosen(tmp_path, **environment) == expected
