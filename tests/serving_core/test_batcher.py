"""The batcher: what waits is computed together, and nobody's misfortune is a neighbour's."""

import asyncio
from time import monotonic

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batched_serving.batcher import Batcher, Died, Expired, Full, Unwanted


class Engine:
    """Doubles numbers once its gate is open; numbers in `bad` fail whatever batch they are in."""

    def __init__(self, bad: frozenset[int] = frozenset()) -> None:
        self.batches: list[list[int]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.bad = bad

    async def compute(self, items: list[int]) -> list[int]:
        self.batches.append(items)
        await self.gate.wait()
        await asyncio.sleep(0)
        if self.bad.intersection(items):
            raise ValueError(f"bad item in {items}")
        return [2 * item for item in items]


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def test_an_idle_engine_takes_at_once_and_a_busy_one_lets_arrivals_gather() -> None:
    async def scenario() -> None:
        engine = Engine()
        engine.gate.clear()
        batcher = Batcher(engine.compute, max_batch=4, limit=100)
        tasks = [asyncio.create_task(batcher.submit(0))]
        await settle()
        assert engine.batches == [[0]]
        tasks += [asyncio.create_task(batcher.submit(number)) for number in range(1, 7)]
        await settle()
        assert engine.batches == [[0]]
        engine.gate.set()
        assert await asyncio.gather(*tasks) == [0, 2, 4, 6, 8, 10, 12]
        assert engine.batches == [[0], [1, 2, 3, 4], [5, 6]]
        batcher.close()

    asyncio.run(scenario())


def test_only_the_items_that_fail_alone_fail() -> None:
    async def scenario() -> None:
        engine = Engine(bad=frozenset({3, 6}))
        batcher = Batcher(engine.compute, max_batch=8, limit=100)
        results = await asyncio.gather(
            *(batcher.submit(number) for number in range(8)), return_exceptions=True
        )
        failed = [number for number, result in enumerate(results) if isinstance(result, ValueError)]
        assert failed == [3, 6]
        assert [result for result in results if isinstance(result, int)] == [0, 2, 4, 8, 10, 14]
        batcher.close()

    asyncio.run(scenario())


def test_a_wrong_number_of_results_is_an_error_and_never_a_neighbours_answer() -> None:
    async def short(items: list[int]) -> list[int]:
        return items[1:]

    async def scenario() -> None:
        batcher = Batcher(short, max_batch=4, limit=100)
        results = await asyncio.gather(
            *(batcher.submit(number) for number in range(4)), return_exceptions=True
        )
        assert all(isinstance(result, ValueError) for result in results)
        batcher.close()

    asyncio.run(scenario())


def test_the_expired_and_the_cancelled_are_never_computed() -> None:
    async def scenario() -> None:
        engine = Engine()
        engine.gate.clear()
        batcher = Batcher(engine.compute, max_batch=4, limit=100)
        first = asyncio.create_task(batcher.submit(0))
        await settle()
        late = asyncio.create_task(batcher.submit(1, due_s=monotonic() - 1))
        gone = asyncio.create_task(batcher.submit(2))
        kept = asyncio.create_task(batcher.submit(3))
        await settle()
        gone.cancel()
        engine.gate.set()
        assert await kept == 6
        assert await first == 0
        with pytest.raises(Expired):
            await late
        assert engine.batches == [[0], [3]]
        batcher.close()

    asyncio.run(scenario())


def test_the_queue_is_bounded() -> None:
    async def scenario() -> None:
        engine = Engine()
        engine.gate.clear()
        batcher = Batcher(engine.compute, max_batch=1, limit=2)
        tasks = [asyncio.create_task(batcher.submit(0))]
        await settle()
        tasks += [asyncio.create_task(batcher.submit(number)) for number in (1, 2)]
        await settle()
        with pytest.raises(Full):
            await batcher.submit(3)
        engine.gate.set()
        assert await asyncio.gather(*tasks) == [0, 2, 4]
        batcher.close()

    asyncio.run(scenario())


def test_a_batch_waits_to_fill_only_while_patience_lasts() -> None:
    async def scenario() -> None:
        engine = Engine()
        patience = [60.0]
        batcher = Batcher(engine.compute, max_batch=3, limit=100, patience_s=lambda: patience[0])
        tasks = [asyncio.create_task(batcher.submit(number)) for number in range(2)]
        await settle()
        assert engine.batches == []
        tasks.append(asyncio.create_task(batcher.submit(2)))
        assert await asyncio.gather(*tasks) == [0, 2, 4]
        assert engine.batches == [[0, 1, 2]]
        lone = asyncio.create_task(batcher.submit(3))
        await settle()
        assert len(engine.batches) == 1
        patience[0] = 0.0
        batcher.reconsider()
        assert await lone == 6
        patience[0] = 0.001
        assert await batcher.submit(4) == 8
        batcher.close()

    asyncio.run(scenario())


def test_when_the_task_dies_waiters_are_told_and_it_is_seen() -> None:
    async def scenario() -> None:
        engine = Engine()
        engine.gate.clear()
        batcher = Batcher(engine.compute, max_batch=1, limit=100)
        waiters = [asyncio.create_task(batcher.submit(number)) for number in range(3)]
        await settle()
        assert batcher.alive()
        batcher.close()
        results = await asyncio.gather(*waiters, return_exceptions=True)
        assert all(isinstance(result, Died) for result in results)
        assert not batcher.alive()
        with pytest.raises(Died):
            await batcher.submit(9)

    asyncio.run(scenario())


def test_an_item_that_nobody_wants_any_more_is_left_out() -> None:
    async def scenario() -> None:
        engine = Engine()
        engine.gate.clear()
        gone: set[int] = set()
        batcher = Batcher(engine.compute, max_batch=2, limit=100, wanted=lambda number: number not in gone)
        waiters = [asyncio.create_task(batcher.submit(number)) for number in range(5)]
        await settle()
        gone.update({2, 3})
        engine.gate.set()
        results = await asyncio.gather(*waiters, return_exceptions=True)
        assert [type(result) for result in results] == [int, int, Unwanted, Unwanted, int]
        assert engine.batches == [[0, 1], [4]]
        batcher.close()

    asyncio.run(scenario())


ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("submit"), st.integers(0, 30)),
        st.tuples(st.just("late"), st.integers(0, 30)),
        st.tuples(st.just("cancel"), st.integers(0, 200)),
        st.tuples(st.sampled_from(["tick", "open", "shut"]), st.just(0)),
    ),
    max_size=60,
)


