"""A handler whose model is not an image classifier: from the weather it computes how cold it feels."""

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
    """The model's file: a coefficient for each feature, and the range of the weather that it was fitted to.

    A feature is `temperature ** i * log(wind) ** j`; `powers` holds i and j of each feature.
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
    """Return the features, float64 [n, features], of weather [n, 2]: temperature in °C and wind in km/h."""
    temperature, log_wind = weather[:, 0], np.log(weather[:, 1])
    return np.stack([temperature**i * log_wind**j for i, j in powers], axis=1)


class WindChill(Handler):
    """Returns how cold it feels, in °C."""

    inputs = (TensorSpec("weather", "FP32", (2,)),)
    outputs = (TensorSpec("felt", "FP32"),)

    def load(self, model: Model, context: Context) -> None:
        """Read the coefficients; raises StartError if the file does not hold them. Needs no engine."""
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
        """Return the weather of a winter's day."""
        return {"weather": np.array([-10, 30], np.float32)}

    def preprocess(self, decoded: Any) -> Row:
        """Return the weather, float64 [2]; raises RequestError 422 for weather outside the fitted range."""
        weather: Row = decoded["weather"].astype(np.float64)
        model = self._model
        named = (("temperature in °C", model.temperature_c), ("wind in km/h", model.wind_km_h))
        for value, (what, (least, most)) in zip(weather.tolist(), named, strict=True):
            if not least <= value <= most:
                raise RequestError(422, f"the {what} is {value:g}: send {least:g} to {most:g} only")
        return weather

    def predict(self, batch: list[Row]) -> Sequence[np.float64]:
        """Return float64 °C for each item's weather, all computed together."""
        return [*(features(np.stack(batch), self._model.powers) @ self._coefficients)]

    def postprocess(self, result: np.float64) -> Outputs:
        """Return the result by the output's name."""
        return {"felt": np.float32(result)}
