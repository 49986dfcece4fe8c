"""Both dispatchers around a model that can be held up."""

import asyncio
import gc
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from time import monotonic
from typing import Any

import orjson
import pytest

from batched_serving.dispatch import Batched
from serving_core.calls import Answer, Call, Item, Outcome
from serving_core.dispatch import Direct, Dispatcher, Dropped, Pipeline, Work
from serving_core.engine import Batching
from serving_core.errors import RequestError
from serving_core.handler import Context, Handler
from serving_core.metrics import Metrics
from serving_core.models.store import Model
from serving_core.settings import Settings
from serving_core.workers import Workers

# "device" is batched for a device of its own: items are prepared beside it
STRATEGIES = ["direct", "batched", "device"]
SETTINGS = Settings(service="test", model_uri="file:///x", threads=1, max_batch=4)


class Held(Handler):
    """Doubles numbers, once its gate is open; 13 is bad luck in `preprocess`, 66 and 77 in `predict`."""

    inputs = ()
    outputs = ()

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.computed: list[int] = []

    def load(self, model: Model, context: Context) -> None:
        """Need nothing."""

    def example(self) -> Item:
        return {"number": 1}

    def preprocess(self, decoded: Any) -> int:
        number: int = decoded["number"]
        if number == 13:
            raise RequestError(422, "13: send another number")
        return number

    def predict(self, batch: list[int]) -> Sequence[Any]:
        assert self.gate.wait(20)
        if 77 in batch:
            raise RequestError(422, "77: send another number")
        if 66 in batch:
            raise ZeroDivisionError("a secret of ours")
        self.computed += batch
        return [{"double": 2 * number} for number in batch]


def parse(body: bytes) -> Call:
    """Numbers to their doubles, an error in its own place."""

    def encode(outcomes: Sequence[Outcome]) -> Answer:
        written = [str(o.status) if isinstance(o, RequestError) else o["double"] for o in outcomes]
        return Answer(orjson.dumps(written))

    try:
        numbers = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise RequestError(400, "this is no JSON: send some") from None
    return Call([{"number": number} for number in numbers], encode)


def nothing(_: int) -> None:
    """Have room for everybody."""


def work(
    body: bytes, abandoned: Callable[[], bool] = lambda: False, claim: Callable[[int], None] = nothing
) -> Work:
    now = monotonic()
    return Work(parse, body, now, now + 60, "id", abandoned, claim)


def make(strategy: str, handler: Handler, settings: Settings = SETTINGS) -> Dispatcher:
    pipeline, workers = Pipeline(handler, Metrics().model("m")), Workers(1, "worker")
    if strategy in ("direct", "together"):
        handler.together = 3 if strategy == "together" else 1
        return Direct(pipeline, settings, workers)
    handler.batching = Batching(size=1024, own_device=strategy == "device")
    return Batched(pipeline, settings, workers)


async def until_waiting(batched: Batched, count: int) -> None:
    while batched._computing.waiting() < count:
        await asyncio.sleep(0.001)


@pytest.mark.parametrize("strategy", STRATEGIES[1:])
def test_a_client_that_leaves_while_its_item_waits_is_dropped_uncomputed(strategy: str) -> None:
    handler = Held()
    gone = False

    async def scenario() -> None:
        nonlocal gone
        batched = make(strategy, handler, SETTINGS.model_copy(update={"max_batch": 1}))
        assert isinstance(batched, Batched)
        first = asyncio.create_task(batched.answer(work(b"[1]")))
        while not batched._computing._running:
            await asyncio.sleep(0.001)
        leaving = asyncio.create_task(batched.answer(work(b"[2]", lambda: gone)))
        await until_waiting(batched, 1)
        gone = True
        handler.gate.set()
        assert await first
        with pytest.raises(Dropped):
            await leaving
        batched.close()

    asyncio.run(scenario())
    assert handler.computed == [1]


@pytest.mark.parametrize("strategy", STRATEGIES[1:])
@pytest.mark.parametrize(("max_items", "answer"), [(1, b'["429"]'), (2, b"[4]")])
def test_an_item_that_the_batcher_has_no_room_for_is_a_429(
    strategy: str, max_items: int, answer: bytes
) -> None:
    handler = Held()

    async def scenario() -> None:
        batched = make(strategy, handler)
        assert isinstance(batched, Batched)
        batcher = batched._computing
        batcher.policy = replace(batcher.policy, max_batch=1, max_items=max_items)
        asked = []
        for there in (lambda: batcher._running, batcher.waiting):
            asked.append(asyncio.create_task(batched.answer(work(b"[1]"))))
            while not there():
                await asyncio.sleep(0.001)
        last = asyncio.create_task(said(batched, b"[2]"))
        await asyncio.sleep(0.05)
        handler.gate.set()
        await asyncio.gather(*asked)
        assert await last == answer
        batched.close()

    asyncio.run(scenario())


