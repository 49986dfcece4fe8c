"""Who gets in: a bound on the requests and bytes accepted, and an honest Retry-After when it is reached."""

from collections.abc import Callable
from time import monotonic

from serving_core.errors import RequestError
from serving_core.metrics import Metrics

# Weight of the newest interval between two answers: an average over about the last twenty.
SMOOTHING = 0.1
FIRST_GUESS_S = 0.02


class Admission:
    """Counts accepted, unanswered requests; lives on the event loop's thread."""

    def __init__(
        self, limit: int, limit_bytes: int, metrics: Metrics, clock: Callable[[], float] = monotonic
    ) -> None:
        self._limit = limit
        self._limit_bytes = limit_bytes
        self._metrics = metrics
        self._clock = clock
        self._bytes = 0
        self._last_answer_s: float | None = None
        self._service_s = FIRST_GUESS_S
        self.waiting = 0
        # Read when they are scraped, so that they cost a request nothing.
        metrics.queue_depth.set_function(lambda: self.waiting)
        metrics.queue_bytes.set_function(lambda: self._bytes)

    @property
    def service_s(self) -> float:
        """Seconds from one answer to the next while there is work: the inverse of what the engine can do."""
        return self._service_s

    def check(self, length: int = 0) -> None:
        """Raise RequestError 429 when one more request of `length` bytes is more than the queue holds."""
        if self.waiting >= self._limit or (self.waiting and self._bytes + length > self._limit_bytes):
            self._metrics.dropped.labels("full").inc()
            raise RequestError(429, "the queue is full: send again later", self.waiting * self._service_s)

    def enter(self, length: int) -> None:
        """Accept a request of `length` bytes; raises RequestError 429 instead when the queue is full."""
        self.check(length)
        self.waiting += 1
        self._bytes += length

    def leave(self, length: int) -> None:
        """Note that an accepted request of `length` bytes was answered or given up."""
        now = self._clock()
        if self._last_answer_s is not None:
            self._service_s += SMOOTHING * (now - self._last_answer_s - self._service_s)
        self.waiting -= 1
        self._bytes -= length
        # With nothing left to do, the time until the next answer says how busy clients are, not we.
        self._last_answer_s = now if self.waiting else None
