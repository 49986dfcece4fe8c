"""The dispatcher of batched_serving: from accepted requests to batches of their items, and back."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import Any

from batched_serving.batching import Batcher, Died, Expired, Full, ItemGroup, Late, Policy, Unwanted
from serving_core.admission import too_late
from serving_core.calls import Answer, Call, Item, Outcome
from serving_core.dispatch import Dropped, Pipeline, Work, check_wanted, each, expired, settled
from serving_core.engine import Batching
from serving_core.errors import RequestError, fault
from serving_core.settings import Settings
from serving_core.workers import Workers, patience_s

# The end of an item that needs no further stage: the answer to its request, the parsed items of its request
# or, for one of several items, its outcome. RequestError stands for a failed one of these; Dropped says that
# the client went away meanwhile.
Ended = Answer | Call | Outcome | Dropped


@dataclass(slots=True)
class Ask:
    """One item on its way; if `item` is None, a request that was not parsed yet.

    It keeps the results of its stages, so that a batch that is split and tried again repeats none of them.
    """

    work: Work
    since_s: float
    item: Item | None = None
    call: Call | None = None
    value: Any = None
    ready: bool = False
    tried: bool = False
    ended: Ended | None = None


class Stages:
    """Prepares and computes lists of items of one model, from any requests."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline

    def prepare(self, asks: list[Ask], stage: str = "wait") -> list[Ended | None]:
        """Parse requests and prepare their items; return the end of each, None if it is ready to compute."""
        now = monotonic()
        for ask in asks:
            if not ask.ready and ask.ended is None:
                self._pipeline.metrics.observe_stage(stage, now - ask.since_s)
                ask.ended = self._guarded(ask, partial(self._prepare, ask))
        return [ask.ended for ask in asks]

    def prepare_one(self, ask: Ask) -> Ended | None:
        """Prepare one of several items of a request; return its end, None if it is ready to compute."""
        return self.prepare([ask])[0]

    def infer(self, asks: list[Ask]) -> list[Ended]:
        """Compute prepared items together; raises the model's exceptions."""
        self._note_wait(asks)
        return self._infer(asks)

    def whole(self, asks: list[Ask]) -> list[Ended]:
        """Compute items in one job, and prepare them unless they are ready; raises the model's exceptions."""
        self._note_wait(asks)
        self.prepare(asks, "queue")
        ready = [ask for ask in asks if ask.ready]
        results = iter(self._infer(ready) if ready else ())
        return [ask.ended if ask.ended is not None else next(results) for ask in asks]

    def _note_wait(self, asks: list[Ask]) -> None:
        """Record how long prepared items have waited to be computed."""
        now = monotonic()
        for ask in asks:
            if ask.ready and not ask.tried:
                self._pipeline.metrics.observe_stage("queue", now - ask.since_s)
            ask.tried = True

    def closed(self, ask: Ask, outcome: Outcome) -> Ended:
        """Return the answer if the request has only this item, or else the item's outcome."""
        if ask.call is None:
            return outcome
        call = ask.call
        return settled(ask.work, lambda: self._pipeline.encode(call, [outcome]))

    def _prepare(self, ask: Ask) -> Ended | None:
        item = ask.item
        if item is None:
            call = self._pipeline.parse(ask.work.parse, ask.work.body)
            if len(call.items) > 1:
                return call
            ask.call, first = call, call.items[0]
            if isinstance(first, RequestError):
                return self.closed(ask, first)
            item = first
        ask.value = self._pipeline.prepare(item)
        ask.ready, ask.since_s = True, monotonic()
        return None

    def _guarded(self, ask: Ask, prepare: Callable[[], Ended | None]) -> Ended | None:
        try:
            check_wanted(ask.work)  # the earlier items of its batch took time
            done = settled(ask.work, prepare)
        except (Dropped, RequestError) as unwanted:
            return unwanted
        return self.closed(ask, done) if isinstance(done, RequestError) else done

    def _infer(self, asks: list[Ask]) -> list[Ended]:
        results = self._pipeline.infer([ask.value for ask in asks])
        return [
            self.closed(ask, settled(ask.work, partial(self._pipeline.finish, result)))
            for ask, result in zip(asks, results, strict=True)
        ]


# How many items one job prepares for a separate device: each change of thread costs time, and so does waiting
# for the last of many items.
PREPARED_TOGETHER = 4

Stage = Callable[[list[Ask]], Awaitable[list[Ended | None]]]

log = logging.getLogger("batched_serving.dispatch")


