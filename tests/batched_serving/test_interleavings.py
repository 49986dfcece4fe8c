"""No request is left without an answer, and none gets another's: random interleavings on a fake clock."""

import asyncio
from dataclasses import dataclass, field
from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batched_serving.batching import Batcher, Died, Draining, Expired, Full, Late, Policy, Unwanted
from tests.running.clock import FakeClock

ITEMS = st.integers(0, 40)
ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("submit"), ITEMS, st.sampled_from([0.0, 0.005, 0.02, 0.1, 1.0, inf])),
        st.tuples(st.just("cancel"), st.integers(0, 60), st.just(0.0)),
        st.tuples(st.just("leave"), ITEMS, st.just(0.0)),
        st.tuples(st.just("pass"), st.just(0), st.sampled_from([0.0, 0.001, 0.01, 0.05, 0.3])),
        st.tuples(st.sampled_from(["drain", "kill"]), st.just(0), st.just(0.0)),
    ),
    max_size=50,
)
POLICIES = st.builds(
    Policy,
    max_batch=st.integers(1, 6),
    in_flight=st.integers(1, 3),
    max_items=st.sampled_from([2, 5, 100]),
    max_bytes=st.sampled_from([30.0, inf]),
    max_wait_s=st.sampled_from([0.0, 0.02]),
    spread=st.booleans(),
)
# how each item behaves in an engine: what is in none of these is doubled
FAULTS = st.fixed_dictionaries(
    {name: st.frozensets(ITEMS, max_size=3) for name in ("bad", "once", "short", "cancels", "slow")}
)


@dataclass
class Faulty:
    """Doubles numbers, in time, unless they are trouble."""

    clock: FakeClock
    faults: dict[str, frozenset[int]]
    batches: list[list[int]] = field(default_factory=list)
    failed: set[int] = field(default_factory=set)

    async def __call__(self, items: list[int]) -> list[int]:
        self.batches.append(items)
        slow = self.faults["slow"].intersection(items)
        await self.clock.sleep(0.2 if slow else 0.004 + 0.001 * len(items))
        once = self.faults["once"].intersection(items) - self.failed
        self.failed |= once
        if once or self.faults["bad"].intersection(items):
            raise ValueError("trouble")
        if self.faults["cancels"].intersection(items):
            raise asyncio.CancelledError
        short = bool(self.faults["short"].intersection(items))
        return [2 * item for item in items][short:]


@dataclass
class Asked:
    """One request and what became of it, when."""

    number: int
    due_s: float
    outcome: object = None
    ended_s: float = -1.0


@pytest.mark.slow
@settings(max_examples=1500, deadline=None)
@given(actions=ACTIONS, policy=POLICIES, faults=FAULTS)
def test_whatever_happens_each_waiter_gets_its_own_outcome_in_time(
    actions: list[tuple[str, int, float]], policy: Policy, faults: dict[str, frozenset[int]]
) -> None:
    asyncio.run(interleave(actions, policy, faults))


async def interleave(
    actions: list[tuple[str, int, float]], policy: Policy, faults: dict[str, frozenset[int]]
) -> None:
    clock, gone = FakeClock(), set[int]()
    engine = Faulty(clock, faults)
    batcher = Batcher(engine, policy, wanted=lambda number: number not in gone, clock=clock).start()
    requests, tasks = list[Asked](), list[asyncio.Task[None]]()
    drains: list[asyncio.Task[None]] = []

    async def ask(asked: Asked) -> None:
        try:
            asked.outcome = await batcher.submit(asked.number, asked.due_s, size_bytes=10)
        except BaseException as error:  # noqa: BLE001 - every outcome is looked at
            asked.outcome = error
        asked.ended_s = clock.time()

    for kind, number, seconds in actions:
        if kind == "submit":
            requests.append(Asked(number, clock.time() + seconds))
            tasks.append(asyncio.create_task(ask(requests[-1])))
        elif kind == "cancel" and tasks:
            tasks[number % len(tasks)].cancel()
        elif kind == "leave":
            gone.add(number)
        elif kind == "pass":
            await clock.advance(seconds)
        elif kind == "drain":
            drains.append(asyncio.create_task(batcher.drain()))
        elif kind == "kill":
            lanes = [task for task in asyncio.all_tasks() if task.get_name().startswith("batcher-")]
            if lanes:
                lanes[0].cancel()
    await clock.advance(60)
    killed = not batcher.alive()
    assert killed == any(kind == "kill" for kind, _, _ in actions)
    drains.append(asyncio.create_task(batcher.drain()))
    await clock.advance(60)
    assert all(task.done() for task in [*tasks, *drains])
    assert all(len(batch) <= policy.max_batch for batch in engine.batches)
    for asked, task in zip(requests, tasks, strict=True):
        if asked.outcome is None:
            assert task.cancelled()  # before it had begun
        else:
            check(asked, faults, gone, killed=killed)
    batcher.close()


def check(asked: Asked, faults: dict[str, frozenset[int]], gone: set[int], *, killed: bool) -> None:
    number, outcome = asked.number, asked.outcome
    assert asked.ended_s <= max(asked.due_s, 100.0) + 1e-9
    if isinstance(outcome, int):
        assert outcome == 2 * number
        assert number not in faults["bad"] | faults["short"] | faults["cancels"]
    elif isinstance(outcome, Expired):
        assert asked.ended_s >= asked.due_s - 1e-9
    elif isinstance(outcome, Unwanted):
        assert number in gone
    elif isinstance(outcome, ValueError | RuntimeError):
        assert number in faults["bad"] | faults["short"] | faults["cancels"] | faults["once"]
    elif isinstance(outcome, Died):
        assert killed
    else:
        assert isinstance(outcome, Full | Late | Draining | asyncio.CancelledError)
