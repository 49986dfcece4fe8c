"""Pixels of a request: bounded before they are decoded, and counted in the queue; late work is given up."""

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from time import monotonic
from typing import Any

import pytest

from batched_serving.dispatch import Batched
from serving_core.calls import PLACE_PIXELS, Answer, Call, Item, Outcome
from serving_core.dispatch import Direct, Dispatcher, Dropped, Pipeline, Work
from serving_core.engine import Batching
from serving_core.errors import RequestError
from serving_core.handler import Context, Handler
from serving_core.metrics import Metrics
from serving_core.models.store import Model
from serving_core.settings import Settings
from serving_core.wanted import check_still_wanted
from serving_core.workers import Workers, note_progress, patience_s

STRATEGIES = ["direct", "batched", "device"]
SETTINGS = Settings(service="test", model_uri="file:///x", threads=1, max_batch=8)
MOST_PIXELS = 16 * PLACE_PIXELS


class Pictures(Handler):
    """Answers the pixels of pictures; a picture of 13 pixels takes until nobody waits for it."""

    inputs = ()
    outputs = ()

    def __init__(self) -> None:
        self.decoded: list[int] = []
        self.begun = threading.Event()

    def load(self, model: Model, context: Context) -> None:
        """Need nothing."""

    def example(self) -> Item:
        return {"pixels": 1}

    def pixels(self, item: Item) -> int:
        return int(item["pixels"])

    def decode(self, item: Item) -> int:
        pixels = self.pixels(item)
        if pixels == 13:
            self.begun.set()
        while pixels == 13:
            check_still_wanted()
            time.sleep(0.005)
        self.decoded.append(pixels)
        return pixels

    def predict(self, batch: list[int]) -> Sequence[int]:
        return batch


def parse(body: bytes) -> Call:
    def encode(outcomes: Sequence[Outcome]) -> Answer:
        written = [str(o.status) if isinstance(o, RequestError) else str(o) for o in outcomes]
        return Answer(" ".join(written).encode())

    return Call([{"pixels": int(number)} for number in body.split()], encode)


def work(body: bytes, claim: Callable[[int], None] = lambda _: None) -> Work:
    now = monotonic()
    return Work(parse, body, now, now + 60, "id", lambda: False, claim)


def make(strategy: str, handler: Handler) -> Dispatcher:
    pipeline = Pipeline(handler, Metrics().model("m"), MOST_PIXELS)
    workers = Workers(1, "worker")
    if strategy == "direct":
        return Direct(pipeline, SETTINGS, workers)
    handler.batching = Batching(size=8, own_device=strategy == "device")
    return Batched(pipeline, SETTINGS, workers)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_request_of_too_many_pixels_is_refused_before_any_is_decoded(strategy: str) -> None:
    handler = Pictures()

    async def scenario() -> None:
        dispatcher = make(strategy, handler)
        assert (await dispatcher.answer(work(b"%d %d" % (MOST_PIXELS - 1, 1)))).body
        handler.decoded.clear()
        with pytest.raises(RequestError) as refused:
            await dispatcher.answer(work(b"%d %d" % (MOST_PIXELS, 1)))
        assert refused.value.status == 413
        assert f"at most {MOST_PIXELS}" in refused.value.message
        # an image alone has a limit of its own
        assert (await dispatcher.answer(work(b"%d" % (MOST_PIXELS + 1)))).body

    asyncio.run(scenario())
    assert handler.decoded == [MOST_PIXELS + 1]


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize(
    ("body", "places"),
    [(b"1 1 1", 3), (b"%d 1" % PLACE_PIXELS, 2), (b"%d 1" % (5 * PLACE_PIXELS), 6), (b"9", 1)],
)
def test_pixels_count_in_the_queue(strategy: str, body: bytes, places: int) -> None:
    claimed = []

    async def scenario() -> None:
        await make(strategy, Pictures()).answer(work(body, claimed.append))

    asyncio.run(scenario())
    assert 1 + sum(claimed) == places


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_decode_that_overruns_costs_its_own_request_and_its_neighbours_are_answered(strategy: str) -> None:
    handler = Pictures()

    async def scenario() -> None:
        dispatcher = make(strategy, handler)
        late = replace(work(b"13"), due_s=monotonic() + 0.3)
        asked = asyncio.gather(
            dispatcher.answer(late),
            dispatcher.answer(work(b"5")),
            dispatcher.answer(work(b"6")),
            return_exceptions=True,
        )
        first, *others = await asked
        if isinstance(first, Answer):
            assert first.body == b"504"
        else:
            assert isinstance(first, RequestError)
            assert first.status == 504
        assert [other.body for other in others if isinstance(other, Answer)] == [b"5", b"6"]

    asyncio.run(asyncio.wait_for(scenario(), 20))


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_decode_whose_client_leaves_ends_at_once(strategy: str) -> None:
    handler = Pictures()
    gone = False

    async def scenario() -> None:
        nonlocal gone
        dispatcher = make(strategy, handler)
        leaving = asyncio.create_task(dispatcher.answer(replace(work(b"13"), abandoned=lambda: gone)))
        await asyncio.to_thread(handler.begun.wait, 20)
        other = asyncio.create_task(dispatcher.answer(work(b"5")))
        gone = True
        with pytest.raises(Dropped):
            await leaving
        assert (await other).body == b"5"

    asyncio.run(asyncio.wait_for(scenario(), 20))


def test_a_thread_that_makes_progress_does_not_hang() -> None:
    async def scenario() -> tuple[bool, bool]:
        workers = Workers(1, "worker", patience_s=0.3)
        end = threading.Event()

        def long_work() -> None:
            until = monotonic() + 0.9
            while monotonic() < until:
                time.sleep(0.02)
                note_progress()

        job = asyncio.create_task(workers.submit(long_work))
        await asyncio.sleep(0.7)
        working = workers.alive()
        await job
        hanging = asyncio.create_task(workers.submit(lambda: end.wait(20)))
        await asyncio.sleep(0.6)
        still = workers.alive()
        end.set()
        await hanging
        return working, still

    assert asyncio.run(scenario()) == (True, False)


def test_a_short_deadline_does_not_make_a_long_decode_a_hang() -> None:
    short: dict[str, Any] = {"request_timeout_ms": 100}
    assert patience_s(SETTINGS.model_copy(update=short)) >= 10
    note_progress()  # to no effect on a thread that serves nobody


def test_the_defaults_follow_from_other_settings() -> None:
    made = Settings(service="test", model_uri="file:///x", max_pixels=1000, workers=1)
    assert made.max_request_pixels == 16_000
    shared = Settings(service="test", model_uri="file:///x", workers=4)
    assert shared.decode_bytes < made.decode_bytes / 3
