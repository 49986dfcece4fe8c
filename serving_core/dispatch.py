"""From an accepted request to its answer: where a serving strategy may do more than compute in turn."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import Protocol

from serving_core.errors import RequestError
from serving_core.pipeline import Pipeline
from serving_core.settings import Settings
from serving_core.workers import Workers


@dataclass(frozen=True, slots=True)
class Work:
    """One accepted request: `due_s` and `arrived_s` are on the monotonic clock."""

    content_type: str
    body: bytes
    arrived_s: float
    due_s: float
    abandoned: Callable[[], bool]


class Dropped(Exception):  # noqa: N818 - not an error: nobody waits for this answer any more
    """The client went away before its request was computed, so it was not."""


class Dispatcher(Protocol):
    """Answers accepted work on the event loop that made it."""

    async def answer(self, work: Work) -> bytes:
        """Return the encoded answer; raises RequestError, or Dropped for a client that is gone."""

    def alive(self) -> bool:
        """Tell whether work that is handed over will be answered."""

    def close(self) -> None:
        """Stop, once nothing is waiting."""


MakeDispatcher = Callable[[Pipeline, Settings], Dispatcher]


def check_wanted(work: Work) -> None:
    """Raise RequestError 504 or Dropped when computing this work would help nobody."""
    if work.abandoned():
        raise Dropped
    if monotonic() > work.due_s:
        raise expired()


def expired() -> RequestError:
    """Return the refusal of a request whose deadline passed."""
    return RequestError(504, "the deadline passed before the answer was there: allow more time")


class Direct:
    """Each request is computed whole, one image at a time, by one of as many threads as there are cores."""

    def __init__(self, pipeline: Pipeline, settings: Settings) -> None:
        self._pipeline = pipeline
        self._workers = Workers(settings.threads, "worker")

    async def answer(self, work: Work) -> bytes:
        """Return the encoded answer; raises RequestError, or Dropped for a client that is gone."""
        return await self._workers.submit(partial(self._compute, work))

    def alive(self) -> bool:
        """Tell whether work is answered: these threads outlive any fault of a request."""
        return True

    def close(self) -> None:
        """Stop, once nothing is waiting."""
        self._workers.close()

    def _compute(self, work: Work) -> bytes:
        self._pipeline.metrics.observe_stage("queue", monotonic() - work.arrived_s)
        check_wanted(work)
        return self._pipeline.run(work.content_type, work.body)
