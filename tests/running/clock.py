"""Time that passes only when a test says so, on a real event loop."""

import asyncio
import heapq
import itertools
from collections.abc import Callable


class Arranged:
    """A call at a time, unless it is cancelled."""

    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        self.callback = None


class FakeClock:
    """A batching Clock: `advance` moves it, calling back in order, and lets tasks run after each call."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self._calls: list[tuple[float, int, Arranged]] = []
        self._numbers = itertools.count()

    def time(self) -> float:
        return self.now_s

    def call_at(self, when_s: float, callback: Callable[[], None]) -> Arranged:
        arranged = Arranged(callback)
        heapq.heappush(self._calls, (when_s, next(self._numbers), arranged))
        return arranged

    async def sleep(self, seconds: float) -> None:
        """Wait until so much time has passed."""
        done = asyncio.get_running_loop().create_future()
        self.call_at(self.now_s + seconds, lambda: done.done() or done.set_result(None))
        await done

    async def advance(self, seconds: float) -> None:
        """Let time pass."""
        end_s = self.now_s + seconds
        await settle()
        while self._calls and self._calls[0][0] <= end_s:
            when_s, _, arranged = heapq.heappop(self._calls)
            self.now_s = max(self.now_s, when_s)
            if arranged.callback is not None:
                arranged.callback()
                await settle()
        self.now_s = end_s
        await settle()


async def settle() -> None:
    """Let every task that can go on go on."""
    for _ in range(10):
        await asyncio.sleep(0)
