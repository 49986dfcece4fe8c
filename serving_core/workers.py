"""Threads that serve one event loop, with less between a request and its thread than an executor has."""

import asyncio
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

Result = TypeVar("Result")


class _Job(Generic[Result]):
    __slots__ = ("future", "work")

    def __init__(self, work: Callable[[], Result], future: asyncio.Future[Result]) -> None:
        self.work = work
        self.future = future


class Workers:
    """`threads` daemon threads that take jobs first come, first served; made and used on one event loop."""

    def __init__(self, threads: int, name: str) -> None:
        self._jobs: SimpleQueue[_Job[Any] | None] = SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._threads = [
            threading.Thread(target=self._serve, name=f"{name}-{number}", daemon=True)
            for number in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, work: Callable[[], Result]) -> asyncio.Future[Result]:
        """Queue `work`; a future that is cancelled before a thread takes it is never computed."""
        future: asyncio.Future[Result] = self._loop.create_future()
        self._jobs.put(_Job(work, future))
        return future

    def close(self) -> None:
        """Let every thread end once it has done what is queued."""
        for _ in self._threads:
            self._jobs.put(None)

    def _serve(self) -> None:
        while True:
            job = self._jobs.get()
            if job is None:
                return
            if job.future.cancelled():
                continue
            try:
                result, error = job.work(), None
            except BaseException as fault:  # noqa: BLE001 - whatever it is, its waiter gets it and the thread lives
                result, error = None, fault
            try:
                self._loop.call_soon_threadsafe(_settle, job.future, result, error)
            except RuntimeError:
                return  # the loop is closed: nobody waits any more


def _settle(future: asyncio.Future[Any], result: object, error: BaseException | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)
