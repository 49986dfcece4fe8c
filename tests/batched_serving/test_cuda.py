"""The engine on a GPU. None of this has run so far: no machine that this was written on has one."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from batched_serving.batch_sizes import doubling_sizes
from batched_serving.engine import BatchedEngine
from serving_core.engine import Batching, Compute
from tests.batched_serving.weather import classifier, example, loaded, pictures, plain_logits

pytestmark = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="no GPU here: batched_serving/cuda.py is not tested"
)

MAX_BATCH = 12
SHARE = 0.25


@pytest.fixture(scope="module")
def engine() -> BatchedEngine:
    """The engine with a quarter of the GPU's memory, warm."""
    made = loaded(Compute(device="cuda", max_batch=MAX_BATCH, device_share=SHARE))
    made.warm([example()])
    return made


def test_it_asks_for_two_large_batches_at_once(engine: BatchedEngine) -> None:
    assert engine.batching == Batching(size=MAX_BATCH, in_flight=2, own_device=True)


@pytest.mark.parametrize("size", [*doubling_sizes(MAX_BATCH), 3, 11, MAX_BATCH + 1])
def test_answers_are_the_plain_networks_in_every_bucket(engine: BatchedEngine, size: int) -> None:
    batch = pictures(size)
    (answers,), expected = engine.predict([batch]), plain_logits(batch)
    assert (answers.dtype, answers.shape) == (np.dtype(np.float32), expected.shape)
    np.testing.assert_allclose(answers, expected, atol=classifier().logit_tolerance, rtol=0)


def test_two_threads_at_once_get_their_own_answers(engine: BatchedEngine) -> None:
    """The same batches one after another give the same, but for the order of additions in another bucket."""
    batch = pictures(MAX_BATCH)
    batches = [batch[number % 5 : number % 5 + 1 + number % 7] for number in range(200)]
    expected = [engine.predict([part])[0] for part in batches[:35]]
    with ThreadPoolExecutor(2) as pool:
        for number, answers in enumerate(pool.map(lambda part: engine.predict([part])[0], batches)):
            np.testing.assert_allclose(answers, expected[number % 35], atol=0.01, rtol=0)


@pytest.mark.usefixtures("engine")
def test_no_more_memory_than_its_share_is_to_be_had() -> None:
    total = torch.cuda.get_device_properties(0).total_memory
    assert torch.cuda.memory_reserved() <= SHARE * total
    with pytest.raises(torch.cuda.OutOfMemoryError):
        torch.empty(int(total * SHARE), dtype=torch.uint8, device="cuda")
