"""Several worker processes behind one listener: started, watched, replaced, and stopped together."""

import asyncio
import logging
import os
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from functools import partial

from prometheus_client.multiprocess import mark_process_dead

from serving_core.errors import StartError
from serving_core.metrics import shared_registry
from serving_core.process.push import Nothing, Pusher, pusher_of
from serving_core.process.signals import HURRYING, ignore_stopping_signals, stopping_signals
from serving_core.process.sockets import READY, Seat, listen
from serving_core.settings import Settings

# The time after the grace period for closing the port, the last log lines and the interpreter's end.
MARGIN_S = 4.0
# If a worker served this long, its start did not fail: its death counts as the first again.
STABLE_S = 30.0
# This many workers are tried until one is ready, unless one says why the service cannot start.
STARTS = 5
# Later this many deaths in a row, beyond one for each worker, end the service.
DEATHS = 4
FIRST_BACKOFF_S = 0.1
LONGEST_BACKOFF_S = 5.0

log = logging.getLogger("serving_core.process.supervisor")


@dataclass(frozen=True, slots=True, eq=False)
class RunningWorker:
    """One running worker, and our end of its channel."""

    process: asyncio.subprocess.Process
    channel: socket.socket

    def leave(self) -> None:
        """Ask the worker to drain and end."""
        self.channel.shutdown(socket.SHUT_WR)

    def signal(self, number: signal.Signals) -> None:
        """Send the worker a signal, if it still runs."""
        if self.process.returncode is None:
            self.process.send_signal(number)


