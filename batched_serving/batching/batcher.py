"""Gathering of items into batches: the policy, the outcomes of an item, and the batcher itself."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from math import ceil, inf
from types import TracebackType
from typing import Generic, Self, TypeVar

from batched_serving.batching.queue import ItemGroup, Queue, QueueEntry
from batched_serving.batching.timing import Clock, LoopClock, ServiceTime, Timer


@dataclass(frozen=True, slots=True)
class Policy:
    """How items are gathered, and how many may wait.

    At most `max_batch` items are computed together, and `in_flight` batches at once. `max_items` and
    `max_bytes` limit the waiting items; if nothing waits, an item of any size is accepted.

    An idle engine takes the waiting items at once, unless a batch that is not full may wait: for `max_wait_s`
    from the arrival of the oldest waiting item, and never so long that an item misses its deadline. With
    `spread`, the waiting items are divided among the batches that could start now, which suits cores. Without
    it, or if batches may wait to fill, each batch takes as many items as it may, which suits one device.

    Raises ValueError if a number is out of range.
    """

    max_batch: int = 16
    in_flight: int = 1
    max_items: int = 256
    max_bytes: float = inf
    max_wait_s: float = 0.0
    spread: bool = False

    def __post_init__(self) -> None:
        if min(self.max_batch, self.in_flight, self.max_items) < 1:
            raise ValueError("max_batch, in_flight and max_items must be 1 or more")
        if not (self.max_bytes > 0 and self.max_wait_s >= 0):
            raise ValueError("max_bytes must be above 0, max_wait_s must be 0 or more")


class Refused(Exception):  # noqa: N818 - an outcome, not an error
    """The item was not accepted; after `retry_after_s` it would be, if no other item arrived."""

    def __init__(self, reason: str, retry_after_s: float) -> None:
        super().__init__(reason)
        self.retry_after_s = retry_after_s


class Full(Refused):
    """The most items or bytes that may wait are waiting already."""


class Late(Refused):
    """The recent times of batches show that the item's result would come after its deadline."""


class Draining(Exception):  # noqa: N818 - an outcome, not an error
    """The batcher accepts no new items, because it is about to end."""


class Expired(Exception):  # noqa: N818 - an outcome, not an error
    """The item's deadline passed before its result was ready."""


class Unwanted(Exception):  # noqa: N818 - an outcome, not an error
    """The item was no longer wanted when its turn came, so it was not computed."""


class Died(Exception):  # noqa: N818 - an outcome, not an error
    """The task that computes batches ended unexpectedly: nothing more will be computed."""


Item = TypeVar("Item")
Result = TypeVar("Result")

# A narrowly missed deadline wastes a computation, a refusal nothing: predictions are lengthened by this.
MARGIN = 1.1

DEAD = "what computes batches has ended"

log = logging.getLogger("batched_serving.batching")


