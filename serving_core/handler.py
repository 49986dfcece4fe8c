"""A handler: a model and the work around it. To serve another model, name a class of your own in HANDLER."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from serving_core.calls import Item, Outputs
from serving_core.decoding.memory import DecodingMemory
from serving_core.engine import Batching, Compute, Engine
from serving_core.errors import RequestError
from serving_core.models.store import Model
from serving_core.preparation.preparer import Preparer
from serving_core.tensors import TensorSpec


@dataclass(frozen=True, slots=True)
class Context:
    """What a service gives to its handlers: its engine, what may compute, and the limits of images.

    `max_pixels` is the most pixels of an image; `memory` is what all threads decode in, None if unbounded;
    `pixels` says who prepares images for the engine.
    """

    make_engine: Callable[[], Engine]
    compute: Compute
    max_pixels: int
    memory: DecodingMemory | None = None
    pixels: Preparer = "graph"

    @property
    def threads(self) -> int:
        """The number of the processor's threads that may compute."""
        return self.compute.threads


class Handler(ABC):
    """One model's way from an item to its outputs.

    An item passes through `decode`, `preprocess`, `predict` (with other items if the strategy batches) and
    `postprocess`. All methods but `load` are called from several threads at once. Raise
    RequestError(422, ...) for an input that cannot be used; any other exception is answered with 500 and
    logged. Once `warm` is done, `batching` says how the model computes work fastest; None if that is not
    known. `computes` says in words, for the log, whether items are computed together. `together` is the most
    items of one request that a service computes together if it does not batch across requests; known once
    warm.
    """

    platform: str = "python"
    computes: str | None = None
    together: int = 1
    batching: Batching | None = None
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]

    @abstractmethod
    def load(self, model: Model, context: Context) -> None:
        """Load the verified file `model.path`; raises StartError if this handler cannot serve that model.

        If `inputs` and `outputs` depend on the model, set them here.
        """

    @abstractmethod
    def example(self) -> Item:
        """Return an item that this model can serve; warm-up and validation use it."""

    def pixels(self, item: Item) -> int:
        """Return how many pixels `decode` makes of the item, without decoding it: 0 unless it is an image."""
        del item
        return 0

    def decode(self, item: Item) -> Any:
        """Return the argument of `preprocess`: the item itself, unless its inputs are encoded."""
        return item

    def preprocess(self, decoded: Any) -> Any:
        """Return one item's part of the argument of `predict`."""
        return decoded

    @abstractmethod
    def predict(self, batch: list[Any]) -> Sequence[Any]:
        """Return one result for each preprocessed item, in order."""

    def postprocess(self, result: Any) -> Outputs:
        """Return an item's outputs by name: `result` itself, unless it lacks names or is not readable."""
        outputs: Outputs = result
        return outputs

    def answer(self, outputs: Outputs, top_k: int | None) -> Mapping[str, Any]:
        """Return /predict/'s answer to one item; raises RequestError 400 if `top_k` has no meaning here."""
        if top_k is not None:
            raise RequestError(400, "this model ranks nothing: send no top_k")
        return outputs

    def parts(self, items: Sequence[Item]) -> Iterator[Sequence[Item]]:
        """Give the items of one request, in order, in the parts that are computed together."""
        for start in range(0, len(items), self.together):
            yield items[start : start + self.together]

    def warm(self) -> None:
        """Compute what requests will compute, so that the first request is as fast as any."""
        self.postprocess(self.predict([self.preprocess(self.decode(self.example()))])[0])
