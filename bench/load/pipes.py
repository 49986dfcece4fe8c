"""Both ends of the pipes between the harness and a driver.

The driver writes to its stdout that it is ready, and then how many requests have ended. The harness writes to
the driver's stdin when the load starts, when the window begins, and how long it lasts. This module does not
import gevent: the harness imports it too.
"""

import contextlib
import json
import sys
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue
from typing import IO, TYPE_CHECKING

from bench.load.drive_plan import READY, TELL_EVERY_S
from bench.load.warmup import LEAD_S, Count, WarmUp

if TYPE_CHECKING:  # the driver imports this module too, and must start fast
    from bench.load.window_length import WindowLength


class Parent:
    """The driver's end: it reads `stdin`, which the harness writes, and writes to the driver's stdout."""

    def __init__(self, stdin: IO[bytes]) -> None:
        self._stdin = stdin

    def await_start(self) -> int:
        """Say that the driver is ready, and return the epoch (monotonic ns) that the harness answers."""
        self._say(READY)
        return int(self._stdin.readline())

    def refuse(self, why: str) -> None:
        """Tell the harness why the load cannot start, in words for the user."""
        self._say(json.dumps({"error": why}))

    def tell(self, tick: int, requests: int, waited_ns: int) -> None:
        """Tell the harness how many requests had ended after `tick` times TELL_EVERY_S, and their time."""
        elapsed_s = round(tick * TELL_EVERY_S, 3)
        self._say(json.dumps({"elapsed_s": elapsed_s, "requests": requests, "waited_s": waited_ns / 1e9}))

    def follow(self, fix_window: Callable[[float, float], None], stop: Callable[[], None]) -> None:
        """Call `fix_window` with begin and length once they are told, and `stop` when the harness is gone."""
        while line := self._stdin.readline():
            told = json.loads(line)
            fix_window(float(told["window_begin_s"]), float(told["window_s"]))
        stop()

    def _say(self, line: str) -> None:
        # follow() notices if the parent is gone
        with contextlib.suppress(BrokenPipeError):
            sys.stdout.write(line + "\n")
            sys.stdout.flush()


class Follower:
    """The harness's end: a thread that follows one driver from its start until the driver closes its stdout.

    It decides when the window begins and how long it lasts, and tells the driver, unless the window begins as
    late as the plan lets it and is as long as planned, which the driver knows.
    """

    def __init__(
        self, stdout: IO[bytes], stdin: IO[bytes], warm_up: WarmUp, length: "WindowLength", start_ns: int
    ) -> None:
        self._stdout, self._stdin, self._warm_up, self._start_ns = stdout, stdin, warm_up, start_ns
        self._length, self._planned_s = length, length.seconds(()) if length.known else length.planned_s
        self._window_s = self._planned_s
        self._counts: list[Count] = []
        self._unread: SimpleQueue[Count | None] = SimpleQueue()
        self._lock, self._fixed = threading.Lock(), threading.Event()
        self._begin_s = (
            warm_up.begin_s((), 0.0, self._planned_s) if warm_up.by_time and length.known else None
        )
        if self._begin_s is not None:
            self._fixed.set()
        self._thread = threading.Thread(target=self._follow, name="driver-follower", daemon=True)
        self._thread.start()

    @property
    def latest_begin_s(self) -> float:
        """The window's begin, or the latest possible one while it is not fixed."""
        return self._warm_up.most_s if self._begin_s is None else self._begin_s

    def await_window(self) -> tuple[float, float]:
        """Block until the window is fixed; return its begin in seconds since the start, and its length."""
        # a silent driver must not delay the window beyond its latest begin
        until_latest_s = self._warm_up.most_s - LEAD_S - self._elapsed_s()
        if not self._fixed.wait(max(0.0, until_latest_s)):
            self._decide()
            self._fixed.wait()
        return self.latest_begin_s, self._window_s

    def pass_on(self, tell: Callable[[float, int], None]) -> None:
        """Call `tell` with each count, also the earlier ones, until the driver ends."""
        while (count := self._unread.get()) is not None:
            tell(*count[:2])

    def join(self) -> None:
        """Wait until the driver has closed its stdout."""
        self._thread.join()

    def _elapsed_s(self) -> float:
        return (time.monotonic_ns() - self._start_ns) / 1e9

    def _follow(self) -> None:
        for line in self._stdout:
            with contextlib.suppress(ValueError, KeyError, TypeError):
                said = json.loads(line)
                count = float(said["elapsed_s"]), int(said["requests"]), float(said["waited_s"])
                self._counts.append(count)
                self._unread.put(count)
            self._decide()
        with self._lock:
            self._begin_s = self.latest_begin_s  # the driver will not tell any more counts
        self._fixed.set()
        self._unread.put(None)

    def _decide(self) -> None:
        with self._lock:
            if self._begin_s is not None:
                return
            counts, now_s = tuple(self._counts), self._elapsed_s()
            if self._warm_up.by_time and now_s + LEAD_S < self._warm_up.least_s:
                return  # the rate of what is left of the warm-up counts too
            window_s = self._planned_s if self._length.known else self._length.seconds(counts)
            self._begin_s = self._warm_up.begin_s(counts, now_s, window_s)
            if self._begin_s is None:
                return
            self._window_s = window_s
        if self._begin_s < self._warm_up.most_s or self._window_s != self._planned_s:
            told = {"window_begin_s": self._begin_s, "window_s": self._window_s}
            # finish() notices by its exit code if the driver is gone
            with contextlib.suppress(OSError, ValueError):
                self._stdin.write(json.dumps(told).encode() + b"\n")
                self._stdin.flush()
        self._fixed.set()
