"""The master of a fleet: it gives each worker its part of a trial and merges the workers' samples.

Locust's master and workers carry the messages and the heartbeats. Locust's dispatcher starts no users: it
would give a lost worker's users to the other workers, and the load would look complete.
"""

import json
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path

import gevent
from gevent.queue import Empty, Queue
from locust.env import Environment
from locust.exception import RPCError
from locust.rpc import Message as LocustMessage
from locust.runners import STATE_MISSING

from bench.load.drive_plan import (
    DrivePlan,
    DriveSummary,
    FleetPlan,
    plan_to_json,
    schedule,
    schedule_to_bytes,
)
from bench.load.messages import (
    CHUNK,
    COUNT,
    DISMISSED,
    DONE,
    HELLO,
    KEPT,
    PING,
    PINGS,
    PONG,
    PREPARED,
    PROTOCOL,
    START,
    STOP,
    TO_MASTER,
    WINDOW,
    Inbound,
    RoundTrip,
    best_trip,
    chunks,
)
from bench.load.pipes import Parent
from bench.load.recorder import merge
from bench.load.trial_clock import Account, TrialClock

LOOK_EVERY_S = 0.02
PONG_WITHIN_S = 1.0
# after the drain, for samples that are still on their way
SAMPLES_WITHIN_S = 10.0
LINGER_MS = 500


class FleetError(Exception):
    """The fleet did not assemble; the message is for the user."""


@dataclass(slots=True, eq=False)
class Member:
    """What the master knows of one worker; `counts` grows by an entry every TELL_EVERY_S."""

    id: str
    place: int
    prepared: bool = False
    before: RoundTrip | None = None
    after: RoundTrip | None = None
    counts: list[tuple[int, int]] = field(default_factory=list)
    inbound: Inbound = field(default_factory=Inbound)
    pongs: Queue = field(default_factory=Queue)
    account: Account | None = None
    heard_s: float = 0.0

    @property
    def samples(self) -> bytes | None:
        """The worker's samples, None until they are complete."""
        return self.inbound.complete.get("samples") if self.account is not None else None

    @property
    def clock_error_ms(self) -> float:
        """How far the worker's clock may be from the master's: the comparison's bound plus the drift."""
        trips = [trip for trip in (self.before, self.after) if trip is not None]
        drift_ns = abs(trips[-1].offset_ns - trips[0].offset_ns)
        return (max(trip.error_ns for trip in trips) + drift_ns) / 1e6


