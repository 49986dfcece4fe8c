"""One contract for all services: the same answers whatever the strategy and whatever the encoding."""

import base64
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.contract.encodings import INFER, MODEL, Encoding, Reading, objects, tensors

ROOT = Path(__file__).parents[2]
TOLERANCE: float = json.loads((ROOT / "model" / "model.json").read_text(encoding="utf-8"))["logit_tolerance"]
MAX_ITEMS = 64


@pytest.fixture(scope="session")
def small(image_set: dict[str, Any]) -> list[dict[str, Any]]:
    """A small photograph of each class."""
    return [image for image in image_set["images"] if image["kind"] == "small"]


def check_reading(reading: Reading, expected: dict[str, Any], file: str) -> None:
    assert reading.label == expected["label"], file
    assert reading.probabilities == pytest.approx(expected["probabilities"], abs=0.03), file
    assert sum(reading.probabilities) == pytest.approx(1, abs=1e-5)
    if reading.logits is not None:
        assert reading.logits == pytest.approx(expected["logits"], abs=TOLERANCE), file


def test_every_image_gets_the_expected_answer(
    service: Any, image_set: dict[str, Any], encodings: Any
) -> None:
    """In one text and one binary encoding; the others are held against them below."""
    for image in image_set["images"]:
        for name in ("json", "raw typed"):
            answer = service.send(encodings[name].request([image["content"]]))
            assert answer.status_code == 200, (image["file"], answer.text)
            assert list(answer.json()["probabilities"]) == image_set["labels"]
            (reading,) = encodings[name].readings(answer)
            check_reading(reading, image["expected"], image["file"])


def test_every_encoding_gets_the_expected_answer(
    service: Any, encoding: Encoding, small: list[dict[str, Any]]
) -> None:
    answer = service.send(encoding.request([small[0]["content"]]))
    assert answer.status_code == 200, answer.text
    assert int(answer.headers["content-length"]) == len(answer.content)
    assert answer.headers["x-request-id"]
    (reading,) = encoding.readings(answer)
    check_reading(reading, small[0]["expected"], small[0]["file"])


def test_several_images_are_answered_in_request_order(
    service: Any, list_encoding: Encoding, small: list[dict[str, Any]]
) -> None:
    answer = service.send(list_encoding.request([image["content"] for image in small]))
    assert answer.status_code == 200, answer.text
    for reading, image in zip(list_encoding.readings(answer), small, strict=True):
        check_reading(reading, image["expected"], image["file"])


def test_a_bad_image_among_good_ones_is_an_error_in_its_own_place(
    service: Any, list_encoding: Encoding, small: list[dict[str, Any]]
) -> None:
    answer = service.send(list_encoding.request([small[0]["content"], b"no image", small[1]["content"]]))
    if list_encoding.places is None:  # the protocol's answer is one set of tensors, or one error
        assert answer.status_code == 422
        assert answer.json().keys() == {"error"}
        assert "item 1" in answer.json()["error"]
        return
    assert answer.status_code == 200, answer.text
    first, bad, last = list_encoding.places(answer)
    assert first["prediction"] == small[0]["expected"]["label"]
    assert bad.keys() == {"error"}
    assert bad["error"]
    assert last["prediction"] == small[1]["expected"]["label"]


def test_an_undecodable_member_of_a_json_list_harms_no_other(service: Any, jpeg: bytes) -> None:
    request = {"images": ["not base64!", 7, None, base64.b64encode(jpeg).decode(), ""]}
    places = service.post(json.dumps(request).encode(), "application/json").json()
    assert [*places.pop(3)] == ["prediction", "probabilities"]
    assert [[*place] for place in places] == [["error"]] * 4


def test_as_many_images_as_a_request_may_have_are_answered_and_no_more(
    service: Any, list_encoding: Encoding, image_set: dict[str, Any]
) -> None:
    tiny = next(image for image in image_set["images"] if image["file"] == "edge_tiny_8x8.png")
    answer = service.send(list_encoding.request([tiny["content"]] * MAX_ITEMS))
    assert answer.status_code == 200, answer.text
    readings = list_encoding.readings(answer)
    assert len(readings) == MAX_ITEMS
    for reading in readings:
        check_reading(reading, tiny["expected"], tiny["file"])
    refused = service.send(list_encoding.request([tiny["content"]] * (MAX_ITEMS + 1)))
    assert refused.status_code == 400, refused.text
    assert str(MAX_ITEMS) in refused.json()["error"]


def test_top_k_gives_the_best_in_order(service: Any, jpeg: bytes, encodings: Any) -> None:
    for name, encoding in encodings.items():
        request = encoding.request([jpeg])
        if request.path.startswith("/v2/"):
            continue
        whole = encoding.readings(service.send(request))[0]
        answer = service.send(replace(request, path=f"{request.path}?top_k=3"))
        assert answer.status_code == 200, (name, answer.text)
        (entry,) = objects(answer)
        assert entry["prediction"] == whole.label
        best = sorted(whole.probabilities, reverse=True)[:3]
        assert [place["probability"] for place in entry["top_k"]] == pytest.approx(best, abs=1e-6), name
        assert entry["top_k"][0]["class"] == whole.label


def test_top_k_beyond_the_classes_gives_all(service: Any, jpeg: bytes, image_set: dict[str, Any]) -> None:
    answer = service.post(jpeg, path="/predict/?top_k=1000")
    assert {place["class"] for place in answer.json()["top_k"]} == set(image_set["labels"])


def test_the_path_without_its_slash_answers_without_a_redirect(service: Any, jpeg: bytes) -> None:
    for path in ("/predict", "/predict/", f"/{MODEL}/predict"):
        assert service.post(jpeg, path=path).status_code == 200, path


