"""A model that greets: text and a number in, text out, so that not only images are held to the contract."""

from typing import Any

import numpy as np

from serving_core.calls import Item
from serving_core.handler import Context, Handler
from serving_core.models.store import Model
from serving_core.tensors import BYTES, TensorSpec


class Greeting(Handler):
    """Says the word that its file holds to somebody, so many times; fewer than none is a fault."""

    inputs = (TensorSpec("name", BYTES, text=True), TensorSpec("times", "INT32"))
    outputs = (TensorSpec("greeting", BYTES, text=True), TensorSpec("length", "FP32"))

    def load(self, model: Model, context: Context) -> None:
        """Read the word."""
        del context
        self._word = model.path.read_text(encoding="utf-8")

    def example(self) -> Item:
        """Greet the world, once."""
        return {"name": b"world", "times": np.array(1, np.int32)}

    def predict(self, batch: list[Any]) -> list[Any]:
        """Greet everybody in the batch."""
        if any(item["times"] < 0 for item in batch):
            raise ValueError("nobody foresaw this")
        said = [" ".join([self._word] * int(item["times"]) + [item["name"].decode()]) for item in batch]
        return [{"greeting": text, "length": np.float32(len(text))} for text in said]
