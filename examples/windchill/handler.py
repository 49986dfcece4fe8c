"""A handler whose model is not an image classifier: the weather in, how cold it feels out."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ValidationError, model_validator

from serving_core.calls import Item, Outputs
from serving_core.errors import RequestError, StartError
from serving_core.handler import Context, Handler
from serving_core.models.store import Model
from serving_core.tensors import TensorSpec

Row = NDArray[np.float64]
Range = tuple[float, float]


class Coefficients(BaseModel):
    """The model's file: a coefficient for each feature, and the weather it was fitted to.

    A feature is `temperature ** i * log(wind) ** j`; `powers` has each one's i and j.
    """

    powers: list[tuple[int, int]]
    coefficients: list[float]
    temperature_c: Range
    wind_km_h: Range

    @model_validator(mode="after")
    def _one_for_each(self) -> "Coefficients":
        if len(self.powers) != len(self.coefficients):
            raise ValueError(f"{len(self.coefficients)} coefficients for {len(self.powers)} powers")
        return self


def features(weather: Row, powers: Sequence[tuple[int, int]]) -> Row:
    """Return float64 [n, features] of weather [n, 2]: temperature in °C and wind in km/h."""
    temperature, log_wind = weather[:, 0], np.log(weather[:, 1])
    return np.stack([temperature**i * log_wind**j for i, j in powers], axis=1)


class WindChill(Handler):
    """Tells how cold it feels, in °C."""

    inputs = (TensorSpec("weather", "FP32", (2,)),)
    outputs = (TensorSpec("felt", "FP32"),)

    def load(self, model: Model, context: Context) -> None:
        """Read the coefficients; raises StartError when the file has none. Needs no engine."""
        del context
        try:
            self._model = Coefficients.model_validate_json(model.path.read_bytes())
        except ValidationError as error:
            fault = error.errors()[0]
            where = ".".join(map(str, fault["loc"])) or "the file"
            raise StartError(
                f"{model.path.name} is not a wind-chill model ({where}: {fault['msg']}): train it again"
            ) from None
        self._coefficients = np.array(self._model.coefficients)

    def example(self) -> Item:
        """Return a winter's day."""
        return {"weather": np.array([-10, 30], np.float32)}

    def preprocess(self, decoded: Any) -> Row:
        """Return float64 [2]; raises RequestError 422 for weather that the model never saw."""
        weather: Row = decoded["weather"].astype(np.float64)
        model = self._model
        named = (("temperature in °C", model.temperature_c), ("wind in km/h", model.wind_km_h))
        for value, (what, (least, most)) in zip(weather.tolist(), named, strict=True):
            if not least <= value <= most:
                raise RequestError(422, f"the {what} is {value:g}: send one from {least:g} to {most:g}")
        return weather

    def predict(self, batch: list[Row]) -> Sequence[np.float64]:
        """Return float64 °C for each item's weather, all computed together."""
        return [*(features(np.stack(batch), self._model.powers) @ self._coefficients)]

    def postprocess(self, result: np.float64) -> Outputs:
        """Return it by its name."""
        return {"felt": np.float32(result)}
