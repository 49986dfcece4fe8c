"""Threads that serve one event loop, with less overhead between a request and its thread than an executor."""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from math import inf
from queue import SimpleQueue
from time import monotonic
from typing import Any, Generic, TypeVar

from serving_core.settings import Settings

Result = TypeVar("Result")


# A thread that has worked on one job for this many request deadlines is taken to hang.
DEADLINES = 2
# The longest that a job may work between two notes of progress, whatever the deadline: an image of the most
# pixels and the slowest format takes some seconds.
LEAST_PATIENCE_S = 20.0
# A turn of several jobs begins no further job after this time: about as much as one job for one image takes.
TURN_S = 0.02

_own = threading.local()


def patience_s(settings: Settings) -> float:
    """Return after how many seconds without progress a job is taken to hang."""
    return max(LEAST_PATIENCE_S, DEADLINES * settings.request_timeout_ms / 1000)


def note_progress() -> None:
    """Note that the job of this thread does not hang; any other thread may call this to no effect."""
    note: Callable[[], None] | None = getattr(_own, "note", None)
    if note is not None:
        note()


class _Job(Generic[Result]):
    __slots__ = ("future", "work")

    def __init__(self, work: Callable[[], Result], future: asyncio.Future[Result]) -> None:
        self.work: Callable[[], Result] | None = work
        self.future = future

    def let_go(self, _: object = None) -> None:
        """Keep the work no longer: it holds a request's body, and the job may stay long in the queue."""
        self.work = None


class _Turns:
    """The jobs of one request, whose turns alternate with other requests.

    It stands in the queue for its next turn. While a turn is taken it stands there `early`, for threads that
    have nothing else to do.
    """

    __slots__ = ("early", "jobs")

    def __init__(self, jobs: Sequence[_Job[Any]]) -> None:
        self.jobs = deque(jobs)
        self.early = False


class Workers:
    """`threads` daemon threads that take jobs first come, first served; created and used on one event loop.

    Jobs that were submitted together take turns with all others: a turn is one job, or several short jobs.
    They count as alive unless every thread has worked for more than `patience_s` without progress: since its
    job began, or since its job called `note_progress`.
    """

    def __init__(self, threads: int, name: str, patience_s: float = inf) -> None:
        self._jobs: SimpleQueue[_Job[Any] | _Turns | None] = SimpleQueue()
        self._closed = False
        self._loop = asyncio.get_running_loop()
        self._patience_s = patience_s
        self._began_s: list[float | None] = [None] * threads
        self._threads = [
            threading.Thread(target=self._serve, args=(number,), name=f"{name}-{number}", daemon=True)
            for number in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    async def submit(self, work: Callable[[], Result]) -> Result:
        """Return the result of `work`; if the waiter is cancelled first, `work` is dropped uncomputed."""
        job = _Job(work, self._loop.create_future())
        self._jobs.put(job)
        del work
        try:
            result: Result = await job.future
            return result
        except asyncio.CancelledError:
            job.let_go()
            raise

    def take_turns(self, works: Sequence[Callable[[], Result]]) -> list[asyncio.Future[Result]]:
        """Return the results to come of one request's works; a work whose future is cancelled is dropped."""
        jobs = [_Job(work, self._loop.create_future()) for work in works]
        for job in jobs:
            job.future.add_done_callback(job.let_go)
        self._jobs.put(_Turns(jobs))
        return [job.future for job in jobs]

    def alive(self) -> bool:
        """Tell whether a job that is submitted will have its turn."""
        began = [began_s for began_s in self._began_s if began_s is not None]
        return len(began) < len(self._began_s) or monotonic() - max(began) <= self._patience_s

    def close(self) -> None:
        """Let every thread end when the queued jobs are done."""
        self._closed = True
        for _ in self._threads:
            self._jobs.put(None)

    def _serve(self, number: int) -> None:
        _own.note = partial(self._begin, number)
        goes_on = True
        while goes_on:
            taken = self._jobs.get()
            goes_on = self._turn(number, taken) if isinstance(taken, _Turns) else self._take(number, taken)

    def _turn(self, number: int, turns: _Turns) -> bool:
        """Take a turn of a request; return False if there will be no more jobs."""
        if not self._closed:
            if turns.early and self._jobs.qsize():  # others came during its last turn
                turns.early = False
                self._jobs.put(turns)
                return True
            if len(turns.jobs) > 1:
                turns.early = True
                self._jobs.put(turns)
        end_s = monotonic() + TURN_S
        goes_on = True
        while goes_on and turns.jobs:
            try:
                job = turns.jobs.popleft()
            except IndexError:  # another thread took the last job a moment ago
                break
            goes_on = self._take(number, job)
            if monotonic() >= end_s and not self._closed:
                break
        return goes_on

    def _begin(self, number: int) -> None:
        self._began_s[number] = monotonic()

    def _take(self, number: int, job: _Job[Any] | None) -> bool:
        """Do one job and keep nothing of it; return False if there will be no more jobs."""
        if job is None:
            return False
        work = job.work
        if work is None:
            return True
        job.let_go()
        self._begin(number)
        try:
            result, error = work(), None
        except Exception as fault:  # noqa: BLE001 - the waiter gets any exception, and the thread lives on
            result, error = None, fault
        except BaseException as fault:  # noqa: BLE001 - a job may end neither this thread nor the event loop
            result, error = None, RuntimeError(f"a job raised {fault!r}")
        self._began_s[number] = None
        try:
            self._loop.call_soon_threadsafe(_settle, job.future, result, error)
        except RuntimeError:
            return False  # the loop is closed: nobody waits any more
        return True


def _settle(future: asyncio.Future[Any], result: object, error: Exception | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)
