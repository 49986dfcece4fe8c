"""Threads that serve one event loop, with less overhead between a request and its thread than an executor."""

import asyncio
import threading
from collections.abc import Callable
from math import inf
from queue import SimpleQueue
from time import monotonic
from typing import Any, Generic, TypeVar

from serving_core.settings import Settings

Result = TypeVar("Result")


# A thread that has worked on one job for this many request deadlines is taken to hang.
DEADLINES = 2


def patience_s(settings: Settings) -> float:
    """Return after how many seconds a job is taken to hang."""
    return DEADLINES * settings.request_timeout_ms / 1000


class _Job(Generic[Result]):
    __slots__ = ("future", "work")

    def __init__(self, work: Callable[[], Result], future: asyncio.Future[Result]) -> None:
        self.work: Callable[[], Result] | None = work
        self.future = future


class Workers:
    """`threads` daemon threads that take jobs first come, first served; created and used on one event loop.

    They count as alive unless every thread has worked on its job for more than `patience_s`.
    """

    def __init__(self, threads: int, name: str, patience_s: float = inf) -> None:
        self._jobs: SimpleQueue[_Job[Any] | None] = SimpleQueue()
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
            job.work = None  # the work holds a request's body, and the job may stay long in the queue
            raise

    def alive(self) -> bool:
        """Tell whether a job that is submitted will have its turn."""
        began = [began_s for began_s in self._began_s if began_s is not None]
        return len(began) < len(self._began_s) or monotonic() - max(began) <= self._patience_s

    def close(self) -> None:
        """Let every thread end when the queued jobs are done."""
        for _ in self._threads:
            self._jobs.put(None)

    def _serve(self, number: int) -> None:
        while self._take(number, self._jobs.get()):
            self._began_s[number] = None

    def _take(self, number: int, job: _Job[Any] | None) -> bool:
        """Do one job and keep nothing of it; return False if there will be no more jobs."""
        if job is None:
            return False
        work = job.work
        if work is None:
            return True
        self._began_s[number] = monotonic()
        try:
            result, error = work(), None
        except Exception as fault:  # noqa: BLE001 - the waiter gets any exception, and the thread lives on
            result, error = None, fault
        except BaseException as fault:  # noqa: BLE001 - a job may end neither this thread nor the event loop
            result, error = None, RuntimeError(f"a job raised {fault!r}")
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