@settings(max_examples=150, deadline=None)
@given(actions=ACTIONS, bad=st.frozensets(st.integers(0, 30), max_size=5), max_batch=st.integers(1, 6))
def test_whatever_happens_each_waiter_gets_its_own_outcome(
    actions: list[tuple[str, int]], bad: frozenset[int], max_batch: int
) -> None:
    asyncio.run(_interleave(actions, bad, max_batch))


async def _interleave(actions: list[tuple[str, int]], bad: frozenset[int], max_batch: int) -> None:
    engine = Engine(bad)
    batcher = Batcher(engine.compute, max_batch, limit=1000)
    waiters: list[tuple[int, bool, asyncio.Task[int]]] = []
    cancelled: set[int] = set()
    for kind, number in actions:
        if kind in ("submit", "late"):
            due_s = monotonic() - 1 if kind == "late" else float("inf")
            waiters.append((number, kind == "late", asyncio.create_task(batcher.submit(number, due_s))))
        elif kind == "cancel" and waiters:
            place = number % len(waiters)
            if waiters[place][2].cancel():
                cancelled.add(place)
        elif kind == "tick":
            await asyncio.sleep(0)
        elif kind in ("open", "shut"):
            engine.gate.set() if kind == "open" else engine.gate.clear()
    engine.gate.set()
    tasks = [task for _, _, task in waiters]
    results = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), timeout=20)
    assert batcher.alive()
    assert all(len(batch) <= max_batch for batch in engine.batches)
    for place, ((number, late, _), result) in enumerate(zip(waiters, results, strict=True)):
        if isinstance(result, asyncio.CancelledError):
            assert place in cancelled
        elif late:
            assert isinstance(result, Expired)
        elif number in bad:
            assert isinstance(result, ValueError)
        else:
            assert result == 2 * number
    batcher.close()
    await settle()
