"""The default handler of a model of tensors: any signature, as its manifest states it."""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving_core.calls import Item, Outputs
from serving_core.drawn import MOST_BYTES, SIZES, example_items, sizes_of
from serving_core.engine import Uncomputable
from serving_core.errors import RequestError, StartError
from serving_core.handler import Context, Handler
from serving_core.models.manifest import Batch, read_tensors
from serving_core.models.store import Model
from serving_core.network import Arrays, Network
from serving_core.tensors import BYTES, TensorSpec
from serving_core.workers import TURN_S

log = logging.getLogger("serving_core.tensor_model")

# how often the example is timed alone, and what a clock can tell
TIMED = 3
LEAST_S = 1e-6

# why a service computes the items of a model together or not, for its log
RULES: Mapping[Batch, str] = {
    "any": "together along the first axis, which varies",
    "one": "one by one: the first axis is 1 in the model's file",
    "none": "one by one: the model's tensors have no axis for a batch",
}


@dataclass(frozen=True, slots=True)
class ItemTensors:
    """One item's inputs as the engine takes them, each a batch of one where there is a batch's axis."""

    arrays: Arrays

    @property
    def nbytes(self) -> int:
        """The bytes that the item holds in the queue."""
        return sum(array.nbytes for array in self.arrays)

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """What must be equal for two items to be computed together."""
        return tuple(array.shape for array in self.arrays)


class TensorModel(Handler):
    """Passes tensors to the service's engine; items of equal shapes are computed together."""

    _together_bytes: float = 0

    def load(self, model: Model, context: Context) -> None:
        """Load the model into the engine; raises StartError if the model differs from its manifest."""
        stated = read_tensors(model.manifest)
        self._network = Network(
            stated.inputs, stated.outputs, stated.batch, stated.architecture, example=stated.example
        )
        self._engine = context.make_engine()
        self._engine.load(model.path, self._network, context.compute)
        self._file, self._most = model.path.name, context.compute.max_batch
        self.platform = self._engine.name
        self.inputs, self.outputs = stated.inputs, stated.outputs
        self.computes = RULES[stated.batch]
        self._example = next(example_items(self._network))

    def example(self) -> Item:
        """Return the manifest's example, or an item drawn from the signature; the same at each start."""
        return self._example

    def warm(self) -> None:
        """Compute an example of the first size that the model takes, then whatever else the engine wants.

        Raises StartError if the model computes no example, or if its outputs are not what the manifest says.
        """
        made = self._first_outputs()
        try:
            self._network.check_outputs(made, 1)
        except ValueError as error:
            raise StartError(f"{self._file}: {error}: publish the model and its manifest again") from None
        self._engine.warm([self.preprocess(self._example).arrays])
        self.batching = self._engine.batching
        super().warm()
        if self._network.batch == "any":
            in_a_turn = max(1, int(TURN_S / self._item_s()))
            self.together = min(self._most, in_a_turn)
            self._together_bytes = in_a_turn * max(1, _bytes_of(self._example))

    def parts(self, items: Sequence[Item]) -> Iterator[Sequence[Item]]:
        """Give the items in parts of at most `together`, and of no more bytes than are computed in a turn."""
        start = total = 0
        for place, item in enumerate(items):
            total += _bytes_of(item)
            if place > start and (place - start == self.together or total > self._together_bytes):
                yield items[start:place]
                start, total = place, _bytes_of(item)
        if items:
            yield items[start:]

    def _item_s(self) -> float:
        """Return the least seconds that the example takes alone."""
        inputs, took_s = self.preprocess(self._example).arrays, []
        for _ in range(TIMED):
            began_s = perf_counter()
            self._engine.predict(inputs)
            took_s.append(perf_counter() - began_s)
        return max(min(took_s), LEAST_S)

    def _first_outputs(self) -> Arrays:
        causes = []
        for item in example_items(self._network):
            self._example = item
            try:
                return self._engine.predict(self.preprocess(item).arrays)
            except Exception as error:  # noqa: BLE001 - whatever an engine raises, another size may compute
                causes.append(f"{type(error).__name__}: {' '.join(str(error).split())[:200]}")
        if len(sizes_of(self._network)) < len(SIZES) and any(-1 in spec.shape for spec in self.inputs):
            causes[0] += f"; larger sizes have more than {MOST_BYTES >> 20} MiB"
        raise StartError(
            f"{self._file} computes no input of its manifest's shapes ({causes[0]}): "
            "publish it again, with --example if its values have limits, "
            "or name a class of your own in HANDLER, whose example it computes"
        )

    def preprocess(self, decoded: Item) -> ItemTensors:
        """Return the engine's inputs; raises RequestError 422 if text is not UTF-8."""
        return ItemTensors([self._input(spec, decoded[spec.name]) for spec in self.inputs])

    def _input(self, spec: TensorSpec, value: Any) -> NDArray[Any]:
        array = _text(spec, value) if spec.datatype == BYTES else value
        return array if self._network.batch == "none" else array[np.newaxis]

    def predict(self, batch: list[ItemTensors]) -> Sequence[Arrays]:
        """Return the outputs of each item; raises ValueError if they are not what the manifest says."""
        if len(batch) == 1:
            return self._together(batch)
        if self._network.batch != "any":
            return [outputs for item in batch for outputs in self._together([item])]
        results: list[Arrays] = [()] * len(batch)
        for places in _alike(batch):
            made = self._together([batch[place] for place in places])
            for place, outputs in zip(places, made, strict=True):
                results[place] = outputs
        return results

    def _together(self, items: list[ItemTensors]) -> Sequence[Arrays]:
        """Compute items of equal shapes at once; raises RequestError 422 for one that cannot be computed."""
        if len(items) == 1:
            try:
                made = self._engine.predict(items[0].arrays)
            except Uncomputable as error:
                log.debug("not computable", extra={"cause": str(error)})
                raise RequestError(
                    422, "the model cannot compute this: send values in its range, in sizes that fit together"
                ) from None
        else:
            columns = zip(*(item.arrays for item in items), strict=True)
            made = self._engine.predict([np.concatenate(column) for column in columns])
        self._network.check_outputs(made, len(items))
        if self._network.batch == "none":
            return [made]
        return [[array[place] for array in made] for place in range(len(items))]

    def postprocess(self, result: Arrays) -> Outputs:
        """Return the outputs by name."""
        return {spec.name: _plain(spec, value) for spec, value in zip(self.outputs, result, strict=True)}


def _alike(batch: Sequence[ItemTensors]) -> Iterable[list[int]]:
    """Return the places of items that have equal shapes, in lists."""
    groups: dict[Any, list[int]] = {}
    for place, item in enumerate(batch):
        groups.setdefault(item.shapes, []).append(place)
    return groups.values()


def _bytes_of(item: Item) -> int:
    return sum(len(value) if isinstance(value, bytes) else value.nbytes for value in item.values())


def _text(spec: TensorSpec, value: bytes) -> NDArray[Any]:
    try:
        return np.array(value.decode(), object)
    except UnicodeDecodeError as error:
        raise RequestError(422, f"the {spec.name} is not UTF-8 ({error.reason}): send text") from None


def _plain(spec: TensorSpec, value: Any) -> Any:
    """Return a string alone, and numbers as they are."""
    return str(value) if spec.datatype == BYTES else value
