"""The batcher's clock, which tests can replace to control the time."""

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
