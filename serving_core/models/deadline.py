"""A bound on work that waits for others, whichever way they keep it waiting."""

import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from threading import Thread
from typing import TypeVar

T = TypeVar("T")


class Late(Exception):  # noqa: N818 - an outcome, turned into a StoreError in one place
    """The time is over and the work is not done."""


@dataclass(frozen=True, slots=True)
class Deadline:
    """The moment, on the monotonic clock, until which work may take."""

    at_s: float

    @classmethod
    def after(cls, seconds: float) -> "Deadline":
        """Return the deadline that many seconds from now."""
        return cls(time.monotonic() + seconds)

    def left_s(self) -> float:
        """Return the seconds until then, 0 when it has passed."""
        return max(0.0, self.at_s - time.monotonic())

    def run(self, work: Callable[[], T]) -> T:
        """Return what `work` returns; raises Late when it has not by then, and leaves it to end unheard.

        Time-outs of a connection bound each wait for a byte, not a sender of a byte now and then; so the work
        has a thread of its own, which keeps no process from ending.
        """
        outcome: Future[T] = Future()

        def run() -> None:
            try:
                outcome.set_result(work())
            except BaseException as error:  # noqa: BLE001 - raised again where the outcome is awaited
                outcome.set_exception(error)

        Thread(target=run, name="store", daemon=True).start()
        try:
            return outcome.result(self.left_s())
        except TimeoutError:
            if outcome.done():
                raise  # the work's own
            raise Late from None
