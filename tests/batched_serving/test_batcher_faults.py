"""Engines that fail and waiters that leave: nobody's misfortune is a neighbour's."""

import asyncio
import tracemalloc

import pytest

from batched_serving.batching import Batcher, Died, Policy
from tests.batched_serving.engines import Gated
from tests.batched_serving.test_batcher import ask, on_a_loop
from tests.running.clock import FakeClock, settle


@on_a_loop
async def test_only_the_items_that_fail_alone_fail() -> None:
    engine = Gated(bad=frozenset({3, 6}))
    async with Batcher(engine, Policy(max_batch=16)) as batcher:
        results = await asyncio.gather(*ask(batcher, *range(16)), return_exceptions=True)
        failed = [number for number, result in enumerate(results) if isinstance(result, ValueError)]
        assert failed == [3, 6]
        assert [result for result in results if isinstance(result, int)] == [
            2 * number for number in range(16) if number not in failed
        ]


@on_a_loop
async def test_where_every_item_fails_each_gets_its_own_error() -> None:
    engine = Gated(bad=frozenset(range(8)))
    async with Batcher(engine, Policy(max_batch=8)) as batcher:
        results = await asyncio.gather(*ask(batcher, *range(8)), return_exceptions=True)
        assert [str(result) for result in results] == [f"bad item in [{number}]" for number in range(8)]
        engine.bad = frozenset()
        assert await batcher.submit(5) == 10


@on_a_loop
async def test_an_engine_that_fails_once_costs_nobody_of_a_batch_an_answer() -> None:
    failures = [OSError("once")]

    async def run(items: list[int]) -> list[int]:
        if failures:
            raise failures.pop()
        return [2 * item for item in items]

    async with Batcher(run, Policy(max_batch=4)) as batcher:
        assert await asyncio.gather(*ask(batcher, *range(4))) == [0, 2, 4, 6]


@pytest.mark.parametrize("off", [-1, 1])
@on_a_loop
async def test_a_wrong_number_of_results_is_an_error_and_never_a_neighbours_answer(off: int) -> None:
    async def run(items: list[int]) -> list[int]:
        return [2 * item for item in items][: len(items) + off] if off < 0 else [*items, 7]

    async with Batcher(run, Policy(max_batch=4)) as batcher:
        results = await asyncio.gather(*ask(batcher, *range(4)), return_exceptions=True)
        assert all(isinstance(result, ValueError) for result in results)


@on_a_loop
async def test_a_computation_that_cancels_itself_is_an_error_of_its_items() -> None:
    async def run(items: list[int]) -> list[int]:
        if 1 in items:
            raise asyncio.CancelledError
        return items

    async with Batcher(run, Policy(max_batch=4)) as batcher:
        results = await asyncio.gather(*ask(batcher, 0, 1, 2), return_exceptions=True)
        assert [results[0], results[2]] == [0, 2]
        assert isinstance(results[1], RuntimeError)
        assert batcher.alive()


@pytest.mark.parametrize("leaving", [[2], [0, 3], [0, 1, 2, 3]])
@on_a_loop
async def test_waiters_of_a_running_batch_may_leave_and_the_others_are_answered(leaving: list[int]) -> None:
    engine = Gated()
    engine.gate.clear()
    async with Batcher(engine, Policy(max_batch=4)) as batcher:
        asked = ask(batcher, *range(4))
        await settle()
        assert engine.batches == [[0, 1, 2, 3]]
        for number in leaving:
            asked[number].cancel()
        after = ask(batcher, 9)
        await settle()
        engine.gate.set()
        results = await asyncio.gather(*asked, *after, return_exceptions=True)
        for number, result in enumerate(results[:4]):
            assert isinstance(result, asyncio.CancelledError) if number in leaving else result == 2 * number
        assert results[4] == 18


@on_a_loop
async def test_who_leaves_the_queue_is_not_computed_and_nothing_of_it_is_kept() -> None:
    engine = Gated()
    engine.gate.clear()
    async with Batcher(engine, Policy(max_batch=4, max_items=10_001)) as batcher:
        first = ask(batcher, -1)
        await settle()
        leaving = ask(batcher, *range(10_000))
        await settle()
        assert batcher.waiting() == 10_000
        for one in leaving[::-1]:
            one.cancel()
        await settle()
        assert batcher.waiting() == 0
        (kept,) = ask(batcher, 7)
        engine.gate.set()
        assert (await kept, await first[0]) == (14, -2)
        assert engine.batches == [[-1], [7]]


