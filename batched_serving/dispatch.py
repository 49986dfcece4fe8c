"""Batched serving's dispatcher: images are prepared side by side in threads, then computed together."""

from dataclasses import dataclass
from functools import partial
from time import monotonic

import numpy as np

from batched_serving.batcher import Batcher, Died, Expired, Full, Unwanted
from serving_core.dispatch import Dropped, Work, check_wanted, expired
from serving_core.engine import Pixels
from serving_core.errors import RequestError
from serving_core.pipeline import Pipeline
from serving_core.settings import Settings
from serving_core.workers import Workers

# On a CPU the engine is not idle while images are being decoded: they need the same cores. Whatever is
# computed meanwhile in a smaller batch costs more in all, so a batch fills first, its oldest item waiting at
# most this long.
GATHER_S = 0.1


@dataclass(frozen=True, slots=True)
class Prepared:
    """One request's input, uint8 [1, crop, crop, 3], on its way to the engine."""

    work: Work
    pixels: Pixels
    ready_s: float


class Batched:
    """Decodes with as many threads as there are cores while the engine computes the batch before."""

    def __init__(self, pipeline: Pipeline, settings: Settings, *, own_device: bool) -> None:
        self._pipeline = pipeline
        self._decoders = Workers(settings.threads, "decoder")
        self._engine = Workers(1, "engine")
        self._max_wait_s = settings.max_wait_ms / 1000
        self._gather_s = 0.0 if own_device else GATHER_S
        self._preparing = 0
        self._batcher: Batcher[Prepared, bytes] = Batcher(
            self._compute,
            settings.max_batch,
            settings.queue_limit,
            self._patience_s,
            wanted=lambda prepared: not prepared.work.abandoned(),
        )

    async def answer(self, work: Work) -> bytes:
        """Return the encoded answer; raises RequestError, or Dropped for a client that is gone."""
        self._preparing += 1
        try:
            prepared = await self._decoders.submit(partial(self._prepare, work))
        finally:
            self._preparing -= 1
            self._batcher.reconsider()
        try:
            return await self._batcher.submit(prepared, work.due_s)
        except Expired:
            raise expired() from None
        except Unwanted:
            raise Dropped from None
        except Full:
            raise RequestError(429, "the queue is full: send again later", 1.0) from None
        except Died:
            raise RequestError(500, "the batching task died and this service restarts: send again") from None

    def alive(self) -> bool:
        """Tell whether batches are still computed."""
        return self._batcher.alive()

    def close(self) -> None:
        """Stop, once nothing is waiting."""
        self._batcher.close()
        self._decoders.close()
        self._engine.close()

    def _patience_s(self) -> float:
        return max(self._max_wait_s, self._gather_s if self._preparing else 0.0)

    def _prepare(self, work: Work) -> Prepared:
        check_wanted(work)
        return Prepared(work, self._pipeline.prepare(work.content_type, work.body), monotonic())

    async def _compute(self, batch: list[Prepared]) -> list[bytes]:
        return await self._engine.submit(partial(self._compute_now, batch))

    def _compute_now(self, batch: list[Prepared]) -> list[bytes]:
        now = monotonic()
        for prepared in batch:
            self._pipeline.metrics.observe_stage("queue", now - prepared.ready_s)
        logits = self._pipeline.infer(np.concatenate([prepared.pixels for prepared in batch]))
        return [self._pipeline.encode(row) for row in logits]
