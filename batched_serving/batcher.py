"""Dynamic batching: items that wait while a batch is computed make up the next one. No HTTP in here."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from time import monotonic
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class Full(Exception):  # noqa: N818 - an outcome that callers turn into their own refusal
    """The queue holds as many items as it may."""


class Expired(Exception):  # noqa: N818 - an outcome that callers turn into their own refusal
    """The item's deadline passed before it was computed."""


class Unwanted(Exception):  # noqa: N818 - an outcome that callers turn into their own refusal
    """Nobody wants the item's result any more, so it was not computed."""


class Died(Exception):  # noqa: N818 - an outcome that callers turn into their own refusal
    """The batching task ended although it should not; nothing more will be computed."""


class _Entry(Generic[Item, Result]):
    __slots__ = ("arrived_s", "due_s", "future", "item")

    def __init__(self, item: Item, due_s: float, future: asyncio.Future[Result]) -> None:
        self.item = item
        self.due_s = due_s
        self.future = future
        self.arrived_s = monotonic()


class Batcher(Generic[Item, Result]):
    """Gathers items while `compute` is busy; when it is not, hands it up to `max_batch`, oldest first.

    `compute` returns one result an item, in order. When it raises, the batch is split and tried again, so
    that only the items that fail alone fail. `limit` bounds the items that wait. A batch waits to fill for
    as long as `patience_s` says, asked anew at each arrival and counted from its oldest item's arrival: 0
    never waits. An item that is no longer `wanted` when its turn comes is left out.
    """

    def __init__(
        self,
        compute: Callable[[list[Item]], Awaitable[list[Result]]],
        max_batch: int,
        limit: int,
        patience_s: Callable[[], float] = lambda: 0.0,
        wanted: Callable[[Item], bool] = lambda _: True,
    ) -> None:
        self._compute = compute
        self._max_batch = max_batch
        self._limit = limit
        self._patience_s = patience_s
        self._wanted = wanted
        self._waiting: deque[_Entry[Item, Result]] = deque()
        self._computing: list[_Entry[Item, Result]] = []
        self._arrival = asyncio.Event()
        self._task = asyncio.create_task(self._run(), name="batcher")
        self._task.add_done_callback(self._on_end)

    async def submit(self, item: Item, due_s: float = float("inf")) -> Result:
        """Return the item's result; raises Full, Expired, Unwanted, Died or compute's error.

        It expires after `due_s` on the monotonic clock. Cancelling a submit that still waits takes its
        item out of the queue.
        """
        if not self.alive():
            raise Died("the batching task has ended")
        if len(self._waiting) >= self._limit:
            raise Full(f"{self._limit} items are waiting")
        entry = _Entry[Item, Result](item, due_s, asyncio.get_running_loop().create_future())
        self._waiting.append(entry)
        self._arrival.set()
        try:
            return await entry.future
        except asyncio.CancelledError:
            if entry in self._waiting:
                self._waiting.remove(entry)
            raise

    def reconsider(self) -> None:
        """Ask `patience_s` again, because what it depends on has changed without an arrival."""
        self._arrival.set()

    def alive(self) -> bool:
        """Tell whether items are still computed."""
        return not self._task.done()

    def close(self) -> None:
        """End the task; whoever still waits gets Died."""
        self._task.cancel()

    async def _run(self) -> None:
        while True:
            self._arrival.clear()
            if not self._waiting:
                await self._arrival.wait()
            elif len(self._waiting) < self._max_batch and (left_s := self._left_s()) > 0:
                with suppress(TimeoutError):
                    async with asyncio.timeout(left_s):
                        await self._arrival.wait()
            else:
                self._computing = self._take()
                await self._answer(self._computing)
                self._computing = []

    def _left_s(self) -> float:
        return self._waiting[0].arrived_s + self._patience_s() - monotonic()

    def _take(self) -> list[_Entry[Item, Result]]:
        """Take the next batch, leaving out whoever gave up and refusing whose time is over."""
        batch: list[_Entry[Item, Result]] = []
        now = monotonic()
        while self._waiting and len(batch) < self._max_batch:
            entry = self._waiting.popleft()
            if entry.future.done():
                continue
            if entry.due_s < now:
                entry.future.set_exception(Expired("the deadline passed while waiting"))
                continue
            if not self._wanted(entry.item):
                entry.future.set_exception(Unwanted())
                continue
            batch.append(entry)
        return batch

    async def _answer(self, batch: list[_Entry[Item, Result]]) -> None:
        batch = [entry for entry in batch if not entry.future.done()]
        if not batch:
            return
        try:
            results = await self._compute([entry.item for entry in batch])
            paired = list(zip(batch, results, strict=True))
        except Exception as error:  # noqa: BLE001 - whatever it is goes to the items that cause it
            if len(batch) == 1:
                _settle_error(batch[0], error)
                return
            middle = len(batch) // 2
            await self._answer(batch[:middle])
            await self._answer(batch[middle:])
            return
        for entry, result in paired:
            if not entry.future.done():
                entry.future.set_result(result)

    def _on_end(self, task: asyncio.Task[None]) -> None:
        for entry in (*self._computing, *self._waiting):
            _settle_error(entry, Died("the batching task has ended"))
        self._waiting.clear()
        if not task.cancelled():
            task.exception()


def _settle_error(entry: _Entry[Item, Result], error: Exception) -> None:
    if not entry.future.done():
        entry.future.set_exception(error)
