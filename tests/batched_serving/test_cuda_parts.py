"""How the parts of the GPU's engine are put together: with a pretended CUDA, on the processor."""

import logging
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import orjson
import pytest
import torch

from batched_serving import cuda, network
from batched_serving.network import load_folded
from serving_core.engine import Batching, Compute
from serving_core.errors import StartError
from serving_core.process.serve import JsonLines
from tests.batched_serving.pretended_cuda import PretendedTorch
from tests.batched_serving.weather import WEIGHTS, classifier, pictures, plain_logits

MAX_BATCH = 3
# A processor computes half precision slowly; the network takes small pictures as well.
CROP = 64
WEATHER = classifier()
SMALL = replace(WEATHER, transform=replace(WEATHER.transform, crop=CROP))


def made(monkeypatch: pytest.MonkeyPatch, pretended: PretendedTorch) -> cuda.CudaBackend:
    monkeypatch.setattr(cuda, "torch", pretended)
    compute = Compute(device="cuda", max_batch=MAX_BATCH, device_share=0.3)
    return cuda.CudaBackend(load_folded(WEIGHTS, SMALL), SMALL, compute)


def assert_answers(backend: cuda.CudaBackend) -> None:
    """Batches of all sizes, small ones after large ones, answer as the plain network does."""
    batch = pictures(MAX_BATCH + 1, CROP)
    expected = plain_logits(batch)
    # kept until all are there: no batch may write where an earlier one's answers are
    found = [backend.predict(batch[-size:]) for size in (MAX_BATCH + 1, 1, MAX_BATCH, 2, 1)]
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
    assert backend.warm() == Batching(size=MAX_BATCH, in_flight=2, own_device=True)
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
    backend.warm()
    assert precision_line(caplog)["precision"] == "single"
    batch = pictures(2, CROP)
    np.testing.assert_allclose(backend.predict(batch), plain_logits(batch), atol=1e-3, rtol=0)


@pytest.mark.slow
def test_without_graphs_it_answers_too_and_warns_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pretended = PretendedTorch(fails=RuntimeError("operation not permitted\nwhen capturing"))
    backend = made(monkeypatch, pretended)
    backend.warm()
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
        backend.warm()
    assert remedy in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_gpu_that_fails_at_first_touch_ends_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails() -> int:
        raise RuntimeError("driver too old")

    pretended = PretendedTorch()
    pretended.cuda = SimpleNamespace(**{**vars(pretended.cuda), "current_device": fails})
    with pytest.raises(StartError, match=r"driver too old.*DEVICE=cpu"):
        made(monkeypatch, pretended)
