"""A timer of the kernel that calls back in gevent's hub at an instant of the monotonic clock.

Only the driver imports this module. gevent's own timers count in milliseconds, as its loop waits with epoll:
a request that is due between two of them would be sent up to a millisecond late. A timerfd is due to the
nanosecond, and epoll returns as soon as it has expired. Python has no timerfd before 3.13, so libc is asked.
"""

import ctypes
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import gevent

CLOCK_MONOTONIC = 1
TFD_TIMER_ABSTIME = 1
# as of O_NONBLOCK and O_CLOEXEC on Linux
TFD_FLAGS = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
READABLE = 1
PR_SET_TIMERSLACK = 29
BILLION = 1_000_000_000


class _Time(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _Setting(ctypes.Structure):
    _fields_ = (("interval", _Time), ("value", _Time))


class DueTimer:
    """Calls `on_due` in the hub at the instant that `arm` was told last, once; it must not block."""

    def __init__(self, on_due: Callable[[], None]) -> None:
        self._on_due = on_due
        self._libc = _libc()
        self._fd = self._timer_fd()
        self._loop = gevent.get_hub().loop
        self._fallback: object = None
        if self._fd is None:
            return
        self._settime, self._setting = self._libc.timerfd_settime, _Setting()
        self._where = ctypes.byref(self._setting)
        self._watcher = self._loop.io(self._fd, READABLE)
        # before the answers that came in at the same moment
        self._watcher.priority = self._loop.MAXPRI
        self._watcher.start(self._expired)

    def arm(self, instant_ns: int) -> None:
        """Call back at this instant of the monotonic clock, at once if it has passed."""
        if self._fd is None:
            self._arm_coarsely(instant_ns)
            return
        value = self._setting.value
        value.seconds, value.nanoseconds = divmod(max(1, instant_ns), BILLION)
        self._settime(self._fd, TFD_TIMER_ABSTIME, self._where, None)

    def close(self) -> None:
        """Call back no more."""
        if self._fd is not None:
            self._watcher.stop()
            self._watcher.close()
            os.close(self._fd)
            self._fd = None
            self._on_due = _nothing

    def _timer_fd(self) -> int | None:
        """A new timerfd; None if the system has none, as macOS."""
        create = getattr(self._libc, "timerfd_create", None)
        if create is None:
            return None
        # a sleep that the kernel may end late to save power would end later
        self._libc.prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0)
        found = int(create(CLOCK_MONOTONIC, TFD_FLAGS))
        return found if found >= 0 else None

    def _arm_coarsely(self, instant_ns: int) -> None:
        """What gevent itself can do: to the millisecond."""
        timer = self._loop.timer(max(0.0, (instant_ns - time.monotonic_ns()) / 1e9))
        timer.start(self._on_due)
        self._fallback = timer

    def _expired(self) -> None:
        if self._fd is None:
            return
        try:
            os.read(self._fd, 8)
        except BlockingIOError:
            # it was armed anew after it had expired
            return
        self._on_due()


def _libc() -> Any:
    """The C library that this process has; None on Windows, which has no timerfd either."""
    return None if sys.platform == "win32" else ctypes.CDLL(None, use_errno=True)


def _nothing() -> None:
    """Do nothing."""
