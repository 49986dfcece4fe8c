"""A handler whose input is text; its output is how glad the words are on average, by a list."""

import json
from collections.abc import Sequence
from typing import Any

from serving_core.calls import Item, Outputs
from serving_core.errors import RequestError
from serving_core.handler import Context, Handler
from serving_core.models.store import Model
from serving_core.tensors import TensorSpec


class Mood(Handler):
    """Returns the mood of a text: the mean of its words on a scale from -1 to 1; most words count 0."""

    platform = "word_list"
    inputs = (TensorSpec("text", "BYTES", text=True),)
    outputs = (TensorSpec("gladness", "FP32"), TensorSpec("mood", "BYTES", text=True))

    def load(self, model: Model, context: Context) -> None:
        """Read how glad each word is; needs no engine."""
        del context
        self._gladness: dict[str, float] = json.loads(model.path.read_bytes())

    def example(self) -> Item:
        """Return a text in UTF-8, as in a request."""
        return {"text": b"What a lovely day"}

    def preprocess(self, decoded: Any) -> list[str]:
        """Return the words; raises RequestError 422 if there are none."""
        words: list[str] = decoded["text"].decode(errors="replace").lower().split()
        if not words:
            raise RequestError(422, "the text is empty: send some words")
        return words

    def predict(self, batch: list[list[str]]) -> Sequence[float]:
        """Return the mean of each text."""
        return [sum(self._gladness.get(word, 0.0) for word in words) / len(words) for words in batch]

    def postprocess(self, result: float) -> Outputs:
        """Return the mean, and a word for it."""
        return {"gladness": result, "mood": "glad" if result > 0 else "sad" if result < 0 else "neither"}
