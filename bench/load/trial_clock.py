"""A trial's instants in one driver process: its epoch, its window, and the CPU time used in the window.

Only the driver imports this module: it sleeps as a greenlet.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import gevent

LOOK_EVERY_S = 0.1
SHORTEST_WALL_S = 0.01


@dataclass(frozen=True, slots=True)
class Account:
    """The requests that ended in the window, and this process's CPU and wall time in it."""

    requests: int
    cpu_s: float
    wall_s: float

    @property
    def busy(self) -> float | None:
        """The share of a core that this process used, None if the window was cut off."""
        return round(self.cpu_s / self.wall_s, 4) if self.wall_s > SHORTEST_WALL_S else None


class TrialClock:
    """When the window begins and when the load stops (monotonic ns); both may change until the window begins.

    `window_s` is the window's length.
    """

    def __init__(self, latest_begin_s: float, window_s: float) -> None:
        self.begin_s, self.window_s = latest_begin_s, window_s
        self.epoch_ns = self.begin_ns = self.stop_ns = 0
        self._stopped = False

    def start_at(self, epoch_ns: int) -> None:
        """Fix the epoch."""
        self.epoch_ns = epoch_ns
        self.fix_window(self.begin_s, self.window_s)

    def fix_window(self, begin_s: float, window_s: float) -> None:
        """Let the window begin at this instant of the trial, and the load stop at the window's end."""
        self.window_s = window_s
        self.begin_s, self.begin_ns = begin_s, self.epoch_ns + int(begin_s * 1e9)
        if not self._stopped:
            self.stop_ns = self.begin_ns + int(window_s * 1e9)

    def stop(self) -> None:
        """End the load now."""
        self._stopped, self.stop_ns = True, min(self.stop_ns, time.monotonic_ns())

    def pass_window(self, count: Callable[[], int]) -> Account:
        """Sleep until the load stops and return the window's account; `count` returns the requests ended."""
        while time.monotonic_ns() < min(self.begin_ns, self.stop_ns):
            sleep_until(self.begin_ns, LOOK_EVERY_S)
        at_ns, cpu_ns, ended = time.monotonic_ns(), time.process_time_ns(), count()
        while time.monotonic_ns() < self.stop_ns:
            sleep_until(self.stop_ns, LOOK_EVERY_S)
        wall_ns, used_ns = time.monotonic_ns() - at_ns, time.process_time_ns() - cpu_ns
        return Account(count() - ended, used_ns / 1e9, wall_ns / 1e9)


def sleep_until(instant_ns: int, longest_s: float = float("inf")) -> None:
    """Let other greenlets run until an instant of the monotonic clock, but at most for `longest_s`."""
    left_ns = instant_ns - time.monotonic_ns()
    if left_ns > 0:
        gevent.sleep(min(left_ns / 1e9, longest_s))
