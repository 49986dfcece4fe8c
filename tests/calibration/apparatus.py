"""Trials of known truth: truth servers on the service's core, real drivers on the driver's, both logs joined.

Whether a trial is repeated is decided by what else used its cores, and never by what it measured.
"""

import json
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from bench.cores import Cores, choose_cores, pinned
from bench.load import launch
from bench.load.client_pool import ClientPool
from bench.load.launch import Drive, Driven, Target
from bench.load.window import OK, summarise
from bench.model import ClosedLoad, Payload
from bench.model.expectations import LabelExpectation
from tests.calibration.disturbance import Disturbance, Usage, await_calm, late_share
from tests.calibration.trials import Driving, Requests, Setting, Trial
from tests.running.ports import free_port

ROOT = Path(__file__).parents[2]
# ids of one driver's requests on a server that several drive
IDS_A_DRIVE = 100_000
TRIES = 3


@dataclass(frozen=True, slots=True)
class DriverPart:
    """The n-th driver of a server, when it started (monotonic ns), and what came of it."""

    place: int
    start_ns: int
    driven: Driven


class TruthServer:
    """A truth server in a process of its own, pinned to the cores given."""

    def __init__(self, setting: Setting, cores: Sequence[int]) -> None:
        self.port = free_port()
        options = ["--servers", "one" if setting.one_at_a_time else "many"]
        command = [sys.executable, "-m", "tests.calibration.truth_server", "--port", str(self.port)]
        with pinned(tuple(cores)):
            self._process = subprocess.Popen(
                [*command, *options, "--stall-for", str(setting.stall_s)],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
            )
        assert self._process.stdout is not None
        assert self._process.stdout.readline().strip() == b"ready"

    def get(self, path: str) -> bytes:
        """What a GET is answered."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=120) as answer:
            content: bytes = answer.read()
            return content

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


def run(*settings: Setting) -> tuple[Trial, ...]:
    """Run all the settings at once; where that was disturbed up to three times, and keep the calmest."""
    tried: list[tuple[Trial, ...]] = []
    while len(tried) < TRIES:
        if tried:
            await_calm()
        tried.append(run_once(settings))
        if not tried[-1][0].disturbance.too_much:
            break
    calmest = min(tried, key=lambda trials: trials[0].disturbance.foreign)
    return tuple(replace(trial, tries=len(tried)) for trial in calmest)


def run_once(settings: Sequence[Setting]) -> tuple[Trial, ...]:
    """Run all the settings at once, whatever else runs."""
    cores = choose_cores(None, None)
    with ExitStack() as ends:
        servers = [TruthServer(setting, cores.service) for setting in settings]
        for server in servers:
            ends.callback(server.close)
        pids = [server.pid for server in servers]
        before = Usage.now(pids)
        parts = [
            part
            for setting, parts in zip(settings, _drive(settings, servers, cores), strict=True)
            for part in zip(setting.drives, parts, strict=True)
        ]
        after = Usage.now(pids)
        logs = [json.loads(server.get("/log")) for server in servers]
    columns = [log["columns"] for log in logs if not log["stalls"]]
    late = max((late_share(each["ended_ns"], each["replied_ns"]) for each in columns), default=None)
    disturbance = before.until(after, cores, late)
    owners = [log for setting, log in zip(settings, logs, strict=True) for _ in setting.drives]
    return tuple(
        joined(driving, part, log, disturbance) for (driving, part), log in zip(parts, owners, strict=True)
    )


def _drive(
    settings: Sequence[Setting], servers: Sequence[TruthServer], cores: Cores
) -> list[list[DriverPart]]:
    """Start all drivers, let the servers that stall begin to, and wait until all have ended."""
    with ExitStack() as ends:
        underway = [
            [_begin(server, place, driving, cores, ends) for place, driving in enumerate(setting.drives)]
            for setting, server in zip(settings, servers, strict=True)
        ]
        for setting, server in zip(settings, servers, strict=True):
            if setting.stall_s:
                server.get("/stall")
        return [
            [DriverPart(place, drive.start_ns, drive.finish()) for place, drive in enumerate(drives)]
            for drives in underway
        ]


def _begin(server: TruthServer, place: int, driving: Driving, cores: Cores, ends: ExitStack) -> Drive:
    first = place * IDS_A_DRIVE
    payloads = [
        Payload(
            name=str(number),
            payload_class="known",
            encoding="raw",
            content_type="text/plain",
            body=b"%d %d" % (first + number, asked_ns),
            expect=LabelExpectation("known", {"known": 1.0}),
        )
        for number, asked_ns in enumerate(driving.asked_ns)
    ]
    scratch = Path(ends.enter_context(tempfile.TemporaryDirectory(prefix="calibration-")))
    target = Target("127.0.0.1", server.port, "/predict/")
    in_flight = driving.in_flight or launch.MOST_IN_FLIGHT
    with pinned(cores.driver), mock.patch.object(launch, "MOST_IN_FLIGHT", in_flight):
        drive = Drive(target, payloads, driving.load, driving.seed, scratch)
    ends.callback(drive.close)
    return drive


def joined(driving: Driving, part: DriverPart, log: Mapping[str, Any], disturbance: Disturbance) -> Trial:
    """Return the trial that a driver's samples and its server's log make together."""
    load = driving.load
    clients = load.clients if isinstance(load, ClosedLoad) else None
    pool = ClientPool(driving.in_flight or launch.MOST_IN_FLIGHT)
    figures = summarise(part.driven.samples, clients, load.warmup_s, load.window_s, pool=pool)
    requests = _requests(driving, part, log["columns"])
    assert figures.ok == requests.inside.sum(), "the driver's window is not the declared one"
    stalls = tuple((begun - part.start_ns, ended - part.start_ns) for begun, ended in log["stalls"])
    return Trial(load, requests, part.driven, figures, stalls, disturbance)


def _requests(driving: Driving, part: DriverPart, columns: Mapping[str, Sequence[int]]) -> Requests:
    """Both sides' stamps by request: the n-th that was sent with an id is the n-th that arrived with it."""
    samples, load = part.driven.samples, driving.load
    log = {name: np.asarray(column, dtype=np.int64) for name, column in columns.items()}
    mine = log["id"] // IDS_A_DRIVE == part.place
    log = {name: column[mine] for name, column in log.items()}
    ours = np.lexsort((samples.sent_ns, samples.payload))
    theirs = np.lexsort((log["arrived_ns"], log["id"]))
    number = samples.payload[ours]
    assert (number == log["id"][theirs] % IDS_A_DRIVE).all(), "driver and server saw different requests"
    by_due = np.argsort(samples.due_ns[ours], kind="stable")
    ours, theirs = ours[by_due], theirs[by_due]
    begin_ns, end_ns = load.warmup_s * 1e9, (load.warmup_s + load.window_s) * 1e9
    due_ns, done_ns = samples.due_ns[ours], samples.done_ns[ours]
    return Requests(
        asked_ns=np.asarray(driving.asked_ns, dtype=np.int64)[number[by_due]],
        due_ns=due_ns,
        sent_ns=samples.sent_ns[ours],
        **{
            name: log[name][theirs] - part.start_ns
            for name in ("arrived_ns", "begun_ns", "ended_ns", "replied_ns")
        },
        done_ns=done_ns,
        inside=(samples.outcome[ours] == OK) & (begin_ns <= due_ns) & (due_ns < end_ns),
    )
