"""The batcher's rules: who is computed when, with whom, and who is refused."""

import asyncio
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any

import pytest

from batched_serving.batching import Batcher, Draining, Expired, Full, Late, Policy, Unwanted
from tests.batched_serving.engines import Gated, Timed
from tests.running.clock import FakeClock, settle


def on_a_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    @wraps(test)
    def run(**given: Any) -> None:
        asyncio.run(test(**given))

    return run


def ask(batcher: Batcher[int, int], *numbers: int, **options: Any) -> list[asyncio.Task[int]]:
    return [asyncio.create_task(batcher.submit(number, **options)) for number in numbers]


@on_a_loop
async def test_the_example_of_the_library_works() -> None:
    async def run(items: list[str]) -> list[int]:
        return [len(item) for item in items]

    async with Batcher(run, Policy(max_batch=16)) as batcher:
        assert await asyncio.gather(batcher.submit("one"), batcher.submit("three")) == [3, 5]


@on_a_loop
async def test_an_idle_engine_takes_at_once_and_a_busy_one_lets_arrivals_gather() -> None:
    engine = Gated()
    engine.gate.clear()
    async with Batcher(engine, Policy(max_batch=4)) as batcher:
        asked = ask(batcher, 0)
        await settle()
        assert engine.batches == [[0]]
        asked += ask(batcher, *range(1, 7))
        await settle()
        assert (engine.batches, batcher.waiting()) == ([[0]], 6)
        engine.gate.set()
        assert await asyncio.gather(*asked) == [0, 2, 4, 6, 8, 10, 12]
        assert engine.batches == [[0], [1, 2, 3, 4], [5, 6]]


@on_a_loop
async def test_several_batches_in_flight_are_computed_side_by_side() -> None:
    engine = Gated()
    engine.gate.clear()
    async with Batcher(engine, Policy(max_batch=2, in_flight=2)) as batcher:
        asked = ask(batcher, *range(7))
        await settle()
        assert engine.batches == [[0, 1], [2, 3]]
        engine.gate.set()
        assert await asyncio.gather(*asked) == [2 * number for number in range(7)]


@on_a_loop
async def test_every_other_turn_is_for_the_earliest_deadline_that_would_be_missed_in_order_of_arrival() -> (
    None
):
    clock = FakeClock()
    engine = Timed(clock, base_s=1.0, each_s=0.0)
    async with Batcher(engine, Policy(max_batch=2), clock=clock) as batcher:
        asked = ask(batcher, 0)
        await clock.advance(5)
        asked += ask(batcher, 0)
        await settle()
        for number, allowed_s in ((1, 900), (2, 3.9), (3, 9), (4, 3.5), (5, float("inf")), (6, 800)):
            asked += ask(batcher, number, due_s=clock.time() + allowed_s)
        await clock.advance(9)
        assert [task.result() for task in asked[2:]] == [2, 4, 6, 8, 10, 12]
        # 3 and 6 would be in time in any case
        assert engine.batches == [[0], [0], [4, 1], [2, 3], [6, 5]]


@on_a_loop
async def test_arrival_decides_between_equal_deadlines() -> None:
    engine, clock = Gated(), FakeClock()
    engine.gate.clear()
    async with Batcher(engine, Policy(max_batch=2), clock=clock) as batcher:
        asked = ask(batcher, 0)
        await settle()
        asked += ask(batcher, *range(1, 6), due_s=900.0)
        await settle()
        engine.gate.set()
        await asyncio.gather(*asked)
        assert engine.batches == [[0], [1, 2], [3, 4], [5]]


@on_a_loop
async def test_a_wait_counts_from_the_oldest_arrival_and_ends_when_the_batch_is_full() -> None:
    engine, clock = Gated(), FakeClock()
    async with Batcher(engine, Policy(max_batch=3, max_wait_s=1.0), clock=clock) as batcher:
        asked = ask(batcher, 0)
        await clock.advance(0.9)
        asked += ask(batcher, 1)
        await clock.advance(0.05)
        assert engine.batches == []
        await clock.advance(0.05)
        assert engine.batches == [[0, 1]]
        asked += ask(batcher, 2, 3, 4)
        await clock.advance(0.0)
        assert engine.batches == [[0, 1], [2, 3, 4]]
        assert await asyncio.gather(*asked) == [0, 2, 4, 6, 8]


