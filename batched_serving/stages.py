"""The stages that an item passes in batched serving, each for a list of items at a time."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import Any

from serving_core.calls import Answer, Call, Item, Outcome
from serving_core.dispatch import Dropped, Pipeline, Work, check_wanted, settled
from serving_core.errors import RequestError

# What an item has become once it needs no stage any more: its request's answer, the items that its request
# turned out to hold, or, for one of several items, its outcome. An error stands for either; Dropped says that
# its client went away meanwhile.
Ended = Answer | Call | Outcome | Dropped


@dataclass(slots=True)
class Ask:
    """One item on its way; where `item` is None, a request that was not taken apart yet.

    What was done is kept, so that a batch that is split and tried again does only the rest again.
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
    """Prepares and computes lists of items of one model, whichever requests they are from."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline

    def prepare(self, asks: list[Ask], stage: str = "wait") -> list[Ended | None]:
        """Take requests apart and prepare their items; return what ends here, None for what is ready."""
        now = monotonic()
        for ask in asks:
            if not ask.ready and ask.ended is None:
                self._pipeline.metrics.observe_stage(stage, now - ask.since_s)
                ask.ended = self._guarded(ask, partial(self._prepare, ask))
        return [ask.ended for ask in asks]

    def infer(self, asks: list[Ask]) -> list[Ended]:
        """Compute prepared items together; raises what the model does."""
        now = monotonic()
        for ask in asks:
            if not ask.tried:
                self._pipeline.metrics.observe_stage("queue", now - ask.since_s)
            ask.tried = True
        return self._infer(asks)

    def whole(self, asks: list[Ask]) -> list[Ended]:
        """Prepare and compute in one go; raises what the model does."""
        self.prepare(asks, "queue")
        ready = [ask for ask in asks if ask.ready]
        results = iter(self._infer(ready) if ready else ())
        return [ask.ended if ask.ended is not None else next(results) for ask in asks]

    def closed(self, ask: Ask, outcome: Outcome) -> Ended:
        """Return what an item's outcome makes of its request, where that has no other item."""
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
            check_wanted(ask.work)  # those before it in its batch took their time
        except (Dropped, RequestError) as unwanted:
            return unwanted
        done = settled(ask.work, prepare)
        return self.closed(ask, done) if isinstance(done, RequestError) else done

    def _infer(self, asks: list[Ask]) -> list[Ended]:
        results = self._pipeline.infer([ask.value for ask in asks])
        return [
            self.closed(ask, settled(ask.work, partial(self._pipeline.finish, result)))
            for ask, result in zip(asks, results, strict=True)
        ]
