"""Batched serving's dispatcher: items are prepared side by side in threads, then computed together."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import Any, TypeVar

from batched_serving.batcher import Batcher, Died, Expired, Full, Unwanted
from serving_core.calls import Answer, Call, Item, Outcome
from serving_core.dispatch import Dropped, Work, check_wanted, each, expired, settled
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


class Batched:
    """Prepares with as many threads as there are cores while the engine computes the batch before."""

    def __init__(self, pipeline: Pipeline, settings: Settings, workers: Workers, *, own_device: bool) -> None:
        self._pipeline = pipeline
        self._workers = workers
        self._engine = Workers(1, "engine", patience_s(settings))
        self._max_wait_s = settings.max_wait_ms / 1000
        self._gather_s = 0.0 if own_device else GATHER_S
        self._preparing = 0
        self._batcher: Batcher[Prepared, Outcome] = Batcher(
            self._compute,
            settings.max_batch,
            settings.queue_limit + settings.max_items,  # admission lets in as many, and refuses for all
            self._patience_s,
            wanted=lambda prepared: not prepared.work.abandoned(),
        )

    async def answer(self, work: Work) -> Answer:
        """Return the encoded answer; raises RequestError, or Dropped for a client that is gone."""
        call, first = await self._while_preparing(partial(self._begin, work))
        if first is not None:
            return self._pipeline.encode(call, [await self._in_a_batch(first)])
        outcomes = await each(work, call, partial(self._one, work))
        return await self._workers.submit(partial(self._pipeline.encode, call, outcomes))

    def alive(self) -> bool:
        """Tell whether batches are still computed."""
        return self._batcher.alive() and self._engine.alive()

    def close(self) -> None:
        """Stop, once nothing is waiting."""
        self._batcher.close()
        self._engine.close()

    def _patience_s(self) -> float:
        return max(self._max_wait_s, self._gather_s if self._preparing else 0.0)

    async def _while_preparing(self, prepare: Callable[[], Result]) -> Result:
        self._preparing += 1
        try:
            return await self._workers.submit(prepare)
        finally:
            self._preparing -= 1
            self._batcher.reconsider()

    def _begin(self, work: Work) -> tuple[Call, Prepared | RequestError | None]:
        """Take the request apart; where it has one item, prepare that too."""
        check_wanted(work)
        call = self._pipeline.parse(work.parse, work.body)
        if len(call.items) > 1:
            return call, None
        item = call.items[0]
        return call, item if isinstance(item, RequestError) else self._prepare(work, item)

    async def _one(self, work: Work, item: Item) -> Outcome:
        return await self._in_a_batch(await self._while_preparing(partial(self._prepare, work, item)))

    def _prepare(self, work: Work, item: Item) -> Prepared | RequestError:
        check_wanted(work)
        return settled(work, lambda: Prepared(work, self._pipeline.prepare(item), monotonic()))

    async def _in_a_batch(self, prepared: Prepared | RequestError) -> Outcome:
        """Return the item's outputs, or the error that stands in their place; raises Dropped."""
        if isinstance(prepared, RequestError):
            return prepared
        try:
            return await self._batcher.submit(prepared, prepared.work.due_s)
        except Expired:
            return expired()
        except Unwanted:
            raise Dropped from None
        except Full:
            return RequestError(429, "the queue is full: send again later", 1.0)
        except Died:
            return RequestError(500, "the batching task died and this service restarts: send again")
        except RequestError as refusal:
            return refusal
        except Exception:
            log.exception("a request failed", extra={"request_id": prepared.work.request_id})
            return fault()

    async def _compute(self, batch: list[Prepared]) -> list[Outcome]:
        return await self._engine.submit(partial(self._compute_now, batch))

    def _compute_now(self, batch: list[Prepared]) -> list[Outcome]:
        now = monotonic()
        for prepared in batch:
            self._pipeline.metrics.observe_stage("queue", now - prepared.ready_s)
        results = self._pipeline.infer([prepared.value for prepared in batch])
        return [
            settled(prepared.work, partial(self._pipeline.finish, result))
            for prepared, result in zip(batch, results, strict=True)
        ]
