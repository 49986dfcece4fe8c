"""A device without a GPU: two streams that do their work late, and in whatever order events leave open."""

import random
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Condition

import numpy as np

from serving_core.engine import Logits, Pixels

CLASSES = 2
# what a buffer holds before anything was put there
JUNK = 200


def answers(pixels: Pixels) -> Logits:
    """What the device computes of each image on its own."""
    sums = pixels.reshape(len(pixels), -1).sum(axis=1, dtype=np.float32)
    return np.stack([sums, -sums], axis=1)


@dataclass(slots=True)
class Mark:
    """A place in a stream."""

    passed: bool = False


@dataclass(slots=True)
class Held:
    """A stream goes on behind this only when another one's mark is passed."""

    until: Mark


class Machine:
    """Runs the streams' work, one step at a time and each time on a stream drawn by lot."""

    def __init__(self, seed: int = 0) -> None:
        self.changed = Condition()
        self.streams: list[FakeStream] = []
        self._lot = random.Random(seed)  # noqa: S311 - the lot of a test, not of a lock

    def run_until(self, done: Callable[[], bool]) -> None:
        """Take steps until it is so; where none can be taken, wait for other threads to give work."""
        with self.changed:
            while not done():
                ready = [stream for stream in self.streams if stream.ready()]
                if ready:
                    self._lot.choice(ready).step()
                    self.changed.notify_all()
                elif not self.changed.wait(100):
                    raise AssertionError("nothing happens any more")


class FakeStream:
    """Does in order what it is given."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._work: deque[Callable[[], None] | Mark | Held] = deque()
        self.stalled = False
        machine.streams.append(self)

    def give(self, work: Callable[[], None] | Mark | Held) -> None:
        """Put work at the end."""
        with self._machine.changed:
            self._work.append(work)
            self._machine.changed.notify_all()
        time.sleep(0.00001)  # here another thread may get a word in

    def wait_event(self, event: "FakeEvent") -> None:
        """As torch.cuda.Stream."""
        self.give(Held(event.mark))

    def stall(self, stalled: bool) -> None:
        """Do nothing for a while, or go on."""
        with self._machine.changed:
            self.stalled = stalled
            self._machine.changed.notify_all()

    def ready(self) -> bool:
        """Tell whether a step can be taken."""
        if self.stalled or not self._work:
            return False
        first = self._work[0]
        return first.until.passed if isinstance(first, Held) else True

    def step(self) -> None:
        """Do what is first."""
        work = self._work.popleft()
        if isinstance(work, Mark):
            work.passed = True
        elif not isinstance(work, Held):
            work()


class FakeEvent:
    """As torch.cuda.Event: it stands for the mark that it set last."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self.mark = Mark(passed=True)

    def record(self, stream: FakeStream) -> None:
        """As torch.cuda.Event."""
        self.mark = Mark()
        stream.give(self.mark)

    def synchronize(self) -> None:
        """As torch.cuda.Event."""
        mark = self.mark
        self._machine.run_until(lambda: mark.passed)


class FakeSlot:
    """Buffers on both sides."""

    def __init__(self, number: int, size: int, machine: Machine) -> None:
        self.number = number
        self.here, self.there = (np.full((size, 1, 1, 3), JUNK, np.uint8) for _ in range(2))
        self.logits = np.full((size, CLASSES), np.nan, np.float32)
        self.copied, self.done = FakeEvent(machine), FakeEvent(machine)


@dataclass
class FakeStaging:
    """Does what CudaStaging does; `steps` tells what was done, and when: (what, slot, images)."""

    machine: Machine
    size: int
    steps: list[tuple[str, int, int]] = field(default_factory=list)
    fails_on: int | None = None

    def __post_init__(self) -> None:
        self.copy_stream, self.compute_stream = FakeStream(self.machine), FakeStream(self.machine)
        self.pixels = np.full((self.size, 1, 1, 3), JUNK, np.uint8)
        self.logits = np.full((self.size, CLASSES), np.nan, np.float32)

    def fill(self, slot: FakeSlot, pixels: Pixels) -> None:
        with self.machine.changed:
            self.steps.append(("fill", slot.number, len(pixels)))
            slot.here[: len(pixels)] = pixels
            self.machine.changed.notify_all()

    def copy_in(self, slot: FakeSlot, count: int) -> None:
        def work() -> None:
            self.steps.append(("copy in", slot.number, count))
            slot.there[:count] = slot.here[:count]

        self.copy_stream.give(work)

    def compute(self, slot: FakeSlot, count: int, bucket: int) -> None:
        if count == self.fails_on:
            raise RuntimeError("out of memory")

        def work() -> None:
            self.steps.append(("compute", slot.number, bucket))
            self.pixels[:count] = slot.there[:count]
            self.logits[:] = np.nan  # every size computes in the same memory
            self.logits[:bucket] = answers(self.pixels[:bucket])

        self.compute_stream.give(work)

    def copy_out(self, slot: FakeSlot, count: int) -> None:
        def work() -> None:
            self.steps.append(("copy out", slot.number, count))
            slot.logits[:count] = self.logits[:count]

        self.compute_stream.give(work)

    def read(self, slot: FakeSlot, count: int) -> Logits:
        with self.machine.changed:
            self.steps.append(("read", slot.number, count))
            return slot.logits[:count].copy()
