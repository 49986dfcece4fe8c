"""A program that sends to nobody by a schedule, in turns by the driver's open loop and as it was before.

`python -m tests.running.sending RATE SECONDS` prints, for each way, when each request was due and was sent.
"""

import json
import sys
import time

import gevent
from gevent.queue import SimpleQueue

from bench.load.drive_plan import Schedule
from bench.load.open_loop import OpenLoop
from bench.load.trial_clock import TrialClock, sleep_until
from bench.model.arrivals import poisson_arrivals_ns

TURNS, CLIENTS = 4, 20
Sent = list[tuple[int, int]]


class Idle:
    """A client that notes when it was given a request."""

    def __init__(self, open_loop: OpenLoop, sent: Sent) -> None:
        self._open_loop, self._sent = open_loop, sent

    def give(self, arrival: tuple[int, int] | None) -> None:
        """Note it, and be idle again at once."""
        if arrival is not None:
            self._sent.append((arrival[0], time.monotonic_ns()))
            self._open_loop.wait(self)


def by_open_loop(clock: TrialClock, arrivals: Schedule) -> Sent:
    """As the driver does it."""
    sent: Sent = []
    open_loop = OpenLoop(clock, arrivals)
    for _ in range(CLIENTS):
        open_loop.wait(Idle(open_loop, sent))
    open_loop.run(0.0)
    return sent


def by_sleeping(clock: TrialClock, arrivals: Schedule) -> Sent:
    """As it was: gevent's sleep until an arrival is due, and a queue to a client."""
    sent: Sent = []
    inbox = SimpleQueue()

    def client() -> None:
        while (due_ns := inbox.get()) is not None:
            sent.append((due_ns, time.monotonic_ns()))

    clients = [gevent.spawn(client) for _ in range(CLIENTS)]
    for offset_ns, _ in arrivals:
        due_ns = clock.epoch_ns + offset_ns
        while time.monotonic_ns() < due_ns:
            sleep_until(due_ns)
        inbox.put(due_ns)
    for _ in clients:
        inbox.put(None)
    gevent.joinall(clients)
    return sent


def main() -> None:
    """Let both ways take turns."""
    rate, seconds = float(sys.argv[1]), float(sys.argv[2])
    found: dict[str, Sent] = {"open_loop": [], "sleeping": []}
    for turn in range(TURNS):
        for name, way in (("open_loop", by_open_loop), ("sleeping", by_sleeping)):
            arrivals = [(due_ns, 0) for due_ns in poisson_arrivals_ns(rate, seconds, turn)]
            clock = TrialClock(0.0, seconds)
            clock.start_at(time.monotonic_ns() + 20_000_000)
            found[name] += way(clock, arrivals)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
