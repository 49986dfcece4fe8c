"""Threads and their jobs: those of one request take turns with all others, and none is lost."""

import asyncio
import gc
import threading
import weakref
from collections.abc import Callable
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving_core import workers
from serving_core.workers import Workers


@pytest.fixture
def one_job_a_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "TURN_S", 0.0)


def written(order: list[str], name: str, gate: threading.Event) -> Callable[[], None]:
    def job() -> None:
        assert gate.wait(20)
        order.append(name)

    return job


def jobs_of(order: list[str], name: str, count: int, gate: threading.Event) -> list[Callable[[], None]]:
    return [written(order, f"{name}{number}", gate) for number in range(count)]


@pytest.mark.usefixtures("one_job_a_turn")
def test_jobs_that_came_together_let_all_others_go_between_them() -> None:
    async def scenario() -> list[str]:
        order, gate, threads = list[str](), threading.Event(), Workers(1, "worker")
        asked = threads.take_turns(jobs_of(order, "a", 4, gate))
        alone = [asyncio.create_task(threads.submit(job)) for job in jobs_of(order, "x", 3, gate)]
        await asyncio.sleep(0.02)
        asked += threads.take_turns(jobs_of(order, "b", 3, gate))
        gate.set()
        await asyncio.gather(*asked, *alone)
        threads.close()
        return order

    assert asyncio.run(scenario()) == ["a0", "x0", "x1", "x2", "b0", "a1", "b1", "a2", "b2", "a3"]


def test_short_jobs_share_a_turn_that_ends() -> None:
    """So that they pay for it by the job only where others wait for them."""

    async def scenario() -> list[str]:
        order, gate, threads = list[str](), threading.Event(), Workers(1, "worker")
        busy = asyncio.create_task(threads.submit(partial(gate.wait, 20)))
        await asyncio.sleep(0.01)
        asked = threads.take_turns(jobs_of(order, "a", 3, gate))
        long = threading.Event()
        asked += threads.take_turns([partial(long.wait, 2 * workers.TURN_S), *jobs_of(order, "b", 1, gate)])
        alone = asyncio.create_task(threads.submit(written(order, "x", gate)))
        await asyncio.sleep(0.01)
        gate.set()
        await asyncio.gather(busy, *asked, alone)
        threads.close()
        return order

    assert asyncio.run(scenario()) == ["a0", "a1", "a2", "x", "b0"]


def test_one_requests_jobs_have_every_thread_that_has_nothing_else_to_do() -> None:
    async def scenario() -> None:
        threads, together = Workers(3, "worker"), threading.Barrier(3)
        await asyncio.gather(*threads.take_turns([partial(together.wait, 20) for _ in range(6)]))
        threads.close()

    asyncio.run(scenario())


def test_what_a_cancelled_request_held_is_let_go_while_its_jobs_wait_for_their_turn() -> None:
    class Body:
        """Something whose end can be seen."""

    async def scenario() -> None:
        threads, gate, done = Workers(1, "worker"), threading.Event(), list[int]()
        busy = asyncio.create_task(threads.submit(partial(gate.wait, 20)))
        await asyncio.sleep(0)  # it is in the queue before the others
        body = Body()
        seen = weakref.ref(body)
        waiting = threads.take_turns([partial(lambda held: done.append(id(held)), body) for _ in range(5)])
        del body
        for one in waiting:
            one.cancel()
        await asyncio.sleep(0.01)
        gc.collect()
        assert seen() is None
        gate.set()
        assert await busy
        assert await threads.submit(lambda: 1) == 1
        assert done == []
        threads.close()

    asyncio.run(scenario())


def test_a_job_that_fails_costs_no_other_its_turn() -> None:
    async def scenario() -> None:
        threads = Workers(1, "worker")
        asked = threads.take_turns([partial(divmod, 7, number) for number in (2, 0, 4)])
        results = await asyncio.gather(*asked, return_exceptions=True)
        assert [type(result) for result in results] == [tuple, ZeroDivisionError, tuple]
        threads.close()

    asyncio.run(scenario())


def test_an_end_does_what_waits_first() -> None:
    async def scenario() -> None:
        threads, gate = Workers(2, "worker"), threading.Event()
        busy = [asyncio.create_task(threads.submit(partial(gate.wait, 20))) for _ in range(2)]
        await asyncio.sleep(0.01)
        asked = threads.take_turns([partial(int, number) for number in range(9)])
        threads.close()
        gate.set()
        await asyncio.gather(*busy)
        assert await asyncio.gather(*asked) == list(range(9))

    asyncio.run(scenario())


@settings(max_examples=40)
@given(
    threads=st.integers(1, 3), sizes=st.lists(st.integers(0, 9), max_size=12), turn_s=st.sampled_from([0, 1])
)
def test_each_job_is_done_once_and_gives_its_own_result(threads: int, sizes: list[int], turn_s: int) -> None:
    async def scenario() -> None:
        done, lock, pool = list[tuple[int, int]](), threading.Lock(), Workers(threads, "worker")

        def job(request: int, number: int) -> tuple[int, int]:
            with lock:
                done.append((request, number))
            return request, number

        asked, alone = [], []
        for request, size in enumerate(sizes):
            asked += pool.take_turns([partial(job, request, number) for number in range(size)])
            alone.append(asyncio.create_task(pool.submit(partial(job, request, -1))))
            if request % 3 == 0:
                await asyncio.sleep(0)
        wanted = [(request, number) for request, size in enumerate(sizes) for number in range(size)]
        assert await asyncio.gather(*asked) == wanted
        await asyncio.gather(*alone)
        assert sorted(done) == sorted([*wanted, *((request, -1) for request in range(len(sizes)))])
        pool.close()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(workers, "TURN_S", float(turn_s))
        asyncio.run(scenario())