class Master:
    """The fleet's master, for one trial."""

    def __init__(self, plan: DrivePlan, fleet: FleetPlan, bodies: bytes) -> None:
        self._plan, self._fleet, self._bodies = plan, fleet, bodies
        self._arrivals = schedule(plan)
        self._members: dict[str, Member] = {}
        self.clock = TrialClock(plan.latest_begin_s, plan.window_s)
        try:
            self._runner = Environment().create_master_runner(fleet.listen, fleet.port)
        except (RPCError, SystemExit) as error:  # Locust ends the process if it sees that a port is busy
            if isinstance(error, SystemExit) or "in use" in str(error):
                why = f"port {fleet.port} is busy: end what listens there, or choose another"
            else:
                why = f"{fleet.listen} is not an address of this host: listen on one that is"
            raise FleetError(f"no driver worker can come, as {why}") from None
        for name in TO_MASTER:
            self._runner.register_message(name, self._take)

    def assemble(self) -> None:
        """Wait until every worker has its part, and compare clocks; raises FleetError if one is missing."""
        until = time.monotonic() + self._fleet.assemble_s
        while sum(member.prepared for member in self._members.values()) < self._fleet.workers:
            for member in [member for member in self._members.values() if self._gone(member)]:
                del self._members[member.id]
            if time.monotonic() >= until:
                raise FleetError(self._absence())
            gevent.sleep(LOOK_EVERY_S)
        for member in self._members.values():
            member.before = self._compare_clocks(member)
            if member.before is None:
                raise FleetError("a driver worker came and was gone again: start it anew, and run again")

    def drive(self, parent: Parent) -> DriveSummary:
        """Let the workers drive from the harness's epoch on, and merge their samples."""
        epoch_ns = parent.await_start()
        self.clock.start_at(epoch_ns)
        for member in self._members.values():
            ahead_ns = member.before.offset_ns if member.before else 0
            self._runner.send_message(START, {"epoch_ns": epoch_ns + ahead_ns}, member.id)
        gevent.signal_handler(signal.SIGTERM, self._stop)
        helpers = [
            gevent.spawn(parent.follow, self._fix_window, self._stop),
            gevent.spawn(self._tell, parent),
        ]
        own = self.clock.pass_window(lambda: 0)
        self._await_samples()
        gevent.killall(helpers)
        for member in self._members.values():
            if member.samples is not None:
                member.after = self._compare_clocks(member)
                self._runner.send_message(KEPT, {}, member.id)
        return self._summary(own)

    def close(self) -> None:
        """Send the messages that still wait, and end the connection."""
        self._runner.greenlet.kill(block=True)
        self._runner.server.close(linger=LINGER_MS)  # type: ignore[no-untyped-call]  # locust's socket has no types
        self._runner.server.socket.context.term()

    def _take(self, environment: Environment, msg: LocustMessage) -> None:
        del environment
        if msg.type == HELLO:
            self._greet(msg.node_id, msg.data["protocol"])
            return
        member = self._members.get(msg.node_id)
        if member is None:
            return
        member.heard_s = time.monotonic()
        if msg.type == CHUNK:
            member.inbound.add(msg.data)
        elif msg.type == PREPARED:
            member.prepared = True
        elif msg.type == PONG:
            member.pongs.put(RoundTrip(**msg.data, back_ns=time.monotonic_ns()))
        elif msg.type == COUNT:
            member.counts.append(tuple(msg.data["count"]))
        elif msg.type == DONE:
            member.account = Account(**msg.data)

    def _greet(self, worker: str, protocol: int) -> None:
        """Give a worker its part, or tell it why the master does not need it."""
        if worker in self._members:
            return
        if protocol != PROTOCOL:
            why = "bench is of another version there than here: update the older one"
            self._runner.send_message(DISMISSED, {"why": why}, worker)
            return
        free = set(range(self._fleet.workers)) - {member.place for member in self._members.values()}
        if not free:
            self._runner.send_message(
                DISMISSED, {"why": "the master has all the workers that it needs"}, worker
            )
            return
        member = self._members[worker] = Member(worker, min(free))
        gevent.spawn(self._brief, member)

    def _brief(self, member: Member) -> None:
        """Send a worker its part: plan, bodies, every n-th client and every n-th arrival, for n workers."""
        step = self._fleet.workers
        numbers = list(range(1 + member.place, self._plan.clients + 1, step))
        plan = json.dumps({"plan": plan_to_json(self._plan).decode(), "numbers": numbers}).encode()
        arrivals = schedule_to_bytes(self._arrivals[member.place :: step])
        for name, data in (("plan", plan), ("bodies", self._bodies), ("arrivals", arrivals)):
            for chunk in chunks(name, data):
                self._runner.send_message(CHUNK, chunk, member.id)
                gevent.sleep(0)

    def _gone(self, member: Member) -> bool:
        """Return whether Locust misses the worker's heartbeats."""
        node = self._runner.clients.get(member.id)
        return node is None or node.state == STATE_MISSING

    def _absence(self) -> str:
        came = sum(member.prepared for member in self._members.values())
        return (
            f"{came} of {self._fleet.workers} driver workers came within {self._fleet.assemble_s:g} s: "
            f"start the others with `python -m bench worker --master HOST --port {self._fleet.port}`, HOST "
            "being this one, and let nothing block that port, or ask for fewer workers"
        )

    def _compare_clocks(self, member: Member) -> RoundTrip | None:
        """Return the best of several round trips, None if the worker does not answer."""
        trips = []
        for _ in range(PINGS):
            self._runner.send_message(PING, {"sent_ns": time.monotonic_ns()}, member.id)
            try:
                trips.append(member.pongs.get(timeout=PONG_WITHIN_S))
            except Empty:
                break
        return best_trip(trips) if trips else None

    def _fix_window(self, begin_s: float, window_s: float) -> None:
        self.clock.fix_window(begin_s, window_s)
        self._runner.send_message(WINDOW, {"begin_s": begin_s, "window_s": window_s})

    def _stop(self) -> None:
        self.clock.stop()
        self._runner.send_message(STOP, {})

    def _tell(self, parent: Parent) -> None:
        """Tell the harness the sum of the workers' counts, for each instant that all workers have reached."""
        last_tick = 0
        while True:
            gevent.sleep(LOOK_EVERY_S)
            living = [member for member in self._members.values() if not self._gone(member)]
            reached = min((len(member.counts) for member in living), default=last_tick)
            for tick in range(last_tick + 1, reached + 1):
                # the count of a lost worker stays as it was
                counts = [m.counts[min(tick, len(m.counts)) - 1] for m in self._members.values() if m.counts]
                parent.tell(tick, sum(ended for ended, _ in counts), sum(waited for _, waited in counts))
            last_tick = max(last_tick, reached)

    def _await_samples(self) -> None:
        """Wait until every worker has sent all its samples, or is lost."""
        until = self.clock.stop_ns / 1e9 + self._plan.drain_s
        while True:
            now = time.monotonic()
            missing = [m for m in self._members.values() if m.samples is None and not self._gone(m)]
            if all(now > max(until, member.heard_s) + SAMPLES_WITHIN_S for member in missing):
                return
            gevent.sleep(LOOK_EVERY_S)

    def _summary(self, own: Account) -> DriveSummary:
        kept = [m for m in self._members.values() if m.samples is not None and m.account is not None]
        accounts = [own, *(member.account for member in kept if member.account is not None)]
        busy = [share for account in accounts if (share := account.busy) is not None]
        return DriveSummary(
            rows=merge(
                [member.samples for member in kept if member.samples is not None], Path(self._plan.columns)
            ),
            requests=sum(account.requests for account in accounts),
            cpu_s=sum(account.cpu_s for account in accounts),
            window_begin_s=self.clock.begin_s,
            window_s=self.clock.window_s,
            workers=self._fleet.workers,
            lost_workers=self._fleet.workers - len(kept),
            busiest_core=max(busy, default=None),
            clock_error_ms=max((member.clock_error_ms for member in kept), default=None),
            clients=self._plan.clients,
        )


def drive_fleet(plan: DrivePlan, fleet: FleetPlan, bodies: bytes, parent: Parent) -> DriveSummary | None:
    """Run one trial with the fleet; return None, and tell the harness why, if the fleet does not assemble."""
    try:
        master = Master(plan, fleet, bodies)
        master.assemble()
    except FleetError as error:
        parent.refuse(str(error))
        return None
    summary = master.drive(parent)
    master.close()
    return summary