@dataclass
class Supervisor:
    """Keeps `workers` processes of `command` alive; the first process shows that the service can start."""

    command: Sequence[str]
    environment: Mapping[str, str]
    metrics_folder: str
    listener: socket.socket
    workers: int
    patience_s: float
    failed: bool = False
    _told: bool = False
    _hurried: bool = False
    _serving: set[RunningWorker] = field(default_factory=set)
    _running: set[RunningWorker] = field(default_factory=set)
    _deaths: int = 0
    _proven: asyncio.Event = field(default_factory=asyncio.Event)
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> int:
        """Serve until stopped, or until workers cannot be kept alive; return the exit status."""
        loop = asyncio.get_running_loop()
        for number in stopping_signals():
            loop.add_signal_handler(number, self._stop, number)
        keepers = [asyncio.create_task(self._keep(place)) for place in range(self.workers)]
        await self._stopping.wait()
        self.listener.close()
        for worker in self._running:
            worker.leave()
        _, late = await asyncio.wait(keepers, timeout=self.patience_s)
        if late:
            self._fail(f"{len(late)} of the workers did not stop within {self.patience_s:g} s: killed")
            self._signal_all(signal.SIGKILL)
            await asyncio.wait(late)
        for keeper in keepers:
            keeper.result()
        return int(self.failed)

    async def _keep(self, place: int) -> None:
        """Keep a worker in this place until the service stops; the first one proves that it can start."""
        if place > 0:
            await self._first(self._proven, self._stopping)
        while not self._stopping.is_set():
            try:
                worker = await self._start(late=self._proven.is_set())
            except OSError as error:
                await self._not_started(error)
                continue
            ready_s = await self._ready(worker)
            status = await worker.process.wait()
            self._running.discard(worker)
            self._serving.discard(worker)
            worker.channel.close()
            mark_process_dead(worker.process.pid, self.metrics_folder)  # type: ignore[no-untyped-call]  # untyped
            if not self._stopping.is_set():
                await self._died(worker, status, ready_s)
            elif status and not self._hurried and not self.failed:
                self._fail(f"a worker ended with status {status} while the service stopped")

    async def _start(self, late: bool) -> RunningWorker:
        ours, theirs = socket.socketpair()
        with ExitStack() as failing, theirs:
            failing.enter_context(ours)
            arguments = Seat(self.listener, theirs, late).arguments()
            process = await asyncio.create_subprocess_exec(
                *self.command,
                *arguments,
                env=self.environment,
                pass_fds=(self.listener.fileno(), theirs.fileno()),
                process_group=0,  # signals from a terminal reach us, and we pass them on
            )
            failing.pop_all()
        ours.setblocking(False)
        worker = RunningWorker(process, ours)
        self._running.add(worker)
        if self._stopping.is_set():
            worker.leave()
        return worker

    async def _ready(self, worker: RunningWorker) -> float | None:
        """Return the time at which the worker became ready; None if it ended first."""
        loop = asyncio.get_running_loop()
        with suppress(ConnectionError):
            if await loop.sock_recv(worker.channel, 1) == READY:
                if not self._proven.is_set():
                    self._deaths = 0
                self._proven.set()
                self._serving.add(worker)
                return loop.time()
        return None

    async def _died(self, worker: RunningWorker, status: int, ready_s: float | None) -> None:
        if not self._proven.is_set() and self._cannot_start(status):
            return
        loop = asyncio.get_running_loop()
        if ready_s is not None and loop.time() - ready_s > STABLE_S:
            self._deaths = 0
        message = "a worker died and is replaced"
        if status == -signal.SIGBUS:  # no room for the files of metrics, which are mapped into memory
            message += f": make room in {self.metrics_folder}, or set TMPDIR to a larger folder"
        await self._again(message, {"pid": worker.process.pid, "status": status})

    def _cannot_start(self, status: int) -> bool:
        """Tell whether to give up, although no worker was ever ready, because one ended with `status`."""
        if status == 1:  # the worker has logged the reason, which another start would not change
            self.failed = True
            self._stopping.set()
        elif self._deaths + 1 >= STARTS:
            how = f"with status {status}" if status >= 0 else f"by {signal.Signals(-status).name}"
            self._fail(
                f"cannot start: {STARTS} workers in a row ended before one was ready, the last {how}: "
                "allow more memory, or see what was logged before"
            )
        return self.failed

    async def _not_started(self, error: OSError) -> None:
        message = f"no worker could be started ({error}): allow more processes, files or memory"
        if self._proven.is_set():
            await self._again(message, {})
        else:
            self._fail(f"cannot start: {message}")

    async def _again(self, message: str, extra: Mapping[str, int]) -> None:
        """Count a death and wait before the next start; give up if many died and no worker serves."""
        self._deaths += 1
        if self._deaths > DEATHS + self.workers and not self._serving:
            self._fail(f"cannot go on: {self._deaths} workers died in a row: see what was logged before")
            return
        log.error(message, extra=extra)
        backoff_s = min(LONGEST_BACKOFF_S, FIRST_BACKOFF_S * 2 ** min(self._deaths - 1, 10))
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), backoff_s)

    async def _first(self, *events: asyncio.Event) -> None:
        waits = [asyncio.ensure_future(event.wait()) for event in events]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()

    def _fail(self, message: str) -> None:
        log.error(message)
        self.failed = True
        self._stopping.set()

    def _stop(self, number: signal.Signals) -> None:
        """Stop in order; at a second SIGTERM or SIGINT, stop without waiting for accepted requests."""
        if number in HURRYING:
            if self._told:
                self._hurried = True
                self._signal_all(signal.SIGTERM)
            self._told = True
        self._stopping.set()

    def _signal_all(self, number: signal.Signals) -> None:
        for worker in self._running:
            worker.signal(number)


async def _to_the_end(supervisor: Supervisor, pusher: Pusher | Nothing) -> int:
    """Run the supervisor and push a last time; ignore a signal after that, since nothing is left to end."""
    try:
        return await supervisor.run()
    finally:
        await asyncio.to_thread(pusher.close)
        for number in stopping_signals():
            asyncio.get_running_loop().remove_signal_handler(number)
        ignore_stopping_signals()


def supervise(settings: Settings) -> int:
    """Serve with `settings.workers` processes of this same command; return the exit status.

    Raises StartError if the address or a folder for the metrics is not available.
    """
    listener = listen(settings.host, settings.port)
    try:
        folder = tempfile.mkdtemp(prefix="metrics-")
    except OSError as error:
        raise StartError(f"no folder for the workers' metrics ({error}): set TMPDIR to another") from None
    try:
        supervisor = Supervisor(
            command=[sys.executable, *sys.orig_argv[1:]],
            environment={**os.environ, "PROMETHEUS_MULTIPROC_DIR": folder},
            metrics_folder=folder,
            listener=listener,
            workers=settings.workers,
            patience_s=settings.grace_s + settings.drain_linger_s + MARGIN_S,
        )
        status = asyncio.run(_to_the_end(supervisor, pusher_of(settings, partial(shared_registry, folder))))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if status == 0:
        log.info("stopped")
    return status