async def said(dispatcher: Dispatcher, body: bytes) -> bytes:
    """The answer's body, or a refused request's status as it would stand in one."""
    try:
        return (await dispatcher.answer(work(body))).body
    except RequestError as refusal:
        return b'["%d"]' % refusal.status


@pytest.mark.parametrize("strategy", [*STRATEGIES, "together"])
def test_one_bad_item_among_fifteen_good_ones_of_other_requests_is_nobody_elses(strategy: str) -> None:
    """One that cannot be prepared, one that fails in the model, one that no parser takes."""
    handler = Held()
    handler.gate.set()
    bodies = [b"[1]"] * 15 + [b"[13]", b"[66]", b"[77]", b"no json"]

    async def scenario() -> list[bytes]:
        dispatcher = make(strategy, handler, SETTINGS.model_copy(update={"max_batch": 32}))
        asked = [asyncio.create_task(said(dispatcher, body)) for body in bodies]
        answers = await asyncio.gather(*asked)
        dispatcher.close()
        return list(answers)

    assert asyncio.run(scenario()) == [b"[2]"] * 15 + [b'["422"]', b'["500"]', b'["422"]', b'["400"]']


@pytest.mark.parametrize("strategy", [*STRATEGIES, "together"])
def test_each_of_several_items_has_its_answer_or_error_in_its_own_place(
    strategy: str, caplog: pytest.LogCaptureFixture
) -> None:
    handler, claimed = Held(), list[int]()
    handler.gate.set()

    async def scenario() -> bytes:
        dispatcher = make(strategy, handler)
        answer = await dispatcher.answer(work(b"[1,13,2,66,3]", claim=claimed.append))
        dispatcher.close()
        return answer.body

    assert asyncio.run(scenario()) == b'[2,"422",4,"500",6]'
    assert claimed == [4]
    assert sorted(handler.computed) == [1, 2, 3]
    logged = [record for record in caplog.records if record.message == "a request failed"]
    assert [record.__dict__["request_id"] for record in logged] == ["id"]


@pytest.mark.parametrize("strategy", [*STRATEGIES, "together"])
def test_a_refusal_by_predict_is_its_items_own(strategy: str, caplog: pytest.LogCaptureFixture) -> None:
    handler = Held()
    handler.gate.set()

    async def scenario() -> bytes:
        dispatcher = make(strategy, handler)
        answer = await dispatcher.answer(work(b"[1,77,3]"))
        dispatcher.close()
        return answer.body

    assert asyncio.run(scenario()) == b'[2,"422",6]'
    assert not caplog.records


@pytest.mark.parametrize("strategy", [*STRATEGIES, "together"])
def test_a_request_of_more_items_than_the_queue_holds_is_answered_whole(strategy: str) -> None:
    handler = Held()
    handler.gate.set()

    async def scenario() -> bytes:
        dispatcher = make(strategy, handler, SETTINGS.model_copy(update={"queue_limit": 2}))
        answer = await dispatcher.answer(work(orjson.dumps([*range(12)])))
        dispatcher.close()
        return answer.body

    assert asyncio.run(scenario()) == orjson.dumps([2 * number for number in range(12)])


def test_what_a_cancelled_request_held_is_let_go_while_it_lies_in_the_queue() -> None:
    class Body:
        """Something whose end can be seen."""

    async def scenario() -> None:
        workers, gate = Workers(1, "worker"), threading.Event()
        busy = asyncio.create_task(workers.submit(lambda: gate.wait(20)))
        body = Body()
        seen = weakref.ref(body)
        waiting = asyncio.create_task(workers.submit(partial(id, body)))
        del body
        await asyncio.sleep(0.01)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        del waiting
        gc.collect()
        assert seen() is None
        gate.set()
        assert await busy
        workers.close()

    asyncio.run(scenario())


@pytest.mark.parametrize("strategy", [*STRATEGIES, "together"])
def test_items_for_which_there_is_no_room_are_not_computed(strategy: str) -> None:
    handler = Held()
    handler.gate.set()

    def full(_: int) -> None:
        raise RequestError(429, "the queue is full: send again later", 1.0)

    async def scenario() -> None:
        dispatcher = make(strategy, handler)
        with pytest.raises(RequestError) as refused:
            await dispatcher.answer(work(b"[1,2]", claim=full))
        assert refused.value.status == 429
        dispatcher.close()

    asyncio.run(scenario())
    assert handler.computed == []


