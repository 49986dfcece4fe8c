"""Who gets in: a bound on the items and bytes accepted, and an honest Retry-After when it is reached."""

from collections.abc import Callable
from math import inf
from time import monotonic

from serving_core.errors import RequestError
from serving_core.metrics import Metrics

# The weight that an earlier answer keeps when the next arrives: the average covers about the last hundred
# answers, because answers that were computed together arrive together.
KEEP = 0.99
FIRST_GUESS_S = 0.02
# Deadlines are judged by the timed answers only if there are at least this many.
ENOUGH_ANSWERS = 10
# This part of the queue is kept for requests' first items: a few large requests must not fill it.
KEPT_PART = 8


class Admission:
    """Counts items accepted and unanswered, and the bytes of bodies; lives on the event loop's thread.

    No request is accepted to wait for more than `usual_s` seconds, the deadline of those that state none: who
    states a later deadline would otherwise get the places that these are refused.
    """

    def __init__(
        self,
        limit: int,
        limit_bytes: int,
        metrics: Metrics,
        clock: Callable[[], float] = monotonic,
        usual_s: float = inf,
    ) -> None:
        self._limit = limit
        self._limit_bytes = limit_bytes
        self._metrics = metrics
        self._clock = clock
        self._usual_s = usual_s
        self._bytes = 0
        self._last_answer_s: float | None = None
        # the number of timed answers and the busy time that they took, both weighted
        self._answers = self._busy_s = 0.0
        self._requests = 0
        self.waiting = 0
        # The gauges are read only when they are scraped, so they cost a request nothing.
        metrics.queue_depth.set_function(lambda: self.waiting)
        metrics.queue_bytes.set_function(lambda: self._bytes)

    @property
    def service_s(self) -> float:
        """Seconds from one answer to the next while there is work: the inverse of what the engine can do."""
        return self._busy_s / self._answers if self._answers else FIRST_GUESS_S

    def check(self, length: int = 0) -> None:
        """Raise RequestError 429 if the queue has no room for one more item of `length` bytes."""
        if self.waiting >= self._limit or (self._bytes and self._bytes + length > self._limit_bytes):
            raise self._full()

    def hold(self, length: int, held: int) -> None:
        """Count `length` more bytes of a body of which `held` bytes are counted already.

        Raises RequestError 429 if the bodies together are too large; an only body may have any size.
        """
        if self._bytes + length > self._limit_bytes and self._bytes > held:
            raise self._full()
        self._bytes += length

    def release(self, length: int) -> None:
        """Stop counting `length` bytes of a body."""
        self._bytes -= length

    def enter(self, due_s: float = inf) -> "Place":
        """Accept a request whose bytes are counted already.

        Raises RequestError 429 if the queue is full, or if the recent rate of answers shows that this
        request's answer would come after `due_s` on the clock: requests take turns, whatever the number of
        their items. If nothing waits, the request is accepted.
        """
        if self.waiting >= self._limit:
            raise self._full()
        if due_s < inf and self.waiting and self._answers >= ENOUGH_ANSWERS:
            wait_s, now = (self._requests + 1) * self.service_s, self._clock()
            too_long_s = wait_s - min(due_s - now, self._usual_s)
            if too_long_s > 0:
                self._metrics.dropped.labels("late").inc()
                raise too_late(too_long_s)
        self.waiting += 1
        self._requests += 1
        return Place(self)

    def claim(self, items: int, own: int) -> None:
        """Accept `items` more items of a request that already has `own` items.

        Raises RequestError 429 if that is too many; an only request may have any number of items.
        """
        if self.waiting + items > self._limit - self._limit // KEPT_PART and self.waiting > own and items:
            raise self._full()
        self.waiting += items

    def leave(self, items: int, *, answered: bool) -> None:
        """Note that a request of `items` items was answered, or was given up if not `answered`."""
        self.waiting -= items
        self._requests -= 1
        if not answered:  # giving up takes no time and says nothing about the time of an answer
            self._last_answer_s = self._last_answer_s if self.waiting else None
            return
        now = self._clock()
        if self._last_answer_s is not None:
            keep = KEEP**items
            self._answers = self._answers * keep + items
            self._busy_s = self._busy_s * keep + now - self._last_answer_s
        # If nothing is left to do, the time until the next answer depends on the clients alone.
        self._last_answer_s = now if self.waiting else None

    def _full(self) -> RequestError:
        self._metrics.dropped.labels("full").inc()
        return RequestError(429, "the queue is full: send again later", self.waiting * self.service_s)


def too_late(retry_after_s: float) -> RequestError:
    """Return the refusal of a request that could not be answered before its deadline."""
    return RequestError(
        429, "the queue is too long for this deadline: allow more time, or send again later", retry_after_s
    )


class Place:
    """One accepted request's place in the queue: one item, until it claims more."""

    __slots__ = ("_admission", "_items")

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self._items = 1

    def claim(self, items: int) -> None:
        """Take room for `items` more items; raises RequestError 429 if there is no room."""
        self._admission.claim(items, self._items)
        self._items += items

    def leave(self, *, answered: bool = True) -> None:
        """Give up the place."""
        self._admission.leave(self._items, answered=answered)