def test_health_routes_say_that_it_is_well(service: Any) -> None:
    root = service.get("/")
    assert (root.status_code, root.json()["status"]) == (200, "healthy")
    assert root.json()["message"]
    ready = [f"/v2/models/{MODEL}/ready", f"/v2/models/{MODEL}/versions/1/ready"]
    for path in ("/ping", "/v2/health/live", "/v2/health/ready", *ready):
        answer = service.get(path)
        assert answer.status_code == 200, path
        assert answer.headers["content-type"] == "application/json"


def test_the_metadata_describe_server_and_model(service: Any, image_set: dict[str, Any]) -> None:
    server = service.get("/v2").json()
    assert server.keys() >= {"name", "version", "extensions"}
    assert "binary_tensor_data" in server["extensions"]
    model = service.get(f"/v2/models/{MODEL}").json()
    assert model["name"] == MODEL
    assert model["versions"] == ["1"]
    assert model["platform"]
    assert service.get(f"/v2/models/{MODEL}/versions/1").json() == model
    classes = len(image_set["labels"])
    assert [(t["name"], t["datatype"], t["shape"]) for t in model["inputs"]] == [("image", "BYTES", [-1])]
    assert [(t["name"], t["datatype"], t["shape"]) for t in model["outputs"]] == [
        ("logits", "FP32", [-1, classes]),
        ("probabilities", "FP32", [-1, classes]),
        ("label", "BYTES", [-1]),
    ]


def test_an_inference_answer_has_what_the_protocol_requires(
    service: Any, jpeg: bytes, encodings: Any
) -> None:
    answer = service.send(encodings["oip json"].request([jpeg]))
    assert answer.headers["content-type"] == "application/json"
    found = answer.json()
    assert found["model_name"] == MODEL
    assert found["id"] == "one"
    assert found["model_version"] == "1"
    for output in found["outputs"]:
        assert output.keys() >= {"name", "shape", "datatype", "data"}
        assert not isinstance(output["data"][0], list), "data are flat"


@pytest.mark.parametrize(
    "chosen", [["label"], ["probabilities", "label"], ["label", "logits", "probabilities"]]
)
def test_only_the_outputs_asked_for_are_sent_in_their_order(
    service: Any, jpeg: bytes, encodings: Any, chosen: list[str]
) -> None:
    request = encodings["oip json"].request([jpeg])
    body = json.loads(request.body)
    body["outputs"] = [{"name": name} for name in chosen]
    found = service.post(json.dumps(body).encode(), "application/json", INFER).json()
    assert [output["name"] for output in found["outputs"]] == chosen


def test_one_output_may_be_binary_beside_others_in_json(service: Any, jpeg: bytes, encodings: Any) -> None:
    body = json.loads(encodings["oip json"].request([jpeg]).body)
    body["outputs"] = [
        {"name": "probabilities", "parameters": {"binary_data": True}},
        {"name": "label"},
    ]
    answer = service.post(json.dumps(body).encode(), "application/json", INFER)
    assert answer.headers["content-type"] == "application/octet-stream"
    assert int(answer.headers["inference-header-content-length"]) < len(answer.content)
    found = tensors(answer)
    assert found["probabilities"].shape == (1, 11)
    whole = tensors(service.send(encodings["oip json"].request([jpeg])))
    assert found["label"].tolist() == whole["label"].tolist()
    assert found["probabilities"].tolist()[0] == pytest.approx(whole["probabilities"].tolist()[0], abs=1e-6)


def test_a_request_id_is_given_back_and_made_where_there_is_none(service: Any, jpeg: bytes) -> None:
    for path in ("/predict/", f"/{MODEL}/predict"):
        assert service.post(jpeg, path=path, X_Request_Id="mine").headers["x-request-id"] == "mine"
    made = {service.post(jpeg).headers["x-request-id"], service.get("/ping").headers["x-request-id"]}
    assert len(made) == 2


def counted(text: str, route: str) -> float:
    """Requests of that route that were answered with 200, whatever their other labels."""
    rows = (row for row in text.splitlines() if row.startswith("request_duration_seconds_count{"))
    ours = (row for row in rows if f'route="{route}"' in row and 'status="200"' in row)
    return sum(float(row.rpartition(" ")[2]) for row in ours)


def test_the_metrics_count_what_happened(service: Any, jpeg: bytes) -> None:
    before = counted(service.get("/metrics").text, "/predict/")
    for _ in range(3):
        service.post(jpeg)
    text = service.get("/metrics").text
    assert counted(text, "/predict/") == before + 3
    for stage in ("parse", "decode", "transform", "queue", "infer", "encode"):
        assert f'stage_duration_seconds_count{{model="{MODEL}",stage="{stage}"}}' in text
    for phase in ("imports", "pull", "load", "warm_up"):
        assert f'phase="{phase}"' in text
    for name in ("batch_size_sum", "queue_depth", "queue_bytes", "in_flight", "requests_total", "model_info"):
        assert f"\n{name}" in text


def test_the_metrics_come_as_openmetrics_where_that_is_asked_for(service: Any) -> None:
    kind = "application/openmetrics-text"
    answer = requests.get(f"{service.url}/metrics", headers={"Accept": kind}, timeout=120)
    assert answer.headers["content-type"].startswith(kind)
    assert answer.text.endswith("# EOF\n")


def test_the_description_names_the_routes_and_their_refusals(service: Any) -> None:
    description = service.get("/api-description").json()
    paths = description["paths"]
    assert {"/", "/ping", "/predict", "/predict/", "/v2/health/ready", "/metrics", "/v2"} <= paths.keys()
    responses = paths["/predict/"]["post"]["responses"].keys()
    assert {"200", "400", "408", "413", "415", "422", "429", "503", "504"} <= responses
