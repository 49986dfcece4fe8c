"""The batcher's time: a clock that tests can replace, and the prediction of how long a batch takes."""

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import Protocol


class Timer(Protocol):
    """A scheduled call."""

    def cancel(self) -> None:
        """Cancel the call."""


class Clock(Protocol):
    """Returns the time, in seconds from an arbitrary origin, and calls back at a time."""

    def time(self) -> float:
        """Return the time now."""

    def call_at(self, when_s: float, callback: Callable[[], None]) -> Timer:
        """Call `callback` on the event loop at `when_s`, or as soon as possible if that has passed."""


class LoopClock:
    """The monotonic clock and the running event loop's timers.

    The event loop's own time is not used: it may be in whole milliseconds, and a batch can take less.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()

    def time(self) -> float:
        """Return time.monotonic()."""
        return monotonic()

    def call_at(self, when_s: float, callback: Callable[[], None]) -> Timer:
        """Call `callback` when time.monotonic() is `when_s`."""
        return self._loop.call_later(max(0.0, when_s - monotonic()), callback)


class ServiceTime:
    """Fits seconds = base + each * size, with base and each at least 0, by least squares that forget.

    The weight of a batch shrinks with each later batch, as if the fit covered the last `memory` batches. If
    the sizes hardly vary, the slope cannot be known. Then a smaller batch is predicted to take as long, and a
    larger batch proportionally longer, so that a prediction is too long rather than too short.
    """

    __slots__ = ("_keep", "_mean_s", "_mean_size", "_size_s", "_size_size", "_weight")

    def __init__(self, memory: float = 64.0) -> None:
        self._keep = 1 - 1 / memory
        self._weight = 0.0
        self._mean_size = self._mean_s = 0.0
        # weighted sums of squares and products of the deviations from the means
        self._size_size = self._size_s = 0.0

    def observe(self, size: int, seconds: float) -> None:
        """Learn from one batch (West's update of weighted means and covariances, 1979)."""
        old = self._weight * self._keep
        self._weight = old + 1
        off_size, off_s = size - self._mean_size, seconds - self._mean_s
        self._mean_size += off_size / self._weight
        self._mean_s += off_s / self._weight
        share = old / self._weight
        self._size_size = self._size_size * self._keep + share * off_size * off_size
        self._size_s = self._size_s * self._keep + share * off_size * off_s

    def predict(self, size: int) -> float:
        """Return the seconds that a batch of `size` items takes; 0 before the first observation."""
        if not self._weight:
            return 0.0
        most_each = self._mean_s / self._mean_size
        if self._size_size < 1e-3 * self._weight * self._mean_size:
            return max(self._mean_s, size * most_each)
        each = min(max(self._size_s / self._size_size, 0.0), most_each)
        return self._mean_s + each * (size - self._mean_size)
