"""How the harness starts the driver, alone or with a fleet, and reads the samples that it recorded."""

import contextlib
import dataclasses
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.errors import BenchError
from bench.load.drive_plan import (
    READY,
    DrivePlan,
    DriveSummary,
    FleetPlan,
    plan_to_json,
    write_bodies,
)
from bench.load.pipes import Follower
from bench.load.samples import Samples, read_columns
from bench.load.warmup import WarmUp
from bench.load.window_length import SHOWS_RATE_S, WindowLength
from bench.load.worker import worker_command
from bench.model import PLAIN, USUAL_ARRIVALS, USUAL_TOLERANCE, Access, ClosedLoad, Load, Payload

ROOT = Path(__file__).parents[2]
# between the message to start and the first request; a fleet's message has to reach other hosts
LEAD_S, FLEET_LEAD_S = 0.05, 0.3
# the threads of a rendezvous wake up one after another
TOGETHER_LEAD_S = 0.3
EXIT_GRACE_S = 20.0
ASSEMBLE_S = 60.0
# how many requests of an open loop may be in flight; further ones wait in the driver until one has ended
MOST_IN_FLIGHT = 512
LOOPBACK = ("127.", "localhost", "::1")


@dataclass(frozen=True, slots=True)
class Target:
    """Where a driver sends its requests."""

    host: str
    port: int
    path: str
    access: Access = PLAIN


@dataclass(frozen=True, slots=True)
class Fleet:
    """How many processes drive: `local` ones, started here, and `remote` ones, which users start elsewhere.

    Remote workers connect to the address on which the master listens. Without remote workers the master
    picks a free port of loopback. A single local process drives alone, without a master.
    """

    local: int = 1
    remote: int = 0
    listen: str = "127.0.0.1"
    port: int = 5557

    @property
    def workers(self) -> int:
        """How many processes send requests."""
        return self.local + self.remote

    def placed(self) -> "Fleet":
        """Return this fleet; without remote workers, with a loopback port that is free."""
        return self if self.remote else dataclasses.replace(self, listen="127.0.0.1", port=free_port())


def free_port() -> int:
    """Return a loopback port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class LeftAloneError(BenchError):
    """A drive that should have begun together with this one did not come; its own error says why."""


class Rendezvous:
    """Lets the drives of several threads begin at the same instant, once each driver is ready."""

    def __init__(self, parties: int) -> None:
        self._barrier = threading.Barrier(parties, self._fix)
        self._start_ns = 0

    def start_ns(self) -> int:
        """Wait for the others and return the common start (monotonic ns); raises LeftAloneError."""
        try:
            self._barrier.wait(ASSEMBLE_S)
        except threading.BrokenBarrierError:
            raise LeftAloneError("the driver of the other side did not start") from None
        return self._start_ns

    def give_up(self) -> None:
        """End every thread's wait."""
        self._barrier.abort()

    def _fix(self) -> None:
        self._start_ns = time.monotonic_ns() + int(TOGETHER_LEAD_S * 1e9)


@dataclass(frozen=True, slots=True)
class Driven:
    """The result of a drive: a sample of every request, and the driver's summary."""

    samples: Samples
    summary: DriveSummary


