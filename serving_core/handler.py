"""What is served: a model and the work around it. Name a class of your own in HANDLER to serve another."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from serving_core.calls import Item, Outputs
from serving_core.engine import Batching, Compute, Engine
from serving_core.errors import RequestError
from serving_core.models.store import Model
from serving_core.tensors import TensorSpec


@dataclass(frozen=True, slots=True)
class Context:
    """What a service has for its handlers: its engine, what may compute, the most pixels of an image."""

    make_engine: Callable[[], Engine]
    compute: Compute
    max_pixels: int

    @property
    def threads(self) -> int:
        """Threads of the processor that may compute."""
        return self.compute.threads


class Handler(ABC):
    """One model's way from an item to its outputs.

    An item passes `decode`, `preprocess`, `predict` (with others, where the strategy batches) and
    `postprocess`. All but `load` are called from several threads at once. Raise RequestError(422, ...) for an
    input that cannot be used; any other exception is answered with 500 and logged. `batching` says, once
    `warm` is done, how the model is best given work; None where that is not known.
    """

    platform: str = "python"
    batching: Batching | None = None
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]

    @abstractmethod
    def load(self, model: Model, context: Context) -> None:
        """Make ready to serve the verified file `model.path`; raises StartError when it is not such a model.

        Where `inputs` and `outputs` depend on the model, they are set here.
        """

    @abstractmethod
    def example(self) -> Item:
        """Return an item that this model can serve: what it is warmed and validated with."""

    def decode(self, item: Item) -> Any:
        """Return what `preprocess` is given: the item, unless its inputs are encoded."""
        return item

    def preprocess(self, decoded: Any) -> Any:
        """Return what `predict` is given of one item."""
        return decoded

    @abstractmethod
    def predict(self, batch: list[Any]) -> Sequence[Any]:
        """Return one result for each preprocessed item, in order."""

    def postprocess(self, result: Any) -> Outputs:
        """Return an item's outputs, by name: `result`, unless it must be given names or made readable."""
        outputs: Outputs = result
        return outputs

    def answer(self, outputs: Outputs, top_k: int | None) -> Mapping[str, Any]:
        """Return what /predict/ answers to one item; raises RequestError 400 for an idle `top_k`."""
        if top_k is not None:
            raise RequestError(400, "this model ranks nothing: send no top_k")
        return outputs

    def warm(self) -> None:
        """Compute what requests will, so that the first is as fast as any."""
        self.postprocess(self.predict([self.preprocess(self.decode(self.example()))])[0])
