"""Handlers that break the contract, each in one way."""

import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from examples.mood.handler import Mood
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


class PlainNumbers(WindChill):
    """Breaks nothing: services send Python's numbers as well."""

    outputs = (
        TensorSpec("felt", "FP32"),
        TensorSpec("degrees", "FP16"),
        TensorSpec("rounded", "INT8"),
        TensorSpec("frost", "BOOL"),
    )

    def postprocess(self, result: np.float64) -> Outputs:
        felt = float(result)
        return {"felt": felt, "degrees": 1, "rounded": round(felt), "frost": felt < 0}


class PlainNumberForUnsigned(WindChill):
    outputs = (TensorSpec("felt", "UINT8"),)

    def postprocess(self, result: np.float64) -> Outputs:
        return {"felt": abs(int(result))}


class PlainExample(WindChill):
    inputs = (TensorSpec("weather", "FP32"),)

    def warm(self) -> None:
        """Compute nothing."""

    def example(self) -> Item:
        return {"weather": -10.0}


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


class WrongOrderOfTexts(Mood):
    def predict(self, batch: list[list[str]]) -> Sequence[float]:
        return [*super().predict(batch)][::-1]


class FirstTextForAll(Mood):
    def predict(self, batch: list[list[str]]) -> Sequence[float]:
        first = super().predict(batch)[0]
        return [first for _ in batch]


class Counted(WindChill):
    """Repeats the first of two counts, and by night 0: breaks nothing."""

    inputs = (TensorSpec("count", "INT8", (2,)), TensorSpec("night", "BOOL"))
    outputs = (TensorSpec("count", "INT32"),)

    def example(self) -> Item:
        return {"count": np.array([127, 0], np.int8), "night": np.array(False)}

    def preprocess(self, decoded: Any) -> Any:
        return 0 if decoded["night"] else 100_000 + int(decoded["count"][0])

    def predict(self, batch: list[Any]) -> Sequence[Any]:
        return batch

    def postprocess(self, result: Any) -> Outputs:
        return {"count": np.int32(result)}


class WrongOrderOfWholeNumbers(Counted):
    def predict(self, batch: list[Any]) -> Sequence[Any]:
        return batch[::-1]


class WrongOrderOfFlags(WrongOrderOfWholeNumbers):
    def preprocess(self, decoded: Any) -> Any:
        return int(decoded["night"])


class KnowsItsExampleOnly(Counted):
    def preprocess(self, decoded: Any) -> Any:
        return {127: 1}[int(decoded["count"][0])]


class AlwaysTheSame(WindChill):
    def predict(self, batch: list[Row]) -> Sequence[np.float64]:
        return [np.float64(1) for _ in batch]


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


class NoInputs(WindChill):
    inputs = ()


class NeverDeclared(Handler):
    """Declares neither inputs nor outputs."""

    def load(self, model: Model, context: Context) -> None:
        """Load nothing."""

    def example(self) -> Item:
        return {}

    def predict(self, batch: list[Any]) -> Sequence[Any]:
        return batch


class SizeForShape(WindChill):
    inputs = (TensorSpec("weather", "FP32", 2),)  # type: ignore[arg-type]  # the fault


class FailsToBegin(WindChill):
    def __init__(self) -> None:
        raise OSError("no memory\nfor it")


class ExitsInLoad(WindChill):
    def load(self, model: Model, context: Context) -> None:
        del model, context
        sys.exit(2)


class ExitsInWarm(WindChill):
    def warm(self) -> None:
        sys.exit("wind=//user:secret@host")


class Exits(WindChill):
    """Ends the process rather than answer, but in warming up."""

    def warm(self) -> None:
        """Compute nothing."""

    def predict(self, batch: list[Row]) -> Sequence[np.float64]:
        del batch
        sys.exit(2)


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