class Batcher(Generic[Item, Result]):
    """Passes the waiting items to `run`, as soon as `run` can take them.

    They go in the order of arrival, and the items of one group let others go between them. At every other
    turn the item with the earliest deadline goes first, if it would be late in that order.
    `run` returns one result for each item, in order. If it raises, or returns another number of results, the
    batch is split and tried again, so that only those items fail that fail alone. An item that is no longer
    `wanted` when its turn comes is left out. Deadlines are times of the clock. The batcher belongs to the
    event loop on which it was started; other threads must not call it.
    """

    def __init__(
        self,
        run: Callable[[list[Item]], Awaitable[list[Result]]],
        policy: Policy,
        *,
        wanted: Callable[[Item], bool] = lambda _: True,
        clock: Clock | None = None,
    ) -> None:
        self.policy = policy
        self.service_time = ServiceTime()
        self._run = run
        self._wanted = wanted
        self._clock = clock
        self._queue: Queue[Item, Result] = Queue()
        # for each lane: the time at which its batch should be done, and the batch
        self._running: dict[int, tuple[float, list[QueueEntry[Item, Result]]]] = {}
        self._draining = self._dead = False
        self._lanes: list[asyncio.Task[None]] = []
        # each timer, and the time at which it calls
        self._alarm: tuple[float, Timer | None] = (inf, None)
        self._fill: tuple[float, Timer | None] = (inf, None)

    def start(self) -> Self:
        """Begin to compute, on the running event loop."""
        self._loop = asyncio.get_running_loop()
        clock = self._clock or LoopClock()
        self._now, self._call_at = clock.time, clock.call_at
        self._wake, self._quiet = asyncio.Event(), asyncio.Event()
        for number in range(self.policy.in_flight):
            lane = asyncio.create_task(self._serve(number), name=f"batcher-{number}")
            lane.add_done_callback(self._on_end)
            self._lanes.append(lane)
        return self

    async def submit(
        self, item: Item, due_s: float = inf, size_bytes: int = 0, group: ItemGroup | None = None
    ) -> Result:
        """Return the item's result; the items of a `group` take turns with all others.

        Raises Full or Late if the item is not accepted, Draining or Died if no items are, Expired at its
        deadline, Unwanted, or the exception of `run` for this item alone. Cancellation removes the item from
        the queue.
        """
        if not self.alive():
            raise Died(DEAD)
        if self._draining:
            raise Draining("nothing new is taken")
        now = self._now()
        self._admit(due_s, size_bytes, now)
        entry: QueueEntry[Item, Result] = QueueEntry(item, due_s, size_bytes, now, self._loop.create_future())
        del item
        self._queue.add(entry, group)
        if due_s < self._alarm[0]:
            self._set_alarm(due_s)
        self._reconsider()
        try:
            return await entry.future
        except asyncio.CancelledError:
            self._queue.withdraw(entry)
            self._tell_when_quiet()
            raise

    def wait_s(self, due_s: float = inf) -> float:
        """Return the predicted seconds until the result of an item with this deadline, if it arrived now."""
        now = self._now()
        urgent = due_s < self._soon_s(now)
        return self._predict_s(self._queue.ahead(due_s) if urgent else len(self._queue), now)

    def waiting(self) -> int:
        """Return the number of items that wait for their batch."""
        return len(self._queue)

    def alive(self) -> bool:
        """Tell whether items are computed."""
        return bool(self._lanes) and not self._dead

    async def drain(self) -> None:
        """Accept no new items, and return when every accepted item is answered."""
        self._draining = True
        self._reconsider()
        while self.alive() and (self._queue or self._running):
            self._quiet.clear()
            await self._quiet.wait()

    def close(self) -> None:
        """End now; every waiting caller gets Died."""
        if self._dead:
            return
        self._dead = True
        for lane in self._lanes:
            lane.cancel()
        for _, timer in (self._alarm, self._fill):
            if timer is not None:
                timer.cancel()
        running = [entry for _, batch in self._running.values() for entry in batch]
        for entry in [*running, *self._queue.take(len(self._queue))]:
            entry.fail(Died(DEAD))
        if self._lanes:
            self._quiet.set()

    async def __aenter__(self) -> Self:
        return self.start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            await self.drain()
        self.close()

    def _reconsider(self) -> None:
        """Start the next batch if it may start now."""
        if self._may_start():
            self._wake.set()

    def _admit(self, due_s: float, size_bytes: int, now: float) -> None:
        """Raise Full or Late if the item cannot be accepted."""
        policy, waiting = self.policy, len(self._queue)
        if waiting >= policy.max_items or (waiting and self._queue.bytes + size_bytes > policy.max_bytes):
            raise Full(f"{waiting} items wait", self._predict_s(waiting, now))
        # an idle batcher tries the item: otherwise a wrong prediction would never be corrected
        if due_s < inf and (waiting or self._running) and due_s < self._soon_s(now):
            wait_s = MARGIN * self._predict_s(self._queue.ahead(due_s), now)
            if now + wait_s > due_s:
                raise Late(f"the result would take {wait_s:.3f} s", now + wait_s - due_s)

    def _predict_s(self, ahead: int, now: float) -> float:
        """Return the seconds until the result of an item that has `ahead` items before it."""
        predict, policy = self.service_time.predict, self.policy
        busy = len(self._running) >= policy.in_flight
        free_s = min(end_s for end_s, _ in self._running.values()) if busy else now
        batches = ahead // policy.max_batch
        ahead_s = batches * predict(policy.max_batch) / policy.in_flight
        # its own batch is filled with items that wait behind it, and with items that arrive before its turn
        own = policy.max_batch if batches else min(policy.max_batch, len(self._queue) + 1)
        return max(0.0, free_s - now) + ahead_s + predict(own)

    def _soon_s(self, now: float) -> float:
        """Return the time at which all waiting items will be computed: earlier deadlines are urgent."""
        return now + MARGIN * self._predict_s(len(self._queue), now)

    def _may_start(self) -> bool:
        """Tell whether a batch may start; if it must wait to fill, set a timer for its start."""
        waiting, policy = len(self._queue), self.policy
        if not waiting or waiting >= policy.max_batch or not policy.max_wait_s or self._draining:
            return waiting > 0
        if len(self._running) >= policy.in_flight:
            return False  # checked again when a lane is free
        # no item may miss its deadline because of the wait
        needed_s = MARGIN * self.service_time.predict(waiting)
        start_s = min(self._queue.oldest_s() + policy.max_wait_s, self._queue.first_due_s() - needed_s)
        if start_s <= self._now():
            return True
        if start_s != self._fill[0]:
            if self._fill[1] is not None:
                self._fill[1].cancel()
            self._fill = (start_s, self._call_at(start_s, self._filled))
        return False

    def _filled(self) -> None:
        self._fill = (inf, None)
        self._reconsider()

    async def _serve(self, lane: int) -> None:
        while True:
            while not self._may_start():
                self._wake.clear()
                await self._wake.wait()
            batch = self._take(lane)
            if await self._answer(batch) and len(batch) > 1:
                log.warning("a batch of %d items failed, but none of its items fails alone", len(batch))
            del self._running[lane]
            self._tell_when_quiet()

    def _take(self, lane: int) -> list[QueueEntry[Item, Result]]:
        """Return the next batch, without the items that have expired or are no longer wanted."""
        now = self._now()
        for entry in self._queue.take_due(now):
            entry.fail(Expired("the deadline passed while it waited"))
        most, free = self.policy.max_batch, self.policy.in_flight - len(self._running)
        if self.policy.spread and not self.policy.max_wait_s:
            most = min(most, max(1, ceil(len(self._queue) / free)))
        batch: list[QueueEntry[Item, Result]] = []
        soon_s = self._soon_s(now) if len(self._queue) > most else inf
        while self._queue and len(batch) < most:
            batch += self._queue.take(most - len(batch), soon_s)
            # recorded before anything else, so that their callers are answered whatever happens
            self._running[lane] = (now, batch)
            batch = [entry for entry in batch if self._still_wanted(entry)]
        self._running[lane] = (now + self.service_time.predict(len(batch)), batch)
        return batch

    def _still_wanted(self, entry: QueueEntry[Item, Result]) -> bool:
        if entry.future.done():
            return False  # cancelled a moment ago
        if self._wanted(entry.item):
            return True
        entry.fail(Unwanted("nobody wants it any more"))
        return False

    async def _answer(self, batch: list[QueueEntry[Item, Result]]) -> bool:
        """Compute a batch; return True if the batch failed although each of its items has a result."""
        batch = [entry for entry in batch if not entry.future.done()]
        if not batch:
            return False
        began_s = self._now()
        try:
            results = await self._run([entry.item for entry in batch])
            paired = list(zip(batch, results, strict=True))
        except asyncio.CancelledError:
            lane = asyncio.current_task()
            if lane is None or lane.cancelling():
                raise
            return await self._answer_apart(batch, RuntimeError("the computation cancelled itself"))
        except Exception as error:  # noqa: BLE001 - any exception goes to the items that cause it
            return await self._answer_apart(batch, error)
        now = self._now()
        self.service_time.observe(len(batch), now - began_s)
        for entry, result in paired:
            if entry.due_s > now:
                entry.settle(result)
            else:  # the timer has not called yet
                entry.fail(Expired("the deadline passed while it was computed"))
        return False

    async def _answer_apart(self, batch: list[QueueEntry[Item, Result]], error: Exception) -> bool:
        """Find the items that fail alone, and give each its own error; return True if no item fails."""
        if len(batch) == 1:
            batch[0].fail(error)
            return False
        middle = len(batch) // 2
        await self._answer(batch[:middle])
        await self._answer(batch[middle:])
        return not any(entry.failed() for entry in batch)

    def _set_alarm(self, when_s: float) -> None:
        if self._alarm[1] is not None:
            self._alarm[1].cancel()
        self._alarm = (when_s, self._call_at(when_s, self._expire) if when_s < inf else None)

    def _expire(self) -> None:
        """Answer each item whose deadline has passed, computed or not, and set the timer for the next."""
        now = self._now()
        for entry in self._queue.take_due(now):
            entry.fail(Expired("the deadline passed while it waited"))
        due_s = [self._queue.first_due_s()]
        for _, batch in self._running.values():
            for entry in batch:
                if entry.due_s <= now:
                    entry.fail(Expired("the deadline passed while it was computed"))
                elif not entry.future.done():
                    due_s.append(entry.due_s)
        self._set_alarm(min(due_s))
        self._tell_when_quiet()

    def _tell_when_quiet(self) -> None:
        if self._draining and not (self._queue or self._running):
            self._quiet.set()

    def _on_end(self, lane: asyncio.Task[None]) -> None:
        """Answer every caller with Died when a computing task ends, for whatever reason."""
        if not self._dead:
            cause = None if lane.cancelled() else lane.exception()
            log.error("what computes batches has ended", exc_info=cause)
        elif not lane.cancelled():
            lane.exception()  # read, so that asyncio does not report it as never retrieved
        self.close()
