"""The open loop: it gives each arrival, once it is due, to an idle client, which sends it at once.

Only the driver imports this module, as it imports gevent.
"""

import time
from collections import deque
from typing import Protocol

import gevent

from bench.load.drive_plan import Schedule
from bench.load.due_timer import DueTimer
from bench.load.trial_clock import LOOK_EVERY_S, TrialClock, sleep_until

# The kernel wakes this process up some 50 to 100 us after a timer expires: the timer is set earlier by so
# much, and what is left until the request is due is waited for without sleeping. At 1 000 requests/s that is
# 4% of a core, and a median lag of 0.01 ms instead of 0.08 (instead of 0.56 with gevent's own timers).
AHEAD_NS = 100_000

Arrival = tuple[int, int]
"""The instant at which a request is due (monotonic ns), and its payload."""


class Taker(Protocol):
    """A client that waits in a greenlet of its own."""

    def give(self, arrival: Arrival | None) -> None:
        """Let it send this arrival, called in the hub; None ends it."""


class OpenLoop:
    """The arrivals that are still to be sent, and the clients that wait for them.

    `arrivals` are due in ns since the epoch, in order.
    """

    def __init__(self, clock: TrialClock, arrivals: Schedule, ahead_ns: int = AHEAD_NS) -> None:
        self._clock, self._ahead_ns = clock, ahead_ns
        self._left = deque(arrivals)
        # the client that was busy last is taken first: few connections, and all of them warm
        self._idle: list[Taker] = []
        self._timer: DueTimer | None = None
        self.closed = False

    def take(self) -> Arrival | None:
        """The next arrival if it is due already, for a client that has just become free."""
        due_ns = self._next_ns()
        return self._pop(due_ns) if due_ns is not None and due_ns <= time.monotonic_ns() else None

    def wait(self, client: Taker) -> None:
        """Give the client an arrival as soon as there is one."""
        self._idle.append(client)
        if len(self._idle) == 1:
            self._set_timer()

    def run(self, drain_s: float) -> list[Arrival]:
        """Send until the load stops; return what no client could take until the drain's end."""
        self._timer = DueTimer(self._send_due)
        self._set_timer()
        clock, drain_ns = self._clock, int(drain_s * 1e9)
        while (now_ns := time.monotonic_ns()) < clock.stop_ns + drain_ns:
            if not self._left or (now_ns >= clock.stop_ns and self._next_ns() is None):
                break
            sleep_until(clock.stop_ns if now_ns < clock.stop_ns else clock.stop_ns + drain_ns, LOOK_EVERY_S)
        self._timer.close()
        unsent = []
        while (due_ns := self._next_ns()) is not None:
            unsent.append(self._pop(due_ns))
        self._left.clear()
        return unsent

    def close(self) -> None:
        """End every client that waits; one that is busy finds `closed` when it is free."""
        self.closed = True
        for client in self._idle:
            gevent.get_hub().loop.run_callback(client.give, None)
        self._idle.clear()

    def _next_ns(self) -> int | None:
        """When the next arrival is due; None if none comes before the load stops, which may change."""
        if not self._left:
            return None
        due_ns = self._clock.epoch_ns + self._left[0][0]
        return due_ns if due_ns < self._clock.stop_ns else None

    def _pop(self, due_ns: int) -> Arrival:
        return due_ns, self._left.popleft()[1]

    def _set_timer(self) -> None:
        due_ns = self._next_ns()
        if due_ns is not None and self._timer is not None:
            self._timer.arm(due_ns - self._ahead_ns)

    def _send_due(self) -> None:
        """Send what is due or about to be, in the hub; what finds no client waits until one is free."""
        now_ns = time.monotonic_ns
        while self._idle and (due_ns := self._next_ns()) is not None:
            if due_ns - now_ns() > self._ahead_ns:
                break
            while now_ns() < due_ns:
                pass
            self._idle.pop().give(self._pop(due_ns))
        if self._idle:
            self._set_timer()
