"""The time that the work of a start may take."""

import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from threading import Thread
from typing import TypeVar

T = TypeVar("T")


class TimeOver(Exception):  # noqa: N818 - an outcome, turned into a StoreError in one place
    """The time is over before the work is done."""


@dataclass(frozen=True, slots=True)
class Deadline:
    """The time, on the monotonic clock, by which work must be done."""

    at_s: float

    @classmethod
    def after(cls, seconds: float) -> "Deadline":
        """Return the deadline that is `seconds` from now."""
        return cls(time.monotonic() + seconds)

    def left_s(self) -> float:
        """Return the seconds until the deadline; 0 if it has passed."""
        return max(0.0, self.at_s - time.monotonic())

    def run(self, work: Callable[[], T]) -> T:
        """Return the result of `work`; raises TimeOver at the deadline, and then ignores the end of `work`.

        A connection's time-out limits the wait for each byte, not a transfer of single bytes now and then. So
        the work runs on a daemon thread of its own, which does not keep the process from ending.
        """
        outcome: Future[T] = Future()

        def run() -> None:
            try:
                outcome.set_result(work())
            except BaseException as error:  # noqa: BLE001 - raised again by the thread that waits for the outcome
                outcome.set_exception(error)

        Thread(target=run, name="store", daemon=True).start()
        try:
            return outcome.result(self.left_s())
        except TimeoutError:
            if outcome.done():
                raise  # an exception of the work itself
            raise TimeOver from None
