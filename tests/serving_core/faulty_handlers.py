"""Handlers that break the contract, each in one way."""

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from examples.windchill.handler import Row, WindChill
from serving_core.calls import Item, Outputs
from serving_core.errors import RequestError
from serving_core.handler import Context, Handler
from serving_core.models.store import Model
from serving_core.tensors import TensorSpec


class OneTooMany(WindChill):
    def predict(self, batch: list[Row]) -> Sequence[np.float64]:
        return [*super().predict(batch), np.float64(0)]


class WrongName(WindChill):
    def postprocess(self, result: np.float64) -> Outputs:
        return {"feels": np.float32(result)}


class WrongType(WindChill):
    def postprocess(self, result: np.float64) -> Outputs:
        return {"felt": np.int32(result)}


class PlainNumber(WindChill):
    def postprocess(self, result: np.float64) -> Outputs:
        return {"felt": float(result)}


class WrongShape(WindChill):
    def postprocess(self, result: np.float64) -> Outputs:
        return {"felt": np.array([result], np.float32)}


class NotFinite(WindChill):
    def postprocess(self, result: np.float64) -> Outputs:
        return {"felt": np.float32("nan") * result}


class OnlyOneAtATime(WindChill):
    def predict(self, batch: list[Row]) -> Sequence[np.float64]:
        if len(batch) > 1:
            raise MemoryError("only one at a time")
        return super().predict(batch)


class WrongOrder(WindChill):
    def predict(self, batch: list[Row]) -> Sequence[np.float64]:
        return sorted(super().predict(batch))


class KeepsTheItem(WindChill):
    """Answers with the weather that was last prepared, whosever it was."""

    def preprocess(self, decoded: Any) -> Row:
        self._last = super().preprocess(decoded)
        return self._last

    def predict(self, batch: list[Row]) -> Sequence[np.float64]:
        return super().predict([self._last for _ in batch])


class OneThreadOnly(WindChill):
    """Goes wrong only where a second thread is in `predict` at the same time."""

    def load(self, model: Model, context: Context) -> None:
        super().load(model, context)
        self._lock = threading.Lock()

    def predict(self, batch: list[Row]) -> Sequence[np.float64]:
        if not self._lock.acquire(blocking=False):
            raise RuntimeError("somebody else is here")
        try:
            threading.Event().wait(0.001)
            return super().predict(batch)
        finally:
            self._lock.release()


class WrongExample(WindChill):
    def example(self) -> Item:
        return {"weather": np.array([-10, 30, 5], np.float32)}


class RefusedExample(WindChill):
    def warm(self) -> None:
        """Compute nothing, so that the example is first seen by the checks."""

    def example(self) -> Item:
        return {"weather": np.array([-10, 3000], np.float32)}


class NoJson(WindChill):
    def answer(self, outputs: Outputs, top_k: int | None) -> Mapping[str, Any]:
        del outputs, top_k
        return {"felt": self}


class TopKFails(WindChill):
    def answer(self, outputs: Outputs, top_k: int | None) -> Mapping[str, Any]:
        if top_k is not None:
            raise RequestError(422, "no")
        return outputs


class NoOutputs(WindChill):
    outputs = ()


class TwiceTheSame(WindChill):
    outputs = (TensorSpec("felt", "FP32"), TensorSpec("felt", "FP32"))


class FailsToLoad(WindChill):
    def load(self, model: Model, context: Context) -> None:
        del context
        raise ZeroDivisionError(model.path.name)


class Unfinished(Handler):
    def load(self, model: Model, context: Context) -> None:
        """Load nothing."""


class WantsArguments(WindChill):
    def __init__(self, folder: Path) -> None:
        self.folder = folder


class NoHandler:
    """Has nothing of a handler."""
