"""Which model a path asks, and in which way."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Target:
    """A path that predicts: `route` is its template, `model` None for the first, `oip` the protocol's way."""

    route: str
    model: str | None = None
    version: str | None = None
    oip: bool = False


PREDICT = Target("/predict/")
MODEL_PREDICT = "/{model}/predict"
INFER = "/v2/models/{model}/infer"
VERSION_INFER = "/v2/models/{model}/versions/{version}/infer"
# for the routes' own table, which tells a wrong method from a wrong path
TEMPLATES = ("/predict", "/predict/", MODEL_PREDICT, MODEL_PREDICT + "/", INFER, VERSION_INFER)


def match(path: str) -> Target | None:
    """Return what a POST to `path` asks for, None where it is no prediction."""
    if path in {"/predict/", "/predict"}:
        return PREDICT
    match path.split("/"):
        case ["", model, "predict"] | ["", model, "predict", ""] if model:
            return Target(MODEL_PREDICT, model)
        case ["", "v2", "models", model, "infer"] if model:
            return Target(INFER, model, oip=True)
        case ["", "v2", "models", model, "versions", version, "infer"] if model and version:
            return Target(VERSION_INFER, model, version, oip=True)
    return None
