"""Both ends of the pipes between the harness and a driver.

The driver writes to its stdout that it is ready, and then how many requests have ended. The harness writes to
the driver's stdin when the load starts, and when the window begins. This module does not import gevent: the
harness imports it too.
"""

import contextlib
import json
import sys
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue
from typing import IO

from bench.load.drive_plan import READY, TELL_EVERY_S
from bench.load.warmup import LEAD_S, WarmUp


class Parent:
    """The process that started this driver: it is written to on stdout and heard on stdin."""

    def __init__(self, heard: IO[bytes]) -> None:
        self._heard = heard

    def await_start(self) -> int:
        """Say that everything is ready, and return the epoch (monotonic ns) that is told in reply."""
        self._say(READY)
        return int(self._heard.readline())

    def refuse(self, why: str) -> None:
        """Say in a line that a user understands why there will be no start."""
        self._say(json.dumps({"error": why}))

    def tell(self, tick: int, requests: int) -> None:
        """Say how many requests had ended once TELL_EVERY_S had passed this often."""
        self._say(json.dumps({"elapsed_s": round(tick * TELL_EVERY_S, 3), "requests": requests}))

    def follow(self, fix_window: Callable[[float], None], stop: Callable[[], None]) -> None:
        """Pass on the window's begin when it is told; a parent that is gone ends the load."""
        while line := self._heard.readline():
            fix_window(float(json.loads(line)["window_begin_s"]))
        stop()

    def _say(self, line: str) -> None:
        # a parent that is gone is seen by its other pipe
        with contextlib.suppress(BrokenPipeError):
            sys.stdout.write(line + "\n")
            sys.stdout.flush()


class Follower:
    """Follows one driver from its start until it closes its stdout.

    The window's begin is decided here, for one process or for many, and told to the driver unless it is the
    latest there may be, which the driver knows itself.
    """

    def __init__(self, heard: IO[bytes], told: IO[bytes], warm_up: WarmUp, start_ns: int) -> None:
        self._heard, self._told, self._warm_up, self._start_ns = heard, told, warm_up, start_ns
        self._counts: list[tuple[float, int]] = []
        self._unread: SimpleQueue[tuple[float, int] | None] = SimpleQueue()
        self._lock, self._fixed = threading.Lock(), threading.Event()
        self._begin_s = warm_up.begin_s((), 0.0) if warm_up.by_time else None
        if self._begin_s is not None:
            self._fixed.set()
        self._thread = threading.Thread(target=self._follow, name="driver-follower", daemon=True)
        self._thread.start()

    @property
    def latest_begin_s(self) -> float:
        """The window's begin, or the latest that it can still be."""
        return self._warm_up.most_s if self._begin_s is None else self._begin_s

    def await_window(self) -> float:
        """Block until the window's begin is fixed and return it, in seconds since the start."""
        # a driver that tells nothing must not hold up the latest begin
        until_latest_s = self._warm_up.most_s - LEAD_S - self._elapsed_s()
        if not self._fixed.wait(max(0.0, until_latest_s)):
            self._decide()
            self._fixed.wait()
        return self.latest_begin_s

    def pass_on(self, tell: Callable[[float, int], None]) -> None:
        """Give each count to `tell`, those that were heard before too, until the driver ends."""
        while (count := self._unread.get()) is not None:
            tell(*count)

    def join(self) -> None:
        """Wait until the driver has closed its stdout."""
        self._thread.join()

    def _elapsed_s(self) -> float:
        return (time.monotonic_ns() - self._start_ns) / 1e9

    def _follow(self) -> None:
        for line in self._heard:
            with contextlib.suppress(ValueError, KeyError, TypeError):
                said = json.loads(line)
                count = float(said["elapsed_s"]), int(said["requests"])
                self._counts.append(count)
                self._unread.put(count)
            self._decide()
        with self._lock:
            self._begin_s = self.latest_begin_s  # nothing will be told any more
        self._fixed.set()
        self._unread.put(None)

    def _decide(self) -> None:
        with self._lock:
            if self._begin_s is not None:
                return
            self._begin_s = self._warm_up.begin_s(self._counts, self._elapsed_s())
            if self._begin_s is None:
                return
        if self._begin_s < self._warm_up.most_s:
            # a driver that is gone is seen by its exit code
            with contextlib.suppress(OSError, ValueError):
                self._told.write(json.dumps({"window_begin_s": self._begin_s}).encode() + b"\n")
                self._told.flush()
        self._fixed.set()