@pytest.mark.parametrize("strategy", [*STRATEGIES, "together"])
def test_the_bytes_of_a_body_count_once_however_many_its_items(strategy: str) -> None:
    handler = Held()
    handler.gate.set()
    body = orjson.dumps([5] * 64)

    async def scenario() -> bytes:
        room = {"queue_bytes": len(body)}
        dispatcher = make(strategy, handler, SETTINGS.model_copy(update=room))
        answer = await dispatcher.answer(work(body))
        dispatcher.close()
        return answer.body

    assert asyncio.run(scenario()) == orjson.dumps([10] * 64)


@pytest.mark.parametrize("strategy", STRATEGIES[1:])
def test_a_client_that_leaves_while_others_of_its_batch_are_prepared_is_dropped(strategy: str) -> None:
    left = threading.Event()

    class Leaving(Held):
        """Has a client leave while 55 is prepared."""

        def preprocess(self, decoded: Any) -> int:
            if decoded["number"] == 55:
                left.set()
            return super().preprocess(decoded)

    handler = Leaving()

    async def scenario() -> None:
        batched = make(strategy, handler)
        assert isinstance(batched, Batched)
        asked = [asyncio.create_task(batched.answer(work(body))) for body in (b"[55]", b"[1]")]
        leaving = asyncio.create_task(batched.answer(work(b"[2]", left.is_set)))
        await asyncio.sleep(0.02)
        handler.gate.set()
        await asyncio.gather(*asked)
        with pytest.raises(Dropped):
            await leaving
        batched.close()

    asyncio.run(scenario())
    assert sorted(handler.computed) == [1, 55]


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("large", [1, 3])
def test_the_items_of_large_requests_take_turns_with_other_requests(strategy: str, large: int) -> None:
    """Whoever comes while they are prepared goes before all but an item or two of each of them."""

    class Slow(Held):
        """Takes its time, and tells in which order it prepares."""

        def __init__(self) -> None:
            super().__init__()
            self.prepared: list[int] = []

        def preprocess(self, decoded: Any) -> int:
            self.prepared.append(decoded["number"])
            time.sleep(0.03)
            return super().preprocess(decoded)

    handler = Slow()
    handler.gate.set()

    async def scenario() -> None:
        dispatcher = make(strategy, handler)
        asked = [asyncio.create_task(dispatcher.answer(work(orjson.dumps([1] * 12)))) for _ in range(large)]
        while not handler.prepared:
            await asyncio.sleep(0.001)
        asked += [asyncio.create_task(dispatcher.answer(work(b"[2]"))) for _ in range(4)]
        answers = await asyncio.gather(*asked)
        assert [answer.body for answer in answers] == [orjson.dumps([2] * 12)] * large + [b"[4]"] * 4
        dispatcher.close()

    asyncio.run(scenario())
    assert handler.prepared.count(1) == 12 * large
    last = max(at for at, number in enumerate(handler.prepared) if number == 2)
    assert handler.prepared[:last].count(1) <= 3 * large + 1, handler.prepared


@pytest.mark.parametrize("strategy", STRATEGIES[1:])
def test_items_that_are_not_prepared_by_the_deadline_are_not_waited_for(strategy: str) -> None:
    class Stuck(Held):
        """Does not get past 2 before its gate opens."""

        def preprocess(self, decoded: Any) -> int:
            assert decoded["number"] != 2 or self.gate.wait(20)
            return super().preprocess(decoded)

    handler = Stuck()

    async def scenario() -> None:
        dispatcher = make(strategy, handler)
        hasty = replace(work(b"[2,3,4]"), due_s=monotonic() + 0.2)
        with pytest.raises(RequestError) as refused:
            await asyncio.wait_for(dispatcher.answer(hasty), 10)
        assert refused.value.status == 504
        handler.gate.set()
        assert (await dispatcher.answer(work(b"[5]"))).body == b"[10]"
        dispatcher.close()

    asyncio.run(scenario())
    assert handler.computed == [5]


def test_items_of_a_request_are_computed_together_as_many_as_the_handler_says() -> None:
    class Sized(Held):
        """Notes how many items come at once."""

        def __init__(self) -> None:
            super().__init__()
            self.sizes: list[int] = []

        def predict(self, batch: list[int]) -> Sequence[Any]:
            self.sizes.append(len(batch))
            return super().predict(batch)

    handler = Sized()
    handler.gate.set()

    async def scenario() -> bytes:
        dispatcher = make("together", handler)
        answer = await dispatcher.answer(work(b"[1,2,3,4,5]"))
        dispatcher.close()
        return answer.body

    assert asyncio.run(scenario()) == b"[2,4,6,8,10]"
    assert handler.sizes == [3, 2]
