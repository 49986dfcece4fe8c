"""From an accepted request to its answer: the stages, and how a serving strategy computes them."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from math import inf
from time import monotonic
from typing import Any, Protocol, TypeVar

from serving_core.calls import Answer, Call, Item, Outcome, Outputs, Parse
from serving_core.errors import RequestError, fault
from serving_core.handler import Handler
from serving_core.metrics import ModelMetrics
from serving_core.settings import Settings
from serving_core.wanted import working_for
from serving_core.workers import Workers


@dataclass(frozen=True, slots=True)
class Pipeline:
    """The stages of one model, each timed; `max_pixels` is the most pixels of several items together."""

    handler: Handler
    metrics: ModelMetrics
    max_pixels: float = inf

    def parse(self, parse: Parse, body: bytes) -> Call:
        """Parse the body and count the pixels of several items; raises RequestError, 413 for too many."""
        with self.metrics.stage("parse"):
            call = parse(body)
            if len(call.items) < 2:
                return call
            pixels = sum(
                self.handler.pixels(item) for item in call.items if not isinstance(item, RequestError)
            )
        if pixels > self.max_pixels:
            raise RequestError(
                413,
                f"the images have {pixels} pixels together: send at most {self.max_pixels} in one request",
            )
        return replace(call, pixels=pixels)

    def prepare(self, item: Item) -> Any:
        """Return one item's input for the model; raises RequestError 413 or 422."""
        with self.metrics.stage("decode"):
            decoded = self.handler.decode(item)
        with self.metrics.stage("transform"):
            return self.handler.preprocess(decoded)

    def infer(self, batch: list[Any]) -> Sequence[Any]:
        """Return one result for each prepared item, in order; raises ValueError if the number differs."""
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
        """Return the answer; raises RequestError if an outcome means that the whole request is refused."""
        with self.metrics.stage("encode"):
            return call.encode(outcomes)

    def compute(self, item: Item | RequestError) -> Outputs:
        """Compute one item alone, through all stages; raises RequestError, `item` itself if it is one."""
        if isinstance(item, RequestError):
            raise item
        return self.finish(self.infer([self.prepare(item)])[0])

    def run(self, parse: Parse, body: bytes) -> Answer:
        """Answer one request, one item at a time."""
        call = self.parse(parse, body)
        return self.encode(call, [self.compute(item) for item in call.items])


log = logging.getLogger("serving_core.dispatch")

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Work:
    """One accepted request; `due_s` and `arrived_s` are times of the monotonic clock.

    `claim` takes room in the queue for more places than the first; it raises RequestError 429.
    """

    parse: Parse
    body: bytes
    arrived_s: float
    due_s: float
    request_id: str
    abandoned: Callable[[], bool]
    claim: Callable[[int], None]


class Dropped(Exception):  # noqa: N818 - not an error: nobody waits for this answer any more
    """The client went away before its request was computed, so the request was not computed."""


class Dispatcher(Protocol):
    """Answers one model's accepted work, on the event loop that created the dispatcher.

    If `judges_deadlines`, the dispatcher itself refuses requests that cannot be answered in time and answers
    504 at a deadline; a dispatcher that answers in another order than that of arrival must do so. If not, the
    service does both for it.
    """

    judges_deadlines: bool

    async def answer(self, work: Work) -> Answer:
        """Return the encoded answer; raises RequestError, or Dropped if the client is gone."""

    def alive(self) -> bool:
        """Tell whether work will be answered from now on."""

    def close(self) -> None:
        """Stop; called when no work is waiting."""


# The threads are the service's, shared by its models.
MakeDispatcher = Callable[[Pipeline, Settings, Workers], Dispatcher]


def check_wanted(work: Work) -> None:
    """Raise RequestError 504 if the deadline has passed, or Dropped if the client is gone."""
    if work.abandoned():
        raise Dropped
    if monotonic() > work.due_s:
        raise expired()


def expired() -> RequestError:
    """Return the refusal of a request whose deadline has passed."""
    return RequestError(504, "the deadline passed before the answer was there: allow more time")


def settled(work: Work, compute: Callable[[], Result]) -> Result | RequestError:
    """Return the result of `compute`, or the RequestError that it raised; raises Dropped.

    Any other exception is logged with the request's id and becomes a 500.
    """
    try:
        with working_for(partial(check_wanted, work)):
            return compute()
    except RequestError as refusal:
        return refusal
    except Dropped:
        raise
    except Exception:
        log.exception("a request failed", extra={"request_id": work.request_id})
        return fault()


async def each(
    work: Work, call: Call, compute: Callable[[list[Item]], Awaitable[list[Outcome]]]
) -> list[Outcome]:
    """Return the outcomes of a call's items; `compute` returns those of readable items, in their order.

    Raises RequestError 429 if there is no room for so many.
    """
    work.claim(call.places - 1)
    computed = iter(await compute([item for item in call.items if not isinstance(item, RequestError)]))
    return [item if isinstance(item, RequestError) else next(computed) for item in call.items]


class Direct:
    """Computes each item from beginning to end on one thread; there are as many threads as cores.

    The items of one request take turns with other requests: one by one, or as many together as the model's
    handler says.
    """

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
        outcomes = await each(work, done, partial(self._outcomes, work))
        return await self._workers.submit(partial(self._pipeline.encode, done, outcomes))

    def alive(self) -> bool:
        """Tell whether work is answered; a failed request ends none of the threads."""
        return True

    def close(self) -> None:
        """Do nothing: the threads belong to the service."""

    def _begin(self, work: Work) -> Answer | Call:
        """Return the answer if the request has one item; return the parsed items if it has several."""
        self._pipeline.metrics.observe_stage("queue", monotonic() - work.arrived_s)
        check_wanted(work)  # before its body is parsed
        call = self._pipeline.parse(work.parse, work.body)
        if len(call.items) > 1:
            return call
        outcome = settled(work, partial(self._pipeline.compute, call.items[0]))
        return self._pipeline.encode(call, [outcome])

    async def _outcomes(self, work: Work, items: list[Item]) -> list[Outcome]:
        parts = list(self._pipeline.handler.parts(items))
        computed = self._workers.take_turns([partial(self._some, work, part) for part in parts])
        return [outcome for part in await asyncio.gather(*computed) for outcome in part]

    def _some(self, work: Work, items: Sequence[Item]) -> list[Outcome]:
        """Compute items together; each alone if there is only one, or if together they fail."""
        if len(items) > 1:
            check_wanted(work)
            prepared = [settled(work, partial(self._pipeline.prepare, item)) for item in items]
            ready = [value for value in prepared if not isinstance(value, RequestError)]
            with suppress(Exception):  # one of them may be what fails: alone it fails again, and is logged
                results = iter(self._pipeline.infer(ready) if ready else ())
                return [
                    value
                    if isinstance(value, RequestError)
                    else settled(work, partial(self._pipeline.finish, next(results)))
                    for value in prepared
                ]
        return [self._one(work, item) for item in items]

    def _one(self, work: Work, item: Item) -> Outcome:
        check_wanted(work)
        return settled(work, partial(self._pipeline.compute, item))
