"""The OpenAPI document, of models of several kinds."""

from collections.abc import Mapping
from typing import Any

import jsonschema_rs
import numpy as np
import pytest

from serving_core.calls import Outputs, Signature
from serving_core.errors import RequestError
from serving_core.http.description import describe
from serving_core.tensors import BYTES, TensorSpec

LABELS = ("rain", "snow")


def ranked(outputs: Outputs, top_k: int | None) -> Mapping[str, Any]:
    scores = dict(zip(LABELS, outputs["scores"].tolist(), strict=True))
    if top_k is None:
        return {"prediction": "snow", "probabilities": scores}
    best = [{"class": label, "probability": score} for label, score in scores.items()]
    return {"prediction": "snow", "top_k": best[:top_k]}


def plain(outputs: Outputs, top_k: int | None) -> Outputs:
    if top_k is not None:
        raise RequestError(400, "this model ranks nothing: send no top_k")
    return outputs


def broken(*_: Any) -> Outputs:
    raise ZeroDivisionError("of zeros no mean can be had")


IMAGE = Signature(
    "weather", "1", "test", (TensorSpec("image", BYTES),), (TensorSpec("scores", "FP32", (2,)),), ranked, 4
)
PAIR = Signature(
    "pair",
    None,
    "test",
    (TensorSpec("who", BYTES, text=True), TensorSpec("grid", "INT8", (2, -1))),
    (TensorSpec("said", BYTES, text=True), TensorSpec("sum", "FP64", (-1,)), TensorSpec("n", "BOOL")),
    plain,
    4,
)
ODD = Signature("odd", None, "test", (TensorSpec("x", "FP32"),), (TensorSpec("y", "FP32"),), broken, 4)
DOCUMENT = describe("test serving", "1.0", [IMAGE, PAIR, ODD])


def accepts(schema: dict[str, Any], value: Any) -> bool:
    whole = {**schema, "components": DOCUMENT["components"]}
    return jsonschema_rs.Draft202012Validator(whole).is_valid(value)


def post(path: str) -> dict[str, Any]:
    operation: dict[str, Any] = DOCUMENT["paths"][path]["post"]
    return operation


def sent(path: str, kind: str = "application/json") -> dict[str, Any]:
    schema: dict[str, Any] = post(path)["requestBody"]["content"][kind]["schema"]
    return schema


def answered(path: str) -> dict[str, Any]:
    schema: dict[str, Any] = post(path)["responses"]["200"]["content"]["application/json"]["schema"]
    return schema


def references(node: Any) -> set[str]:
    if isinstance(node, list):
        return {name for inner in node for name in references(inner)}
    if not isinstance(node, dict):
        return set()
    own = {node["$ref"]} if "$ref" in node else set()
    return own | {name for inner in node.values() for name in references(inner)}


def test_every_route_is_there() -> None:
    assert DOCUMENT["paths"].keys() == {
        *("/", "/ping", "/api-description", "/metrics", "/predict", "/predict/"),
        *("/v2", "/v2/health/live", "/v2/health/ready"),
        *("/v2/models/{model}", "/v2/models/{model}/ready"),
        *("/v2/models/{model}/versions/{version}", "/v2/models/{model}/versions/{version}/ready"),
        *("/weather/predict", "/pair/predict", "/odd/predict"),
        *("/weather/predict/", "/pair/predict/", "/odd/predict/"),
        *("/v2/models/weather/infer", "/v2/models/pair/infer", "/v2/models/odd/infer"),
        "/v2/models/weather/versions/1/infer",
    }


def test_every_reference_leads_somewhere() -> None:
    names = {f"#/components/schemas/{name}" for name in DOCUMENT["components"]["schemas"]}
    assert references(DOCUMENT) == names


def test_before_a_model_is_ready_the_other_routes_are_described() -> None:
    document = describe("test serving", "1.0", [])
    assert document["paths"].keys() >= {"/", "/metrics", "/v2/health/ready"}
    assert not any("predict" in path or "infer" in path for path in document["paths"])


