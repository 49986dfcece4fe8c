"""Several models in one service, an image classifier twice and two of another kind by their handlers."""

import hashlib
import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.contract.codecs import numpy_input, numpy_output, string_input, string_output
from tests.contract.encodings import ENCODINGS
from tests.contract.refusals import check_refusal
from tests.running.processes import SERVICES
from tests.running.rust import RUST

ROOT = Path(__file__).parents[2]
WINDCHILL = ROOT / "examples" / "windchill" / "model"
NAMES = ("weather", "again", "chill", "greeting")


def greeting_model(folder: Path) -> Path:
    """Write a model that has no version."""
    content = b"hello"
    digest = hashlib.sha256(content).hexdigest()
    manifest = {"name": "greeting", "files": {"word.txt": {"bytes": len(content), "sha256": digest}}}
    (folder / "word.txt").write_bytes(content)
    (folder / "model.json").write_text(json.dumps(manifest), encoding="utf-8")
    return folder / "word.txt"


@pytest.fixture(scope="session", params=[*SERVICES, RUST])
def several(
    request: pytest.FixtureRequest,
    launch: Callable[..., Any],
    environment: Callable[[str], dict[str, str]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Any:
    """One process of each strategy that serves four models."""
    given = environment(request.param)
    variable = next(name for name in given if name.endswith("_MODEL_URI"))
    weather = given[variable]
    (coefficients,) = (file for file in WINDCHILL.iterdir() if file.name != "model.json")
    greeting = greeting_model(tmp_path_factory.mktemp("greeting"))
    uris = (weather, weather, f"file://{coefficients}", f"file://{greeting}")
    handlers = "chill=examples.windchill.handler:WindChill,greeting=tests.contract.greeting:Greeting"
    models = ",".join(f"{name}={uri}" for name, uri in zip(NAMES, uris, strict=True))
    service = launch(request.param, **{**given, variable: models, "HANDLER": handlers})
    service.wait_until_ready()
    return service


def infer(service: Any, model: str, *inputs: dict[str, Any], **more: Any) -> Any:
    body = json.dumps({"inputs": inputs, **more}).encode()
    return service.post(body, "application/json", f"/v2/models/{model}/infer")


def values(answer: Any) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    return {output["name"]: output["data"] for output in answer.json()["outputs"]}


@pytest.mark.parametrize("model", NAMES)
def test_each_model_is_described_and_ready_by_its_name(several: Any, model: str) -> None:
    described = several.get(f"/v2/models/{model}").json()
    assert described["name"] == model
    assert several.get(f"/v2/models/{model}/ready").status_code == 200


def test_a_model_that_is_not_there_is_refused_with_those_that_are(several: Any, jpeg: bytes) -> None:
    for path in ("/nobody/predict", "/v2/models/nobody/infer"):
        message = check_refusal(several.post(jpeg, path=path), 404)
        assert all(name in message for name in NAMES)
    for path in ("/v2/models/nobody", "/v2/models/nobody/ready"):
        check_refusal(several.get(path), 404)


def test_the_first_model_answers_where_none_is_named(several: Any, jpeg: bytes) -> None:
    answers = [
        several.post(jpeg, path=path).json() for path in ("/predict/", "/weather/predict", "/again/predict")
    ]
    assert answers[0]["prediction"] == answers[1]["prediction"] == answers[2]["prediction"]


def test_each_model_is_counted_by_its_name(several: Any, jpeg: bytes) -> None:
    several.post(jpeg, path="/again/predict")
    answer = several.post(b'{"name": "you", "times": 1}', "application/json", "/greeting/predict")
    assert answer.status_code == 200, answer.text
    rows = several.get("/metrics").text.splitlines()
    for model in ("again", "greeting"):
        ours = [row for row in rows if f'model="{model}"' in row]
        assert any(row.startswith("request_duration_seconds_count{") for row in ours)
        assert any(row.startswith("stage_duration_seconds_count{") and 'stage="infer"' in row for row in ours)
        assert any(row.startswith("batch_size_count{") for row in ours)
    assert {row.split('name="')[1].split('"')[0] for row in rows if row.startswith("model_info{")} == {*NAMES}


def test_a_model_without_a_version_has_none_in_path_metadata_and_answer(several: Any) -> None:
    assert not several.get("/v2/models/greeting").json().get("versions")
    found = infer(several, "greeting", text("you"), whole(1)).json()
    assert found["model_name"] == "greeting"
    assert "model_version" not in found
    for path in ("/v2/models/greeting/versions/1", "/v2/models/greeting/versions/1/ready"):
        check_refusal(several.get(path), 404)


def text(*names: str) -> dict[str, Any]:
    return {"name": "name", "shape": [len(names)], "datatype": "BYTES", "data": [*names]}


def whole(*numbers: int) -> dict[str, Any]:
    return {"name": "times", "shape": [len(numbers)], "datatype": "INT32", "data": [*numbers]}


def test_text_and_numbers_are_inputs_like_any(several: Any) -> None:
    found = values(infer(several, "greeting", text("you", "wörld"), whole(1, 2)))
    assert found == {"greeting": ["hello you", "hello hello wörld"], "length": [9.0, 17.0]}
    one = several.post(b'{"name": "you", "times": 2}', "application/json", "/greeting/predict").json()
    assert one == {"greeting": "hello hello you", "length": 15.0}
    items = b'{"items": [{"name": "you", "times": 1}, {"name": "you"}, {"name": "all", "times": 2}]}'
    places = several.post(items, "application/json", "/greeting/predict").json()
    assert [place.get("greeting") for place in places] == ["hello you", None, "hello hello all"]
    assert places[1].keys() == {"error"}


def test_text_and_numbers_travel_in_binary_too(several: Any) -> None:
    name, times = struct.pack("<I", 3) + b"you", struct.pack("<i", 2)
    inputs = [
        {"name": "name", "shape": [1], "datatype": "BYTES", "parameters": {"binary_data_size": len(name)}},
        {"name": "times", "shape": [1], "datatype": "INT32", "parameters": {"binary_data_size": len(times)}},
    ]
    header = json.dumps({"inputs": inputs}).encode()
    answer = several.post(
        header + name + times,
        None,
        "/v2/models/greeting/infer",
        Inference_Header_Content_Length=str(len(header)),
    )
    assert values(answer)["greeting"] == ["hello hello you"]


@pytest.mark.parametrize(
    "inputs",
    [
        (text("you"),),
        (text("you"), whole(1, 2)),
        (text("you"), {**whole(1), "data": [1.5]}),
        (text("you"), {**whole(1), "data": ["1"]}),
        (text("you"), {**whole(1), "data": [True]}),
        (text("you"), {**whole(1), "data": [1 << 31]}),
        (text("you"), {**whole(1), "data": [None]}),
        (text("you"), {**whole(1), "datatype": "INT64"}),
        (text("you"), {**whole(1), "shape": [1, 2], "data": [1, 2]}),
    ],
)
def test_wrong_numbers_are_refused_and_never_wrapped_or_rounded(several: Any, inputs: Any) -> None:
    check_refusal(infer(several, "greeting", *inputs), 400)


def test_a_regression_is_served_like_a_classifier(several: Any) -> None:
    weather = {"name": "weather", "shape": [2, 2], "datatype": "FP32", "data": [[-10.0, 30.0], [5.0, 10.0]]}
    felt = values(infer(several, "chill", weather))["felt"]
    assert len(felt) == 2
    assert felt[0] < -10, "wind makes it feel colder"
    one = several.post(b'{"weather": [-10, 30]}', "application/json", "/chill/predict").json()
    assert one["felt"] == pytest.approx(felt[0], abs=1e-4)


def test_a_fault_of_ours_is_500_and_says_nothing_of_the_inside(several: Any) -> None:
    refused = several.post(b'{"name": "you", "times": -1}', "application/json", "/greeting/predict")
    assert "foresaw" not in check_refusal(refused, 500)
    check_refusal(infer(several, "greeting", text("you", "all"), whole(1, -1)), 500)
    items = b'{"items": [{"name": "you", "times": 1}, {"name": "you", "times": -1}]}'
    places = several.post(items, "application/json", "/greeting/predict").json()
    assert places[0]["greeting"] == "hello you"
    assert places[1].keys() == {"error"}
    assert several.get("/v2/health/live").status_code == 200


def test_what_one_model_ranks_another_does_not(several: Any, jpeg: bytes) -> None:
    assert len(several.post(jpeg, path="/again/predict?top_k=2").json()["top_k"]) == 2
    refused = several.post(b'{"name": "you", "times": 1}', "application/json", "/greeting/predict?top_k=2")
    check_refusal(refused, 400)


def test_an_image_is_refused_where_none_is_asked_for(several: Any, jpeg: bytes) -> None:
    check_refusal(several.post(jpeg, path="/chill/predict"), 415)
    raw = ENCODINGS["oip raw"].request([jpeg])
    refused = several.post(
        raw.body,
        raw.headers["Content-Type"],
        "/v2/models/greeting/infer",
        Inference_Header_Content_Length="0",
    )
    check_refusal(refused, 400)


def test_mlserver_s_string_and_numpy_codecs_are_understood(several: Any) -> None:
    times = numpy_input("times", np.array([1, 2], np.int32))
    said = infer(several, "greeting", string_input("name", ["you", "all"]), times)
    assert said.status_code == 200, said.text
    outputs = {output["name"]: output for output in said.json()["outputs"]}
    assert string_output(outputs["greeting"]) == ["hello you", "hello hello all"]
    weather = np.array([[-10, 30], [5, 10]], np.float32)
    felt = infer(several, "chill", numpy_input("weather", weather)).json()["outputs"][0]
    assert numpy_output(felt).ravel()[0] < -10
