"""Batched serving's dispatcher: items are prepared side by side in threads, then computed together."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import Any, TypeVar

from batched_serving.batching import Batcher, Died, Expired, Full, Late, Policy, Unwanted
from serving_core.admission import too_late
from serving_core.calls import Answer, Call, Item, Outcome
from serving_core.dispatch import Dropped, Work, check_wanted, each, expired, settled
from serving_core.engine import Batching
from serving_core.errors import RequestError, fault
from serving_core.pipeline import Pipeline
from serving_core.settings import Settings
from serving_core.workers import Workers, patience_s

# On a CPU the engine is not idle while images are being decoded: they need the same cores. Whatever is
# computed meanwhile in a smaller batch costs more in all, so a batch fills first, its oldest item waiting at
# most this long.
GATHER_S = 0.1

Result = TypeVar("Result")

log = logging.getLogger("batched_serving.dispatch")


@dataclass(frozen=True, slots=True)
class Prepared:
    """One item as the engine takes it, on its way there."""

    work: Work
    value: Any
    ready_s: float


def policy_of(settings: Settings, batching: Batching | None) -> Policy:
    """Return the rules for a model that says how it is best given work, or does not."""
    known = batching or Batching(size=settings.max_batch, in_flight=settings.threads)
    return Policy(
        max_batch=min(settings.max_batch, known.size),
        in_flight=known.in_flight,
        # admission lets in as many, and refuses for all
        max_items=settings.queue_limit + settings.max_items,
        max_bytes=settings.queue_bytes,
        max_wait_s=settings.max_wait_ms / 1000,
        gather_s=0.0 if known.own_device else GATHER_S,
        spread=not known.own_device,
    )


class Batched:
    """Prepares with as many threads as there are cores while the engine computes the batch before.

    A request that is alone in the service is computed whole by one thread: there is nobody to share a batch
    with, and each change of thread would only delay it.
    """

    def __init__(self, pipeline: Pipeline, settings: Settings, workers: Workers) -> None:
        batching = pipeline.handler.batching
        policy = policy_of(settings, batching)
        self._pipeline = pipeline
        self._workers = workers
        # On the processor one set of threads prepares and computes: two would take its cores from one another
        # in the midst of their work, and with them what its caches hold.
        own_device = batching is not None and batching.own_device
        self._engine = Workers(policy.in_flight, "engine", patience_s(settings)) if own_device else workers
        self._in_hand = 0
        self._preparing = 0
        self._batcher: Batcher[Prepared, Outcome] = Batcher(
            self._compute, policy, wanted=lambda prepared: not prepared.work.abandoned()
        ).start()
        waiting = pipeline.metrics.waiting
        waiting["prepare"].set_function(lambda: self._preparing)
        waiting["infer"].set_function(self._batcher.waiting)

    async def answer(self, work: Work) -> Answer:
        """Return the encoded answer; raises RequestError, or Dropped for a client that is gone."""
        self._in_hand += 1
        try:
            if self._in_hand == 1:
                done = await self._workers.submit(partial(self._alone, work))
                return done if isinstance(done, Answer) else await self._several(work, done)
            with self._batcher.coming():
                call, first = await self._prepared(partial(self._begin, work))
            if first is None:
                return await self._several(work, call)
            return self._pipeline.encode(call, [await self._in_a_batch(first)])
        finally:
            self._in_hand -= 1

    def alive(self) -> bool:
        """Tell whether batches are still computed."""
        return self._batcher.alive() and self._engine.alive()

    def close(self) -> None:
        """Stop, once nothing is waiting."""
        self._batcher.close()
        if self._engine is not self._workers:
            self._engine.close()

    def _alone(self, work: Work) -> Answer | Call:
        """Answer a request of one item; of one with several, return the items."""
        self._pipeline.metrics.observe_stage("queue", monotonic() - work.arrived_s)
        check_wanted(work)
        call = self._pipeline.parse(work.parse, work.body)
        if len(call.items) > 1:
            return call
        return self._pipeline.encode(call, [settled(work, partial(self._pipeline.compute, call.items[0]))])

    async def _several(self, work: Work, call: Call) -> Answer:
        outcomes = await each(work, call, partial(self._one, work))
        return await self._workers.submit(partial(self._pipeline.encode, call, outcomes))

    async def _one(self, work: Work, item: Item) -> Outcome:
        with self._batcher.coming():
            prepared = await self._prepared(partial(self._prepare, work, item))
        return await self._in_a_batch(prepared)

    async def _prepared(self, prepare: Callable[[], Result]) -> Result:
        self._preparing += 1
        asked_s = monotonic()

        def timed() -> Result:
            self._pipeline.metrics.observe_stage("wait", monotonic() - asked_s)
            return prepare()

        try:
            return await self._workers.submit(timed)
        finally:
            self._preparing -= 1

    def _begin(self, work: Work) -> tuple[Call, Prepared | RequestError | None]:
        """Take the request apart; where it has one item, prepare that too."""
        check_wanted(work)
        call = self._pipeline.parse(work.parse, work.body)
        if len(call.items) > 1:
            return call, None
        item = call.items[0]
        return call, item if isinstance(item, RequestError) else self._prepare(work, item)

    def _prepare(self, work: Work, item: Item) -> Prepared | RequestError:
        check_wanted(work)
        return settled(work, lambda: Prepared(work, self._pipeline.prepare(item), monotonic()))

    async def _in_a_batch(self, prepared: Prepared | RequestError) -> Outcome:
        """Return the item's outputs, or the error that stands in their place; raises Dropped."""
        if isinstance(prepared, RequestError):
            return prepared
        try:
            size_bytes = getattr(prepared.value, "nbytes", 0)
            return await self._batcher.submit(prepared, prepared.work.due_s, size_bytes)
        except Expired:
            return expired()
        except Unwanted:
            raise Dropped from None
        except Full as full:
            self._pipeline.metrics.dropped.labels("full").inc()
            return RequestError(429, "the queue is full: send again later", full.retry_after_s)
        except Late as late:
            self._pipeline.metrics.dropped.labels("late").inc()
            return too_late(late.retry_after_s)
        except Died:
            return RequestError(500, "the batching task died and this service restarts: send again")
        except RequestError as refusal:
            return refusal
        except Exception:
            log.exception("a request failed", extra={"request_id": prepared.work.request_id})
            return fault()

    async def _compute(self, batch: list[Prepared]) -> list[Outcome]:
        return await self._engine.submit(partial(self._compute_now, batch), urgent=True)

    def _compute_now(self, batch: list[Prepared]) -> list[Outcome]:
        now = monotonic()
        for prepared in batch:
            self._pipeline.metrics.observe_stage("queue", now - prepared.ready_s)
        results = self._pipeline.infer([prepared.value for prepared in batch])
        return [
            settled(prepared.work, partial(self._pipeline.finish, result))
            for prepared, result in zip(batch, results, strict=True)
        ]
