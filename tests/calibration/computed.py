"""Trials of known truth that are computed: no process runs, no time passes, and each is the same every time.

A right instrument on a calm machine, by the rules of the truth server. What the claims hold of and what they
fail is tested upon these everywhere; measured trials take a quiet machine, and so the night.
"""

import heapq
import itertools
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from bench.load.drive_plan import DriveSummary
from bench.load.launch import Driven
from bench.load.samples import Samples
from bench.load.window import OK
from bench.model import ARRIVALS, OpenLoad
from tests.calibration.apparatus import IDS_A_DRIVE, DriverPart, joined
from tests.calibration.disturbance import Disturbance
from tests.calibration.experiments import STALL_EVERY_S
from tests.calibration.trials import Driving, Setting, Trial
from tests.calibration.truth_server import COLUMNS, FIRST_STALL_S

Ints = NDArray[np.int64]
CALM = Disturbance(0.0, 0.0, 0.0)
# medians: how late a request leaves, its way there or back, how late the server answers
LAG_NS, WAY_NS, LATE_NS = 40_000, 200_000, 10_000
SPREAD = 0.3


def run(*settings: Setting) -> tuple[Trial, ...]:
    """Compute all the settings, each at a server of its own."""
    return tuple(trial for setting in settings for trial in _Server(setting).trials())


class _Client:
    """What sends one request at a time: a client of a closed loop, or one connection of an open one."""

    def __init__(self, drive: "_Drive", order: Iterator[int]) -> None:
        self.drive, self.order = drive, order


class _Drive:
    """One driver's requests, in the order in which they are sent, and what became of each."""

    def __init__(self, place: int, driving: Driving, rng: np.random.Generator) -> None:
        self.place, self.driving, self._rng = place, driving, rng
        load = driving.load
        self.end_ns = int((load.warmup_s + load.window_s) * 1e9)
        self.rows: list[tuple[int, ...]] = []
        if isinstance(load, OpenLoad):
            due = ARRIVALS[load.arrivals].due_ns(load.rate_per_s, load.warmup_s + load.window_s, driving.seed)
            self._due: Iterator[int] = iter(due)
            shared = self._orders()
            self.clients = [_Client(self, shared) for _ in range(driving.in_flight or len(due))]
        else:
            self.clients = [_Client(self, self._orders()) for _ in range(load.clients)]

    def _orders(self) -> Iterator[int]:
        """Give all payloads in an order of their own, again and again."""
        while True:
            yield from self._rng.permutation(len(self.driving.asked_ns)).tolist()

    def due_ns(self, free_ns: int) -> int | None:
        """Return when the next request of a client that is free now comes due, None after the last."""
        if isinstance(self.driving.load, OpenLoad):
            return next(self._due, None)
        return free_ns if free_ns < self.end_ns else None


class _Server:
    """A truth server and its drivers, event by event."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._rng = np.random.default_rng(1)
        self._free_ns = 0
        self._stalls = self._stalls_of(setting)
        self._drives = [_Drive(place, driving, self._rng) for place, driving in enumerate(setting.drives)]
        self._log: list[tuple[int, ...]] = []

    @staticmethod
    def _stalls_of(setting: Setting) -> list[tuple[int, int]]:
        if not setting.stall_s:
            return []
        begun_s = [FIRST_STALL_S, FIRST_STALL_S + STALL_EVERY_S]
        return [(int(s * 1e9), int((s + setting.stall_s) * 1e9)) for s in begun_s]

    def trials(self) -> Iterator[Trial]:
        """Let all drives run, and join what driver and server say."""
        self._run()
        log = {
            "columns": dict(zip(COLUMNS, zip(*self._log, strict=True), strict=True)),
            "stalls": self._stalls,
        }
        for drive in self._drives:
            driven = _driven(drive)
            yield joined(drive.driving, DriverPart(drive.place, 0, driven), log, CALM)

    def _run(self) -> None:
        ticket = itertools.count()
        # (when, ticket, client, None): a client is free; (when, ticket, client, request): one arrives
        events: list[tuple[int, int, _Client, tuple[int, int, int] | None]] = [
            (0, next(ticket), client, None) for drive in self._drives for client in drive.clients
        ]
        while events:
            now_ns, _, client, request = heapq.heappop(events)
            if request is not None:
                done_ns = self._serve(client.drive, request, now_ns)
                heapq.heappush(events, (done_ns, next(ticket), client, None))
            elif (due_ns := client.drive.due_ns(now_ns)) is not None:
                sent_ns = max(due_ns, now_ns) + self._about(LAG_NS)
                arrives_ns = sent_ns + self._about(WAY_NS)
                heapq.heappush(
                    events, (arrives_ns, next(ticket), client, (due_ns, sent_ns, next(client.order)))
                )

    def _serve(self, drive: _Drive, request: tuple[int, int, int], arrives_ns: int) -> int:
        """Answer a request; return when its answer is back."""
        due_ns, sent_ns, number = request
        arrived_ns = self._awake(arrives_ns)
        begun_ns = max(arrived_ns, self._free_ns) if self._setting.one_at_a_time else arrived_ns
        ended_ns = begun_ns + drive.driving.asked_ns[number]
        self._free_ns = ended_ns
        replied_ns = self._awake(ended_ns) + self._about(LATE_NS)
        done_ns = replied_ns + self._about(WAY_NS)
        self._log.append((drive.place * IDS_A_DRIVE + number, arrived_ns, begun_ns, ended_ns, replied_ns))
        drive.rows.append((due_ns, sent_ns, done_ns, number))
        return done_ns

    def _awake(self, at_ns: int) -> int:
        """Return the first instant from then on at which the server does not pause."""
        return next((over for begun, over in self._stalls if begun <= at_ns < over), at_ns)

    def _about(self, median_ns: int) -> int:
        return int(median_ns * self._rng.lognormal(0.0, SPREAD))


def _driven(drive: _Drive) -> Driven:
    due, sent, done, number = (np.array(column, dtype=np.int64) for column in zip(*drive.rows, strict=True))
    order = np.argsort(done, kind="stable")
    same = np.ones(len(done), dtype=np.int64)
    samples = Samples(
        due_ns=due[order],
        sent_ns=sent[order],
        done_ns=done[order],
        bytes=same,
        status=200 * same,
        payload=number[order],
        outcome=OK * same,
    )
    load = drive.driving.load
    return Driven(samples, DriveSummary(len(done), len(done), 0.0, load.warmup_s, load.window_s))
