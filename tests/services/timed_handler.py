"""A handler that doubles a number in a time that its tests know, and does as a number says."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from serving_core.calls import Item, Outputs
from serving_core.handler import Context, Handler
from serving_core.models.store import Model
from serving_core.tensors import TensorSpec

BASE_S, EACH_S = 0.05, 0.005
DECODE_S = 0.1
KILL = 666.0


class Timed(Handler):
    """Takes BASE_S and EACH_S an item; KILL ends what computes batches, as only a fault of ours could."""

    inputs = (TensorSpec("number", "FP64"),)
    outputs = (TensorSpec("double", "FP64"),)
    base_s, each_s = BASE_S, EACH_S

    def load(self, model: Model, context: Context) -> None:
        """Need nothing."""

    def example(self) -> Item:
        return {"number": np.float64(1)}

    def predict(self, batch: list[Any]) -> Sequence[Any]:
        time.sleep(self.base_s + self.each_s * len(batch))
        numbers = [float(item["number"]) for item in batch]
        if KILL in numbers:
            kill_lanes()
        return [2 * number for number in numbers]

    def postprocess(self, result: Any) -> Outputs:
        return {"double": np.float64(result)}


class Quick(Timed):
    """The same in next to no time."""

    base_s, each_s = 0.001, 0.0


class Heavy(Quick):
    """The same; numbers of 2 and more take long to decode."""

    def decode(self, item: Item) -> Any:
        if float(item["number"]) >= 2:
            time.sleep(DECODE_S)
        return item


def kill_lanes() -> None:
    for task in list(asyncio.tasks._all_tasks):  # type: ignore[attr-defined]  # there is no public way from another thread
        if task.get_name().startswith("batcher-"):
            task.get_loop().call_soon_threadsafe(task.cancel)
