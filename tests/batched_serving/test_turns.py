"""Whose turn it is: no deadline buys the queue, and one request's many items let others go between them."""

import asyncio
import statistics
from collections import Counter
from itertools import pairwise
from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batched_serving.batching import Batcher, ItemGroup, Policy
from batched_serving.batching.queue import Queue, QueueEntry
from tests.batched_serving.engines import Gated, Timed
from tests.batched_serving.test_batcher import ask, on_a_loop
from tests.running.clock import FakeClock, settle

LOOP = asyncio.new_event_loop()  # entries need a future, and nobody waits for these
BASE_S, EACH_S, MAX_BATCH = 0.01, 0.005, 4
DEFAULT_S = 30.0


def entry_of(number: int, due_s: float = inf) -> QueueEntry[int, int]:
    return QueueEntry(number, due_s, 1, 0.0, LOOP.create_future())


class Watched:
    """A queue that checks how many items go before each."""

    def __init__(self) -> None:
        self.queue: Queue[int, int] = Queue()
        self.groups = [ItemGroup() for _ in range(3)]
        self.waiting: dict[int, int] = {}  # an item -> its request, whose number is negative if it is alone
        self.most: dict[int, int] = {}  # an item alone -> how many may be taken before it
        self.taken = self.numbers = 0

    def add(self, due_s: float, group: int | None) -> None:
        self.numbers += 1
        if group is None:
            items = Counter(self.waiting.values()).values()
            self.most[self.numbers] = self.taken + 2 * sum(min(2, count) for count in items) + 1
        self.queue.add(entry_of(self.numbers, due_s), None if group is None else self.groups[group])
        self.waiting[self.numbers] = -self.numbers if group is None else group

    def take(self, count: int) -> None:
        together = count >= len(self.queue)
        taken = self.queue.take(count)
        for place, entry in enumerate(taken):
            before = self.taken if together else self.taken + place
            assert before <= self.most.get(entry.item, before)
            del self.waiting[entry.item]
        self.taken += len(taken)


ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.sampled_from([0.001, 1.5, 30.0, 3600.0, inf]), st.just(1)),
        st.tuples(st.sampled_from(["0", "1", "2"]), st.sampled_from([0.001, 30.0]), st.integers(1, 9)),
        st.tuples(st.just("take"), st.just(0.0), st.integers(1, 5)),
    ),
    max_size=60,
)


@settings(max_examples=300)
@given(actions=ACTIONS)
def test_no_item_waits_for_more_than_twice_the_turns_of_those_before_it(
    actions: list[tuple[str, float, int]],
) -> None:
    """Two items of each request that waits before it, and whatever comes after it: each may cost a turn."""
    watched = Watched()
    for now, (kind, seconds, count) in enumerate(actions):
        if kind == "take":
            watched.take(count)
            continue
        for _ in range(count):
            watched.add(now + seconds, None if kind == "add" else int(kind))
    while watched.queue:
        watched.take(1)
    assert (watched.waiting, watched.queue.bytes) == ({}, 0)


@settings(max_examples=300)
@given(actions=ACTIONS, allowed_s=st.sampled_from([0.0, 1.5, 30.0, inf]))
def test_the_order_is_predicted(actions: list[tuple[str, float, int]], allowed_s: float) -> None:
    """No more items go first than was said, as long as no others come."""
    watched = Watched()
    for now, (kind, seconds, count) in enumerate(actions):
        if kind == "take":
            watched.take(count)
        for _ in range(count if kind != "take" else 0):
            watched.add(now + seconds, None if kind == "add" else int(kind))
    due_s = len(actions) + allowed_s
    ahead = watched.queue.ahead(due_s)
    last = entry_of(0, due_s)
    watched.queue.add(last)
    order = [entry for _ in range(len(watched.queue)) for entry in watched.queue.take(1)]
    assert order.index(last) <= ahead


@settings(max_examples=300)
@given(st.lists(st.tuples(st.integers(0, 20), st.integers(1, 12)), max_size=15))
def test_deadlines_that_half_of_the_engine_could_keep_are_kept(urgent: list[tuple[int, int]]) -> None:
    """One item is taken at each tick, among ever more that are not urgent; each urgent one has a release."""
    arrivals = sorted(urgent)
    due = {number: release + allowed for number, (release, allowed) in enumerate(arrivals)}

    def late(take_one: list[int]) -> set[int]:
        return {number for tick, number in enumerate(take_one) if number in due and tick >= due[number]}

    alone, there, queue, together = list[int](), set[int](), Queue[int, int](), list[int]()
    for number in range(100, 140):
        queue.add(entry_of(number, 1e6 + number))
    for tick in range(60):
        for number, (release, _) in enumerate(arrivals):
            if release == tick:
                there.add(number)
                queue.add(entry_of(number, due[number]))
        queue.add(entry_of(200 + tick, 1e6 + tick))
        first = min(there, key=lambda number: (due[number], number)) if there and tick % 2 == 0 else -1
        alone.append(first)
        there.discard(first)
        together += [entry.item for entry in queue.take(1)]
    if not late(alone):
        assert not late(together)


