"""From an accepted request to its answer: its stages, and how a serving strategy has them computed."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import Any, Protocol, TypeVar

from serving_core.calls import Answer, Call, Item, Outcome, Outputs, Parse
from serving_core.errors import RequestError, fault
from serving_core.handler import Handler
from serving_core.metrics import ModelMetrics
from serving_core.settings import Settings
from serving_core.workers import Workers


@dataclass(frozen=True, slots=True)
class Pipeline:
    """The stages of one model, each timed."""

    handler: Handler
    metrics: ModelMetrics

    def parse(self, parse: Parse, body: bytes) -> Call:
        """Take the body apart; raises RequestError."""
        with self.metrics.stage("parse"):
            return parse(body)

    def prepare(self, item: Item) -> Any:
        """Return what the model is given of one item; raises RequestError 413 or 422."""
        with self.metrics.stage("decode"):
            decoded = self.handler.decode(item)
        with self.metrics.stage("transform"):
            return self.handler.preprocess(decoded)

    def infer(self, batch: list[Any]) -> Sequence[Any]:
        """Return one result for each prepared item, in order; raises ValueError when the handler does not."""
        with self.metrics.stage("infer"):
            results = self.handler.predict(batch)
        if len(results) != len(batch):
            raise ValueError(f"predict gave {len(results)} results for {len(batch)} items")
        self.metrics.batch_size.observe(len(batch))
        return results

    def finish(self, result: Any) -> Outputs:
        """Return one item's outputs."""
        return self.handler.postprocess(result)

    def encode(self, call: Call, outcomes: Sequence[Outcome]) -> Answer:
        """Return the answer; raises RequestError where an outcome refuses the whole request."""
        with self.metrics.stage("encode"):
            return call.encode(outcomes)

    def compute(self, item: Item | RequestError) -> Outputs:
        """Do it all for one item, alone; raises what stands in its place."""
        if isinstance(item, RequestError):
            raise item
        return self.finish(self.infer([self.prepare(item)])[0])

    def run(self, parse: Parse, body: bytes) -> Answer:
        """Do it all for one request, one item at a time."""
        call = self.parse(parse, body)
        return self.encode(call, [self.compute(item) for item in call.items])


log = logging.getLogger("serving_core.dispatch")

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Work:
    """One accepted request: `due_s` and `arrived_s` are on the monotonic clock.

    `claim` makes room for that many more items than one; it raises RequestError 429.
    """

    parse: Parse
    body: bytes
    arrived_s: float
    due_s: float
    request_id: str
    abandoned: Callable[[], bool]
    claim: Callable[[int], None]


class Dropped(Exception):  # noqa: N818 - not an error: nobody waits for this answer any more
    """The client went away before its request was computed, so it was not."""


class Dispatcher(Protocol):
    """Answers one model's accepted work on the event loop that made it.

    `judges_deadlines` where it refuses by itself what cannot be in time, as it must where it does not answer
    first come, first served, and answers 504 at the deadline; else both are seen to for it.
    """

    judges_deadlines: bool

    async def answer(self, work: Work) -> Answer:
        """Return the encoded answer; raises RequestError, or Dropped for a client that is gone."""

    def alive(self) -> bool:
        """Tell whether work that is handed over will be answered."""

    def close(self) -> None:
        """Stop, once nothing is waiting."""


# The threads are the service's, shared by its models.
MakeDispatcher = Callable[[Pipeline, Settings, Workers], Dispatcher]


def check_wanted(work: Work) -> None:
    """Raise RequestError 504 or Dropped when computing this work would help nobody."""
    if work.abandoned():
        raise Dropped
    if monotonic() > work.due_s:
        raise expired()


def expired() -> RequestError:
    """Return the refusal of a request whose deadline passed."""
    return RequestError(504, "the deadline passed before the answer was there: allow more time")


def settled(work: Work, compute: Callable[[], Result]) -> Result | RequestError:
    """Return what `compute` does, or the error that stands in its place; raises Dropped.

    Any other exception is logged with the request's id and becomes a 500.
    """
    try:
        return compute()
    except RequestError as refusal:
        return refusal
    except Dropped:
        raise
    except Exception:
        log.exception("a request failed", extra={"request_id": work.request_id})
        return fault()


async def each(work: Work, call: Call, one: Callable[[Item], Awaitable[Outcome]]) -> list[Outcome]:
    """Return the outcomes of a call's several items, computed side by side; raises RequestError 429."""
    work.claim(len(call.items) - 1)
    asked = {at: one(item) for at, item in enumerate(call.items) if not isinstance(item, RequestError)}
    settled_items = dict(zip(asked, await asyncio.gather(*asked.values()), strict=True))
    return [
        item if isinstance(item, RequestError) else settled_items[at] for at, item in enumerate(call.items)
    ]


class Direct:
    """Each item is computed whole, one at a time, by one of as many threads as there are cores."""

    judges_deadlines = False

    def __init__(self, pipeline: Pipeline, settings: Settings, workers: Workers) -> None:
        del settings
        self._pipeline = pipeline
        self._workers = workers

    async def answer(self, work: Work) -> Answer:
        """Return the encoded answer; raises RequestError, or Dropped for a client that is gone."""
        done = await self._workers.submit(partial(self._begin, work))
        if isinstance(done, Answer):
            return done
        outcomes = await each(work, done, lambda item: self._workers.submit(partial(self._one, work, item)))
        return await self._workers.submit(partial(self._pipeline.encode, done, outcomes))

    def alive(self) -> bool:
        """Tell whether work is answered: these threads outlive any fault of a request."""
        return True

    def close(self) -> None:
        """Have nothing of its own to stop."""

    def _begin(self, work: Work) -> Answer | Call:
        """Answer a request of one item; of one with several, return the items."""
        self._pipeline.metrics.observe_stage("queue", monotonic() - work.arrived_s)
        check_wanted(work)  # before its body is taken apart
        call = self._pipeline.parse(work.parse, work.body)
        if len(call.items) > 1:
            return call
        outcome = settled(work, partial(self._pipeline.compute, call.items[0]))
        return self._pipeline.encode(call, [outcome])

    def _one(self, work: Work, item: Item) -> Outcome:
        check_wanted(work)
        return settled(work, partial(self._pipeline.compute, item))