@on_a_loop
async def test_the_wait_of_one_who_gives_up_is_nobody_elses() -> None:
    engine, clock = Gated(), FakeClock()
    async with Batcher(engine, Policy(max_batch=3, max_wait_s=1.0), clock=clock) as batcher:
        (gone,) = ask(batcher, 0)
        await clock.advance(0.5)
        (kept,) = ask(batcher, 1)
        await settle()
        gone.cancel()
        await clock.advance(0.6)
        assert engine.batches == []
        await clock.advance(0.4)
        assert (engine.batches, await kept) == ([[1]], 2)


@on_a_loop
async def test_what_waits_is_spread_over_cores_and_not_over_a_devices_batches() -> None:
    for spread, sizes in ((True, [3, 3, 2]), (False, [6, 2])):
        engine = Gated()
        engine.gate.clear()
        policy = Policy(max_batch=6, in_flight=3, spread=spread)
        async with Batcher(engine, policy) as batcher:
            asked = ask(batcher, *range(8))
            await settle()
            assert [len(batch) for batch in engine.batches] == sizes
            engine.gate.set()
            await asyncio.gather(*asked)


@on_a_loop
async def test_items_and_bytes_that_wait_are_bounded_and_one_of_any_size_may() -> None:
    engine = Gated()
    engine.gate.clear()
    async with Batcher(engine, Policy(max_batch=1, max_items=3, max_bytes=10)) as batcher:
        asked = ask(batcher, 0)
        await settle()
        asked += ask(batcher, 1, size_bytes=1000)
        await settle()
        with pytest.raises(Full):
            await batcher.submit(2, size_bytes=1)
        asked[1].cancel()
        await settle()
        asked += ask(batcher, 3, 4, 5, size_bytes=3)
        await settle()
        with pytest.raises(Full):
            await batcher.submit(6)
        engine.gate.set()
        assert await asyncio.gather(asked[0], *asked[2:]) == [0, 6, 8, 10]


@on_a_loop
async def test_a_refusal_tells_how_long_the_queue_takes() -> None:
    clock = FakeClock()
    engine = Timed(clock, base_s=1.0, each_s=0.5)
    async with Batcher(engine, Policy(max_batch=4, max_items=8), clock=clock) as batcher:
        for size in (1, 2, 4, 3, 4):
            asked = ask(batcher, *range(size))
            await clock.advance(4.0)
        asked = ask(batcher, 0)
        await settle()
        asked += ask(batcher, *range(8))
        await clock.advance(0.5)
        # the batch that runs ends in 1.0 s, two full ones before it and its own take 3.0 s each
        with pytest.raises(Full) as refused:
            await batcher.submit(9)
        assert refused.value.retry_after_s == pytest.approx(10.0)
        assert batcher.wait_s(due_s=0.0) == pytest.approx(4.0)
        await clock.advance(20)
        assert all(one.done() for one in asked)


@on_a_loop
async def test_what_cannot_make_its_deadline_is_refused_and_what_goes_first_is_not() -> None:
    clock = FakeClock()
    engine = Timed(clock, base_s=1.0, each_s=0.5)
    async with Batcher(engine, Policy(max_batch=4), clock=clock) as batcher:
        for size in (1, 2, 4, 3, 4):
            ask(batcher, *range(size))
            await clock.advance(4.0)
        asked = ask(batcher, 0)
        await settle()
        asked += ask(batcher, *range(8), due_s=clock.time() + 60)
        await settle()
        with pytest.raises(Late) as refused:
            await batcher.submit(9, due_s=clock.time() + 4.85)
        assert refused.value.retry_after_s == pytest.approx(0.1)
        asked += ask(batcher, 9, due_s=clock.time() + 5.05)
        await clock.advance(20)
        assert await asked[-1] == 18
        computed = [number for batch in engine.batches for number in batch]
        assert computed.count(9) == 1


@on_a_loop
async def test_an_idle_batcher_tries_what_its_experience_says_is_too_late() -> None:
    clock = FakeClock()
    engine = Timed(clock, base_s=30.0, each_s=0.0)
    async with Batcher(engine, Policy(), clock=clock) as batcher:
        ask(batcher, 1)
        await clock.advance(31)
        engine.base_s = 0.1
        for _ in range(3):
            (asked,) = ask(batcher, 2, due_s=clock.time() + 1)
            await clock.advance(0.2)
            assert await asked == 4


