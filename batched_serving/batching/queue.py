"""The items that wait for a batch, earliest deadline first."""

import asyncio
from bisect import bisect, insort
from math import inf
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class QueueEntry(Generic[Item, Result]):
    """One waiting item: its arrival and deadline on the batcher's clock, and its caller's future."""

    __slots__ = ("arrived_s", "due_s", "future", "item", "number", "size_bytes")

    def __init__(
        self, item: Item, due_s: float, size_bytes: int, arrived_s: float, future: asyncio.Future[Result]
    ) -> None:
        self.item = item
        self.due_s = due_s
        self.size_bytes = size_bytes
        self.arrived_s = arrived_s
        self.future = future
        self.number = 0

    def settle(self, result: Result) -> None:
        """Answer with a result, unless the item has been answered."""
        if not self.future.done():
            self.future.set_result(result)

    def fail(self, error: Exception) -> None:
        """Answer with an error, unless the item has been answered."""
        if not self.future.done():
            self.future.set_exception(error)

    def failed(self) -> bool:
        """Tell whether the item was answered with an error."""
        return self.future.done() and not self.future.cancelled() and self.future.exception() is not None


class Queue(Generic[Item, Result]):
    """Entries in the order of their deadlines; entries with the same deadline in the order of arrival.

    It is a sorted list. An insertion moves pointers, which takes a fraction of a microsecond for thousands of
    entries; the entry of a caller that gives up is found at once and removed whole.
    """

    def __init__(self) -> None:
        self._sorted: list[tuple[float, int, QueueEntry[Item, Result]]] = []
        self._numbers = 0
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._sorted)

    def add(self, entry: QueueEntry[Item, Result]) -> None:
        """Put an entry in its place."""
        self._numbers += 1
        entry.number = self._numbers
        self.bytes += entry.size_bytes
        insort(self._sorted, (entry.due_s, entry.number, entry))

    def ahead(self, due_s: float) -> int:
        """Return how many entries go before an entry with deadline `due_s`, if it arrived now."""
        return bisect(self._sorted, (due_s, self._numbers + 1))

    def first_due_s(self) -> float:
        """Return the earliest deadline; infinity if nothing waits."""
        return self._sorted[0][0] if self._sorted else inf

    def oldest_s(self) -> float:
        """Return the earliest arrival of all entries; infinity if nothing waits."""
        return min((entry.arrived_s for _, _, entry in self._sorted), default=inf)

    def take(self, count: int) -> list[QueueEntry[Item, Result]]:
        """Remove the first entries, at most `count`, and return them."""
        taken = [entry for _, _, entry in self._sorted[:count]]
        del self._sorted[:count]
        self.bytes -= sum(entry.size_bytes for entry in taken)
        return taken

    def take_due(self, now: float) -> list[QueueEntry[Item, Result]]:
        """Remove the entries whose deadline has passed, and return them."""
        return self.take(bisect(self._sorted, (now, inf)))

    def withdraw(self, entry: QueueEntry[Item, Result]) -> None:
        """Remove an entry, if it is in the queue."""
        at = bisect(self._sorted, (entry.due_s, entry.number))
        if at < len(self._sorted) and self._sorted[at][2] is entry:
            del self._sorted[at]
            self.bytes -= entry.size_bytes
