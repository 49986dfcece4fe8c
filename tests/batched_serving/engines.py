"""Stand-ins for what computes batches: numbers come back doubled."""

import asyncio
from collections.abc import Sequence

from tests.running.clock import FakeClock


class Gated:
    """Doubles numbers once its gate is open; numbers in `bad` fail whatever batch they are in."""

    def __init__(self, bad: frozenset[int] = frozenset()) -> None:
        self.batches: list[list[int]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.bad = bad

    async def __call__(self, items: list[int]) -> list[int]:
        self.batches.append(items)
        await self.gate.wait()
        if self.bad.intersection(items):
            raise ValueError(f"bad item in {items}")
        return [2 * item for item in items]


class Timed:
    """Doubles numbers in base_s + each_s a number of a fake clock."""

    def __init__(self, clock: FakeClock, base_s: float, each_s: float) -> None:
        self.clock, self.base_s, self.each_s = clock, base_s, each_s
        self.batches: list[Sequence[int]] = []

    async def __call__(self, items: list[int]) -> list[int]:
        self.batches.append(items)
        await self.clock.sleep(self.base_s + self.each_s * len(items))
        return [2 * item for item in items]