@pytest.mark.parametrize("path", ["/predict/", "/pair/predict", "/v2/models/weather/infer"])
def test_the_whole_table_of_errors_is_described(path: str) -> None:
    responses = post(path)["responses"]
    statuses = {"200", "400", "408", "413", "415", "422", "429", "500", "503", "504"}
    assert responses.keys() == statuses
    waits = {status for status in statuses if "Retry-After" in responses[status]["headers"]}
    assert waits == {"429", "503"}
    for status in statuses - {"200"}:
        assert responses[status]["content"] == {
            "application/json": {"schema": {"$ref": "#/components/schemas/Error"}}
        }


def test_each_model_has_the_types_that_it_takes() -> None:
    raw = {"application/octet-stream", "image/jpeg", "image/png", "image/webp", "multipart/form-data"}
    both = {"application/json", "application/msgpack"}
    assert post("/predict/")["requestBody"]["content"].keys() == both | raw
    assert post("/pair/predict")["requestBody"]["content"].keys() == both


def test_top_k_is_described_where_it_is_served() -> None:
    has = {
        path: [parameter["name"] for parameter in post(path)["parameters"]].count("top_k")
        for path in ("/predict", "/pair/predict", "/odd/predict")
    }
    assert has == {"/predict": 1, "/pair/predict": 0, "/odd/predict": 0}


def test_what_is_sent_is_described() -> None:
    assert accepts(sent("/predict/"), {"image": "YWJj"})
    assert accepts(sent("/predict/"), {"images": ["YWJj", "a bad one is an error in its own place"]})
    bad: list[Any] = [{"image": 7}, {"image": ""}, {"image": "YWJj", "more": 1}, {"images": []}, {}, []]
    for wrong in bad:
        assert not accepts(sent("/predict/"), wrong), wrong
    good = {"who": "me", "grid": [[1, 2], [3, 4]]}
    assert accepts(sent("/pair/predict"), good)
    assert accepts(sent("/pair/predict"), {"items": [good]})
    for grid in ([[1]], [[1], [128]], [[1], [1.5]], 3):
        assert not accepts(sent("/pair/predict"), {"who": "me", "grid": grid}), grid


def test_what_is_answered_is_described() -> None:
    outputs = {"scores": np.array([0.25, 0.75])}
    one, best = ranked(outputs, None), ranked(outputs, 2)
    for value in (one, best, [one, {"error": "no image"}], [best]):
        assert accepts(answered("/predict/"), value), value
    bad: list[Any] = [{"prediction": "snow"}, {"error": "no image"}, [], {**one, "more": 1}]
    for wrong in bad:
        assert not accepts(answered("/predict/"), wrong), wrong
    assert accepts(answered("/pair/predict"), {"said": "hi", "sum": [1.5, None], "n": True})
    assert not accepts(answered("/pair/predict"), {"said": "hi", "sum": 1.5, "n": True})
    assert accepts(answered("/odd/predict"), {"whatever": 1})


def test_tensors_are_described() -> None:
    schema = sent("/v2/models/pair/infer")
    who = {"name": "who", "shape": [1], "datatype": "BYTES", "data": ["me"]}
    grid = {"name": "grid", "shape": [1, 2, 3], "datatype": "INT8", "data": [1, 2, 3, 4, 5, 6]}
    assert accepts(schema, {"inputs": [who, grid], "id": "x", "outputs": [{"name": "sum"}]})
    assert accepts(schema, {"inputs": [{**who, "shape": [1, 1]}, {**grid, "data": [[[1, 2, 3], [4, 5, 6]]]}]})
    for wrong in (
        {"inputs": [who]},
        {"inputs": [who, {**grid, "shape": [1, 3, 2]}]},
        {"inputs": [who, {**grid, "shape": [5, 2, 2]}]},
        {"inputs": [who, {**grid, "datatype": "INT16"}]},
        {"inputs": [who, grid], "outputs": [{"name": "nothing"}]},
    ):
        assert not accepts(schema, wrong), wrong