@on_a_loop
async def test_the_expired_are_told_at_their_deadline_and_never_computed() -> None:
    engine, clock = Gated(), FakeClock()
    engine.gate.clear()
    async with Batcher(engine, Policy(max_batch=4), clock=clock) as batcher:
        (running,) = ask(batcher, 0, due_s=clock.time() + 1.0)
        await settle()
        (waiting,) = ask(batcher, 1, due_s=clock.time() + 0.5)
        (kept,) = ask(batcher, 2)
        await clock.advance(0.49)
        assert not waiting.done()
        await clock.advance(0.01)
        assert isinstance(waiting.exception(), Expired)
        assert not running.done()
        await clock.advance(0.5)
        assert isinstance(running.exception(), Expired)
        engine.gate.set()
        assert await kept == 4
        assert engine.batches == [[0], [2]]


@on_a_loop
async def test_deadlines_shorter_than_a_batch_are_answered_in_time_and_harm_nobody() -> None:
    clock = FakeClock()
    engine = Timed(clock, base_s=1.0, each_s=0.0)
    async with Batcher(engine, Policy(max_batch=2), clock=clock) as batcher:
        hasty = ask(batcher, 1, due_s=clock.time() + 0.3)
        patient = ask(batcher, 2)
        await clock.advance(0.3)
        assert isinstance(hasty[0].exception(), Expired)
        await clock.advance(0.7)
        assert await patient[0] == 4
        ask(batcher, 3)
        await settle()
        with pytest.raises(Late):
            await batcher.submit(4, due_s=clock.time() + 0.3)
        await clock.advance(5)


@on_a_loop
async def test_an_item_that_nobody_wants_any_more_is_left_out_and_its_place_is_filled() -> None:
    engine = Gated()
    engine.gate.clear()
    gone: set[int] = set()
    async with Batcher(engine, Policy(max_batch=2), wanted=lambda number: number not in gone) as batcher:
        asked = ask(batcher, *range(6))
        await settle()
        gone.update({2, 3})
        engine.gate.set()
        results = await asyncio.gather(*asked, return_exceptions=True)
        assert [type(result) for result in results] == [int, int, Unwanted, Unwanted, int, int]
        assert engine.batches == [[0, 1], [4, 5]]


@on_a_loop
async def test_a_drain_takes_nothing_new_fills_no_batch_and_answers_all() -> None:
    engine, clock = Gated(), FakeClock()
    batcher = Batcher(engine, Policy(max_batch=4, max_wait_s=60), clock=clock).start()
    asked = ask(batcher, *range(6))
    await settle()
    drained = asyncio.create_task(batcher.drain())
    await settle()
    assert drained.done()
    assert await asyncio.gather(*asked) == [0, 2, 4, 6, 8, 10]
    with pytest.raises(Draining):
        await batcher.submit(7)
    batcher.close()


@pytest.mark.parametrize(
    "wrong",
    [{name: 0} for name in ("max_batch", "in_flight", "max_items", "max_bytes")] + [{"max_wait_s": -1}],
)
def test_a_policy_that_makes_no_sense_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must be"):
        Policy(**wrong)  # type: ignore[arg-type]  # wrong on purpose


@on_a_loop
async def test_a_wait_to_fill_costs_nobody_the_deadline() -> None:
    clock = FakeClock()
    engine = Timed(clock, base_s=0.1, each_s=0.0)
    async with Batcher(engine, Policy(max_batch=4, max_wait_s=1.0), clock=clock) as batcher:
        asked = ask(batcher, 1)
        await clock.advance(1.2)
        asked += ask(batcher, 2, due_s=clock.time() + 0.5)
        await clock.advance(0.5)
        assert await asyncio.gather(*asked) == [2, 4]


@on_a_loop
async def test_a_batch_that_may_wait_to_fill_is_not_spread_thin() -> None:
    engine, clock = Gated(), FakeClock()
    policy = Policy(max_batch=4, in_flight=2, max_wait_s=1.0, spread=True)
    async with Batcher(engine, policy, clock=clock) as batcher:
        asked = ask(batcher, *range(4))
        await settle()
        assert engine.batches == [[0, 1, 2, 3]]
        await asyncio.gather(*asked)


@on_a_loop
async def test_a_result_that_is_there_before_a_late_timer_calls_is_late_all_the_same() -> None:
    engine, clock = Gated(), FakeClock()
    engine.gate.clear()
    async with Batcher(engine, Policy(), clock=clock) as batcher:
        (asked,) = ask(batcher, 1, due_s=clock.time() + 0.5)
        await settle()
        clock.now_s += 1.0  # and no timer was called
        engine.gate.set()
        with pytest.raises(Expired):
            await asked
