"""The items that wait for a batch, and whose turn it is."""

import asyncio
from bisect import bisect, insort
from collections import OrderedDict, deque
from math import inf
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class ItemGroup:
    """The items of one request: each round has at most one of them, so that other requests have turns."""

    __slots__ = ("last_round",)

    def __init__(self) -> None:
        self.last_round = 0


class QueueEntry(Generic[Item, Result]):
    """One waiting item: its arrival and deadline on the batcher's clock, and its caller's future."""

    __slots__ = ("arrived_s", "due_s", "future", "item", "number", "round", "size_bytes")

    def __init__(
        self, item: Item, due_s: float, size_bytes: int, arrived_s: float, future: asyncio.Future[Result]
    ) -> None:
        self.item = item
        self.due_s = due_s
        self.size_bytes = size_bytes
        self.arrived_s = arrived_s
        self.future = future
        self.number = 0
        self.round: OrderedDict[int, QueueEntry[Item, Result]]

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
    """Entries in the order of arrival, in rounds; every other turn is for the one that is most urgent.

    A new entry joins the next round, or the round after the last one of its group; rounds go in order, and
    the entries of a round in the order of arrival. An entry is urgent if its deadline comes soon. So an entry
    without a group goes after at most twice as many others as wait when it arrives, and one more, whatever
    deadlines come after it.

    The order of deadlines is a sorted list. An insertion moves pointers, which takes a fraction of a
    microsecond for thousands of entries; the entry of a caller that gives up is found at once and removed
    whole.
    """

    def __init__(self) -> None:
        self._by_deadline: list[tuple[float, int, QueueEntry[Item, Result]]] = []
        # the current round and those after it
        self._rounds: deque[OrderedDict[int, QueueEntry[Item, Result]]] = deque([OrderedDict()])
        self._round = 0
        self._urgent_next = True
        self._numbers = 0
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._by_deadline)

    def add(self, entry: QueueEntry[Item, Result], group: ItemGroup | None = None) -> None:
        """Put an entry in its places."""
        self._numbers += 1
        entry.number = self._numbers
        self.bytes += entry.size_bytes
        insort(self._by_deadline, (entry.due_s, entry.number, entry))
        ahead = 1
        if group is not None:
            ahead = max(1, group.last_round + 1 - self._round)
            group.last_round = self._round + ahead
        while len(self._rounds) <= ahead:
            self._rounds.append(OrderedDict())
        entry.round = self._rounds[ahead]
        entry.round[entry.number] = entry

    def ahead(self, due_s: float) -> int:
        """Return how many entries at most go before an urgent entry with this deadline, if it arrived now.

        Entries that arrive later are not considered.
        """
        earlier = bisect(self._by_deadline, (due_s, self._numbers + 1))
        return min(len(self._by_deadline), 2 * earlier + (not self._urgent_next))

    def first_due_s(self) -> float:
        """Return the earliest deadline; infinity if nothing waits."""
        return self._by_deadline[0][0] if self._by_deadline else inf

    def oldest_s(self) -> float:
        """Return the earliest arrival of all entries; infinity if nothing waits."""
        return min((entry.arrived_s for _, _, entry in self._by_deadline), default=inf)

    def take(self, count: int, soon_s: float = inf) -> list[QueueEntry[Item, Result]]:
        """Remove the entries whose turn it is, at most `count`, and return them.

        Those with a deadline before `soon_s` are urgent.
        """
        if count < len(self._by_deadline):
            return self._take_in_turns(count, soon_s)
        taken = [entry for _, _, entry in self._by_deadline]
        self._by_deadline.clear()
        self._round += len(self._rounds) - 1
        while len(self._rounds) > 1:
            self._rounds.popleft()
        self._rounds[0].clear()
        self.bytes = 0
        return taken

    def take_due(self, now: float) -> list[QueueEntry[Item, Result]]:
        """Remove the entries whose deadline has passed, and return them."""
        count = bisect(self._by_deadline, (now, inf))
        taken = [entry for _, _, entry in self._by_deadline[:count]]
        del self._by_deadline[:count]
        for entry in taken:
            self._forget(entry)
        return taken

    def withdraw(self, entry: QueueEntry[Item, Result]) -> None:
        """Remove an entry, if it is in the queue."""
        at = bisect(self._by_deadline, (entry.due_s, entry.number))
        if at < len(self._by_deadline) and self._by_deadline[at][2] is entry:
            del self._by_deadline[at]
            self._forget(entry)

    def _take_in_turns(self, count: int, soon_s: float) -> list[QueueEntry[Item, Result]]:
        """Remove fewer entries than there are; one loop, because it costs every request of a long queue."""
        taken = []
        for _ in range(count):
            first = self._by_deadline[0]
            by_arrival = self._urgent_next = not (self._urgent_next and first[0] < soon_s)
            entry = self._longest_waiting() if by_arrival else first[2]
            if entry is first[2]:
                del self._by_deadline[0]
                self._forget(entry)
            else:
                self.withdraw(entry)
            taken.append(entry)
        return taken

    def _longest_waiting(self) -> QueueEntry[Item, Result]:
        while not self._rounds[0]:
            self._rounds.popleft()
            self._round += 1
        return next(iter(self._rounds[0].values()))

    def _forget(self, entry: QueueEntry[Item, Result]) -> None:
        del entry.round[entry.number]
        self.bytes -= entry.size_bytes
