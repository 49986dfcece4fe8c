"""Time as a batcher sees it, so that tests can make it pass."""

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import Protocol


class Timer(Protocol):
    """A call that has been arranged."""

    def cancel(self) -> None:
        """Have it not made."""


class Clock(Protocol):
    """Tells the time, in seconds from any beginning, and calls back at a time."""

    def time(self) -> float:
        """Return the time now."""

    def call_at(self, when_s: float, callback: Callable[[], None]) -> Timer:
        """Call back on the event loop at that time, or as soon as may be where it has passed."""


class LoopClock:
    """The monotonic clock and the running event loop's timers.

    Not the loop's own time: an event loop may keep it in whole milliseconds, longer than a batch can take.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()

    def time(self) -> float:
        """Return time.monotonic()."""
        return monotonic()

    def call_at(self, when_s: float, callback: Callable[[], None]) -> Timer:
        """Call back at that time of time.monotonic()."""
        return self._loop.call_later(max(0.0, when_s - monotonic()), callback)