class Batched:
    """Gathers items from several requests and computes them together.

    The items of one request take turns with other requests, both to be prepared and to be computed. So each
    is prepared in a job of its own, and others wait for one of them and not for a batch of them.

    On the processor a batch is one job of one thread, from the parsing of its requests to the encoding of
    their answers, and as many batches are in flight as there are cores: two stages on one core would only
    compete for the core and its caches. For a separate device, all cores prepare items while the device
    computes earlier batches. See docs/decisions/0005.
    """

    judges_deadlines = True

    def __init__(self, pipeline: Pipeline, settings: Settings, workers: Workers) -> None:
        batching = pipeline.handler.batching or Batching(settings.max_batch, settings.threads)
        self._pipeline = pipeline
        self._stages = Stages(pipeline)
        self._workers = workers
        size, wait_s = min(settings.max_batch, batching.size), settings.max_wait_ms / 1000
        cores = partial(self._batcher, settings, in_flight=settings.threads, spread=True)
        if batching.own_device:
            self._engine = Workers(batching.in_flight, "engine", patience_s(settings))
            self._preparing = cores(self._prepare, PREPARED_TOGETHER)
            pipeline.metrics.waiting["prepare"].set_function(self._preparing.waiting)
            self._computing = self._batcher(settings, self._infer, size, batching.in_flight, wait_s=wait_s)
        else:
            self._engine = workers
            self._preparing = self._computing = cores(self._whole, size, wait_s=wait_s)
        pipeline.metrics.waiting["infer"].set_function(self._computing.waiting)

    async def answer(self, work: Work) -> Answer:
        """Return the encoded answer; raises RequestError, or Dropped if the client is gone."""
        ask = Ask(work, work.arrived_s)
        ended = await self._ended(ask, self._preparing.submit(ask, work.due_s, len(work.body)))
        if isinstance(ended, Call):
            outcomes = await each(work, ended, partial(self._outcomes, work))
            _raise_if_all_refused(outcomes)
            # not on the workers' threads, where it would wait for whole batches
            return await asyncio.to_thread(self._pipeline.encode, ended, outcomes)
        if isinstance(ended, RequestError):
            raise ended
        assert isinstance(ended, Answer)  # noqa: S101 - a whole request ends with an Answer
        return ended

    def alive(self) -> bool:
        """Tell whether batches are still computed."""
        return self._preparing.alive() and self._computing.alive() and self._engine.alive()

    def close(self) -> None:
        """Stop; called when no work is waiting."""
        self._preparing.close()
        self._computing.close()
        if self._engine is not self._workers:
            self._engine.close()

    def _batcher(
        self,
        settings: Settings,
        run: Stage,
        max_batch: int,
        in_flight: int,
        *,
        spread: bool = False,
        wait_s: float = 0.0,
    ) -> Batcher[Ask, Ended | None]:
        policy = Policy(
            max_batch=max_batch,
            in_flight=in_flight,
            # the service's admission has the same limit, and refuses for all models
            max_items=settings.queue_limit + settings.max_items,
            max_bytes=settings.queue_bytes,
            max_wait_s=wait_s,
            spread=spread,
        )
        return Batcher(run, policy, wanted=lambda ask: not ask.work.abandoned()).start()

    async def _outcomes(self, work: Work, items: list[Item]) -> list[Outcome]:
        asks, group = [Ask(work, monotonic(), item) for item in items], ItemGroup()
        prepared = self._workers.take_turns([partial(self._stages.prepare_one, ask) for ask in asks])
        return await asyncio.gather(
            *(self._outcome(ask, one, group) for ask, one in zip(asks, prepared, strict=True))
        )

    async def _outcome(self, ask: Ask, prepared: asyncio.Future[Ended | None], group: ItemGroup) -> Outcome:
        ended = await self._ended(ask, _in_time(prepared, ask.work), group)
        assert not isinstance(ended, Answer | Call | Dropped)  # noqa: S101 - one of several items is not a request
        return ended

    async def _ended(
        self, ask: Ask, prepared: Awaitable[Ended | None], group: ItemGroup | None = None
    ) -> Ended:
        """Return the end of an item; raises Dropped."""
        try:
            ended = await prepared
            if ended is None:
                size_bytes = getattr(ask.value, "nbytes", 0)
                ended = await self._computing.submit(ask, ask.work.due_s, size_bytes, group)
            assert ended is not None  # noqa: S101 - the last stage ends every item
            if isinstance(ended, Dropped):
                raise ended
            return ended
        except (Unwanted, Dropped):
            raise Dropped from None
        except Expired:
            return expired()
        except Full as full:
            self._pipeline.metrics.dropped.labels("full").inc()
            return RequestError(429, "the queue is full: send again later", full.retry_after_s)
        except Late as late:
            self._pipeline.metrics.dropped.labels("late").inc()
            return too_late(late.retry_after_s)
        except Died:
            return RequestError(500, "the batcher died and this service restarts: send again")
        except RequestError as refusal:
            return self._stages.closed(ask, refusal)
        except Exception:
            log.exception("a request failed", extra={"request_id": ask.work.request_id})
            return self._stages.closed(ask, fault())

    async def _prepare(self, asks: list[Ask]) -> list[Ended | None]:
        return await self._workers.submit(partial(self._stages.prepare, asks))

    async def _infer(self, asks: list[Ask]) -> list[Ended | None]:
        return [*await self._engine.submit(partial(self._stages.infer, asks))]

    async def _whole(self, asks: list[Ask]) -> list[Ended | None]:
        return [*await self._workers.submit(partial(self._stages.whole, asks))]


async def _in_time(prepared: asyncio.Future[Ended | None], work: Work) -> Ended | None:
    """Return how an item's preparation ended; raises Expired at the deadline."""
    try:
        async with asyncio.timeout(work.due_s - monotonic()):
            return await prepared
    except TimeoutError:
        raise Expired("the deadline passed before it was prepared") from None


def _raise_if_all_refused(outcomes: list[Outcome]) -> None:
    """Refuse a request as a whole if each of its items was refused for lack of time or room."""
    refusals = [outcome for outcome in outcomes if isinstance(outcome, RequestError)]
    if len(refusals) == len(outcomes) and all(refusal.status in (429, 504) for refusal in refusals):
        raise refusals[0]
