"""One request's work, the same in the server and in the in-process loop: body to items to answer."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from serving_core.calls import Answer, Call, Item, Outcome, Outputs, Parse
from serving_core.errors import RequestError
from serving_core.handler import Handler
from serving_core.metrics import ModelMetrics


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