class Drive:
    """A running trial's load: one driver process, or a master and its workers.

    Drives that share a rendezvous begin together. An answer is right if each of its probabilities is within
    `tolerance` of the reference's, and its label is the same. The constructor raises BenchError if the
    driver does not start, or its fleet does not assemble. A window may last up to `window_most_s` if it needs
    that for the requests of a p99; without that it is as long as the load says.
    """

    def __init__(
        self,
        target: Target,
        payloads: Sequence[Payload],
        load: Load,
        seed: int,
        scratch: Path,
        fleet: Fleet | None = None,
        together: Rendezvous | None = None,
        tolerance: float = USUAL_TOLERANCE,
        window_most_s: float | None = None,
    ) -> None:
        fleet, self._together, self._tolerance = fleet or Fleet(), together, tolerance
        _check(fleet, target)
        alone = fleet.workers == 1 and not fleet.remote
        fleet = fleet if alone else fleet.placed()
        self._columns, self._summary, self._load = scratch / "columns", scratch / "summary.json", load
        most_s = load.warmup_s if load.warmup_most_s is None else load.warmup_most_s
        self._warm_up = WarmUp(load.warmup_s, most_s)
        offered = None if isinstance(load, ClosedLoad) else load.rate_per_s
        # a warm-up that ends at once shows no rate before the window
        short = offered is None and self._warm_up.by_time and load.warmup_s < SHOWS_RATE_S
        self._length = WindowLength(
            load.window_s, load.window_s if short else window_most_s or load.window_s, offered
        )
        self._lead_s = LEAD_S if alone else FLEET_LEAD_S
        plan = self._plan(target, payloads, seed, scratch, None if alone else fleet)
        (scratch / "plan.json").write_bytes(plan_to_json(plan))
        self._log = (scratch / "driver.log").open("w+b")
        self._workers: list[subprocess.Popen[bytes]] = []
        self._process = subprocess.Popen(  # noqa: S603  # our own module
            [sys.executable, "-m", "bench.load.driver", str(scratch / "plan.json")],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            start_new_session=True,
        )
        try:
            if not alone:
                self._start_workers(fleet)
            self.start_ns, self._follower = self._begin()
        except BaseException:
            self.close()
            raise

    @property
    def worker_pids(self) -> tuple[int, ...]:
        """The process ids of the local workers; empty if one process drives alone."""
        return tuple(worker.pid for worker in self._workers)

    def instant(self, elapsed_s: float) -> float:
        """Return the seconds from now until an instant of the trial; 0 if the instant has passed."""
        return max(0.0, (self.start_ns - time.monotonic_ns()) / 1e9 + elapsed_s)

    def await_window(self) -> tuple[float, float]:
        """Block until the window is fixed; return its begin in seconds since the start, and its length.

        If the throughput decides how long the warm-up lasts, the begin still lies at least 0.4 s ahead when
        this returns. Otherwise the begin is known from the start.
        """
        return self._follower.await_window()

    def follow(self, tell: Callable[[float, int], None]) -> None:
        """Call `tell` with elapsed seconds and requests, several times a second, until the driver ends."""
        self._follower.pass_on(tell)

    def finish(self) -> Driven:
        """Wait for the driver and read its samples and summary; raises BenchError if the driver failed."""
        begin_s, window_s = self._follower.await_window()
        longest_s = begin_s + window_s + self._load.drain_s
        try:
            code = self._process.wait(timeout=self.instant(longest_s) + EXIT_GRACE_S)
        except subprocess.TimeoutExpired:
            raise BenchError("the driver did not end: report this with the command that you ran") from None
        if code != 0:
            raise BenchError(f"the driver failed with {code}: {self._last_words()}")
        summary = DriveSummary(**json.loads(self._summary.read_text(encoding="utf-8")))
        return Driven(read_columns(self._columns, summary.rows), summary)

    def cut_short(self) -> Driven:
        """Let the driver drain and end, and read the samples that it recorded until now."""
        self._process.terminate()
        return self.finish()

    def close(self) -> None:
        """Release the processes and their pipes; kill the processes that still run."""
        for process in (self._process, *self._workers):
            if process.poll() is None:
                process.kill()
            process.wait()
        if hasattr(self, "_follower"):
            self._follower.join()
        stdins = (process.stdin for process in (self._process, *self._workers))
        for pipe in (self._process.stdout, *stdins):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
        self._log.close()

    def _plan(
        self, target: Target, payloads: Sequence[Payload], seed: int, scratch: Path, fleet: Fleet | None
    ) -> DrivePlan:
        load = self._load
        return DrivePlan(
            host=target.host,
            port=target.port,
            path=target.path,
            access=target.access,
            clients=load.clients if isinstance(load, ClosedLoad) else MOST_IN_FLIGHT,
            rate_per_s=None if isinstance(load, ClosedLoad) else load.rate_per_s,
            arrivals=USUAL_ARRIVALS if isinstance(load, ClosedLoad) else load.arrivals,
            latest_begin_s=max(self._warm_up.least_s, self._warm_up.most_s),
            window_s=self._length.seconds(()) if self._length.known else load.window_s,
            window_most_s=self._length.most_s,
            drain_s=load.drain_s,
            timeout_s=load.timeout_s,
            seed=seed,
            tolerance=self._tolerance,
            bodies=str(scratch / "bodies"),
            payloads=write_bodies(payloads, scratch / "bodies"),
            columns=str(self._columns),
            summary=str(self._summary),
            fleet=FleetPlan(fleet.listen, fleet.port, fleet.workers, ASSEMBLE_S) if fleet else None,
        )

    def _start_workers(self, fleet: Fleet) -> None:
        """Start the local workers by the command that starts those on other hosts."""
        master = "127.0.0.1" if fleet.listen in ("*", "0.0.0.0") else fleet.listen  # noqa: S104  # only compared
        for _ in range(fleet.local):
            self._workers.append(
                subprocess.Popen(  # noqa: S603  # our own module
                    worker_command(master, fleet.port),
                    cwd=ROOT,
                    stdin=subprocess.PIPE,  # when it closes, the worker ends
                    stdout=subprocess.DEVNULL,
                    stderr=self._log,
                    start_new_session=True,
                )
            )

    def _begin(self) -> tuple[int, Follower]:
        """Wait until the driver is ready, tell it the epoch, and follow it."""
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:
            raise BenchError("the driver has no pipes: this is a fault of bench")
        said = stdout.readline().strip()
        if said.startswith(b"{"):
            raise BenchError(json.loads(said)["error"])
        if said != READY.encode():
            self._process.wait()
            raise BenchError(f"the driver did not start: {self._last_words()}")
        if self._together is None:
            start_ns = time.monotonic_ns() + int(self._lead_s * 1e9)
        else:
            start_ns = self._together.start_ns()
        try:
            stdin.write(b"%d\n" % start_ns)
            stdin.flush()
        except BrokenPipeError:
            raise BenchError(f"the driver did not start: {self._last_words()}") from None
        return start_ns, Follower(stdout, stdin, self._warm_up, self._length, start_ns)

    def _last_words(self) -> str:
        self._log.seek(0)
        lines = self._log.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"


def _check(fleet: Fleet, target: Target) -> None:
    if fleet.local < 0 or fleet.remote < 0 or fleet.workers < 1:
        raise BenchError("a load needs one driver process at least: give --workers 1 or more")
    if fleet.remote and target.host.startswith(LOOPBACK):
        raise BenchError(
            f"workers on other hosts cannot reach {target.host}: name an address of this host that they "
            "reach with --listen"
        )
