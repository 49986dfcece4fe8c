"""The engine on the processor answers as the plain network does, and finds how it is best given work."""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import orjson
import pytest
import torch
from safetensors.torch import save_file

from batched_serving import best_batching as timing_module
from batched_serving.engine import BatchedEngine
from serving_core.engine import Batching, Compute, Device
from serving_core.errors import StartError
from serving_core.process.serve import JsonLines
from tests.batched_serving.weather import example, loaded, network, pictures, plain_logits

# What folding and another order of additions may change: far below the manifest's tolerance of 0.2.
CLOSE = 1e-3


@pytest.fixture(autouse=True)
def _no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.mark.parametrize("threads", [1, 3])
def test_answers_are_the_plain_networks_whatever_the_batch_and_its_parts(threads: int) -> None:
    engine, batch = loaded(Compute(threads=threads)), pictures(7)
    expected = plain_logits(batch)
    for size in (1, 2, 3, 7):
        (answers,) = engine.predict([batch[:size]])
        assert (answers.dtype, answers.shape) == (np.dtype(np.float32), (size, 11))
        np.testing.assert_allclose(answers, expected[:size], atol=CLOSE, rtol=0)


@pytest.mark.parametrize("max_batch", [1, 6])
def test_once_warm_it_says_how_it_is_best_given_work(
    max_batch: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    engine = loaded(Compute(threads=2, max_batch=max_batch))
    assert engine.batching == Batching()
    engine.warm([example()])
    assert engine.batching == Batching(size=max_batch, in_flight=2, own_device=False)
    line = orjson.loads(JsonLines("batched").format(caplog.records[-1]))
    assert (line["message"], line["size"]) == ("batch size", max_batch)
    assert [*line["ms_per_item_by_size"]] == [str(max_batch)]


@pytest.mark.parametrize(
    ("threads", "max_batch", "tried", "best", "size"),
    [
        (1, 16, [16], 16, 16),
        (2, 32, [16, 32], 16, 16),
        # each thread computes a batch of its own
        (2, 1024, [16, 32], 32, 32),
        # a limit is a candidate whatever its number
        (2, 24, [16, 24], 24, 24),
        (2, 3, [3], 3, 3),
    ],
)
def test_the_sizes_that_are_worth_a_trial_are_timed(
    monkeypatch: pytest.MonkeyPatch, threads: int, max_batch: int, tried: list[int], best: int, size: int
) -> None:
    """An image costs 4 ms from the best size on, and before it more."""
    asked: list[int] = []

    def time_sizes(_run: object, sizes: Sequence[int], _budget_s: float) -> dict[int, float]:
        asked.extend(sizes)
        return {size: size * (0.004 if size >= best else 0.005) for size in sizes}

    monkeypatch.setattr(timing_module, "time_sizes", time_sizes)
    engine = loaded(Compute(threads=threads, max_batch=max_batch))
    engine.warm([example()])
    assert (asked, engine.batching.size) == (tried, size)


@pytest.mark.parametrize("device", ["auto", "cpu"])
def test_without_a_gpu_the_processor_computes(device: Device) -> None:
    assert loaded(Compute(device=device)).predict([pictures(1)])[0].shape == (1, 11)


@pytest.mark.parametrize(
    ("built_for", "cause", "remedy"),
    [(None, "has no CUDA", "compose.gpu.yaml"), ("13.0", "no usable GPU", "a driver for CUDA 13.0")],
)
def test_a_gpu_that_is_asked_for_and_not_there_ends_the_start(
    monkeypatch: pytest.MonkeyPatch, built_for: str | None, cause: str, remedy: str
) -> None:
    monkeypatch.setattr(torch.version, "cuda", built_for)
    with pytest.raises(StartError) as refusal:
        loaded(Compute(device="cuda"))
    line = str(refusal.value)
    assert line.startswith("DEVICE=cuda: ")
    assert "\n" not in line
    assert cause in line
    assert remedy in line
    assert "DEVICE=cpu" in line


def test_another_networks_weights_end_the_start(tmp_path: Path) -> None:
    file = tmp_path / "weights.safetensors"
    save_file({"weight": torch.zeros(1)}, file)
    with pytest.raises(
        StartError,
        match=r"weights\.safetensors does not fit the architecture modelkit.network:MobileNetV3Small",
    ):
        BatchedEngine().load(file, network(), Compute())