def test_a_request_of_many_items_waits_its_turns_and_no_longer() -> None:
    """Though others come all the while, and each of them with an early deadline."""
    queue, group = Queue[int, int](), ItemGroup()
    for number in range(10):
        queue.add(entry_of(number), group)
    order = []
    for tick in range(40):
        for other in range(2):
            queue.add(entry_of(100 + 2 * tick + other, float(tick)))
        order += [entry.item for entry in queue.take(1)]
    ours = [place for place, number in enumerate(order) if number < 10]
    assert len(ours) >= 3  # two thirds of the items are others', which come faster than they are computed
    assert max(late - early for early, late in pairwise(ours)) <= 2 * 2 * ours[-1]


def test_every_other_turn_is_for_an_urgent_item_and_each_between_for_the_one_that_waits_longest() -> None:
    queue = Queue[int, int]()
    for number in range(1, 5):
        queue.add(entry_of(number))
    for number in range(5, 11):
        queue.add(entry_of(number, 9.0))
    order = [entry.item for _ in range(10) for entry in queue.take(1, soon_s=9.5)]
    assert order == [5, 1, 6, 2, 7, 3, 8, 4, 9, 10]
    for number in range(1, 5):
        queue.add(entry_of(number, 9.0 - number))
    assert [entry.item for _ in range(4) for entry in queue.take(1, soon_s=1.0)] == [1, 2, 3, 4]


@on_a_loop
async def test_the_items_of_one_request_are_not_a_batch_while_others_wait() -> None:
    engine, group = Gated(), ItemGroup()
    engine.gate.clear()
    async with Batcher(engine, Policy(max_batch=4)) as batcher:
        asked = ask(batcher, 0)
        await settle()
        asked += ask(batcher, *range(10, 19), group=group)
        await settle()
        asked += ask(batcher, 1, 2, 3)
        await settle()
        engine.gate.set()
        await asyncio.gather(*asked)
        assert engine.batches == [[0], [10, 1, 2, 3], [11, 12, 13, 14], [15, 16, 17, 18]]


@pytest.mark.parametrize("header_s", [0.05, 0.3, 1.5, 29.0, 3600.0])
@on_a_loop
async def test_no_deadline_buys_the_queue(header_s: float) -> None:
    """Sixty clients state one; five state none and wait no more than twice as long as in order of arrival."""
    clock = FakeClock()
    engine = Timed(clock, BASE_S, EACH_S)
    waits_s: dict[bool, list[float]] = {True: [], False: []}

    async def client(batcher: Batcher[int, int], *, states: bool) -> None:
        while clock.time() < 106:
            began_s = clock.time()
            try:
                await batcher.submit(1, began_s + (header_s if states else DEFAULT_S))
                waits_s[states].append(clock.time() - began_s)
            except Exception:  # noqa: BLE001 - a client that is refused or too late asks again
                await clock.sleep(0.01)

    async with Batcher(engine, Policy(max_batch=MAX_BATCH), clock=clock) as batcher:
        clients = [asyncio.create_task(client(batcher, states=number < 60)) for number in range(65)]
        await clock.advance(30)
        await asyncio.gather(*clients)
    in_order_s = (65 / MAX_BATCH + 2) * (BASE_S + EACH_S * MAX_BATCH)
    assert max(waits_s[False]) <= 2 * in_order_s
    if header_s > 2 * in_order_s:  # and nor does its absence
        assert statistics.median(waits_s[True]) <= 1.1 * in_order_s
        assert statistics.median(waits_s[False]) <= 1.1 * in_order_s


@on_a_loop
async def test_a_deadline_that_can_be_kept_among_the_patient_is_kept() -> None:
    """Forty patient clients wait 0.3 s in order of arrival; who has 0.15 s is answered all the same."""
    clock = FakeClock()
    engine = Timed(clock, BASE_S, EACH_S)

    async def patient(batcher: Batcher[int, int]) -> None:
        while clock.time() < 110:
            await batcher.submit(1, clock.time() + DEFAULT_S)

    async with Batcher(engine, Policy(max_batch=MAX_BATCH), clock=clock) as batcher:
        clients = [asyncio.create_task(patient(batcher)) for _ in range(40)]
        await clock.advance(1)
        for _ in range(100):
            (urgent,) = ask(batcher, 7, due_s=clock.time() + 0.15)
            await clock.advance(0.08)
            assert await urgent == 14
        await clock.advance(20)
        await asyncio.gather(*clients)