@pytest.mark.parametrize("in_flight", [1, 2])
@on_a_loop
async def test_when_what_computes_is_killed_everyone_is_told_and_it_is_seen(in_flight: int) -> None:
    engine = Gated()
    engine.gate.clear()
    batcher = Batcher(engine, Policy(max_batch=1, in_flight=in_flight)).start()
    waiters = ask(batcher, *range(5))
    await settle()
    assert batcher.alive()
    (lane, *_) = [task for task in asyncio.all_tasks() if task.get_name() == "batcher-0"]
    lane.cancel()
    results = await asyncio.wait_for(asyncio.gather(*waiters, return_exceptions=True), 5)
    assert all(isinstance(result, Died) for result in results)
    assert not batcher.alive()
    with pytest.raises(Died):
        await batcher.submit(9)
    await asyncio.wait_for(batcher.drain(), 5)


@on_a_loop
async def test_an_error_of_ours_in_the_batching_task_is_seen_as_its_death(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def wanted(_: int) -> bool:
        raise ZeroDivisionError

    batcher = Batcher(Gated(), Policy(), wanted=wanted).start()
    results = await asyncio.wait_for(asyncio.gather(*ask(batcher, 1, 2), return_exceptions=True), 5)
    assert all(isinstance(result, Died) for result in results)
    assert not batcher.alive()
    (told,) = caplog.records
    assert told.exc_info
    assert told.exc_info[0] is ZeroDivisionError


@pytest.mark.slow
@on_a_loop
async def test_overload_is_refused_what_is_taken_is_in_time_and_then_all_is_as_before() -> None:
    """Ten times what the engine can do, for 30 s of a fake clock."""
    clock = FakeClock()

    async def run(items: list[int]) -> list[int]:
        await clock.sleep(0.01 + 0.01 * len(items))
        return items

    outcomes: list[BaseException | int] = []

    async def one(number: int) -> None:
        try:
            outcomes.append(await batcher.submit(number, due_s=clock.time() + 1.0))
        except Exception as error:  # noqa: BLE001 - every outcome is looked at
            outcomes.append(error)

    async def offer(per_tick: int, ticks: int) -> int:
        """Return how many were answered; a tick is 0.1 s, in which the engine computes some 9."""
        outcomes.clear()
        tasks = []
        for _ in range(ticks):
            tasks += [asyncio.create_task(one(number)) for number in range(per_tick)]
            await clock.advance(0.1)
        await clock.advance(2.0)
        assert all(task.done() for task in tasks)
        return sum(isinstance(outcome, int) for outcome in outcomes)

    async with Batcher(run, Policy(max_batch=16, max_items=256), clock=clock) as batcher:
        before = await offer(8, 50)
        assert before == 400
        answered = await offer(90, 300)
        assert answered > 0.95 * 9.0 * 300
        # what was let in was nearly always computed in time: refusing is what admission is for
        expired = sum(type(outcome).__name__ == "Expired" for outcome in outcomes)
        assert expired < 0.02 * answered
        assert await offer(8, 50) == 400


@on_a_loop
async def test_a_waiting_request_weighs_its_item_and_no_more_than_two_kilobytes() -> None:
    engine = Gated()
    engine.gate.clear()
    batcher = Batcher(engine, Policy(max_batch=1, max_items=5000)).start()
    ask(batcher, 0)
    await settle()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    waiting = ask(batcher, *[1] * 2000, due_s=1e12)
    await settle()
    each = (tracemalloc.get_traced_memory()[0] - before) / 2000
    tracemalloc.stop()
    assert batcher.waiting() == 2000
    assert each < 2048
    batcher.close()
    await asyncio.gather(*waiting, return_exceptions=True)


@on_a_loop
async def test_a_batch_that_fails_only_as_a_whole_is_told_of(caplog: pytest.LogCaptureFixture) -> None:
    async def run(items: list[int]) -> list[int]:
        if len(items) > 2:
            raise MemoryError
        return items

    async with Batcher(run, Policy(max_batch=4)) as batcher:
        assert await asyncio.gather(*ask(batcher, *range(4))) == [0, 1, 2, 3]
    assert [record.getMessage() for record in caplog.records] == [
        "a batch of 4 items failed, but none of its items fails alone"
    ]
