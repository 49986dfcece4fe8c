"""Requests of tensors reach real services of other models than images, in every encoding, and are judged."""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import TensorProto, helper

from bench.load.launch import Drive, Target
from bench.measure.held_promises import wrong_answers
from bench.measure.http_client import complaint, post
from bench.measure.payloads import fitting_encodings, make_payload, payload_sets
from bench.measure.steps.parity import ask_all, parity_of
from bench.model import OUTCOMES, ClosedLoad, Strategy
from bench.model.expectations import ExpectedTensor, TensorsExpectation
from bench.request_sets.encodings import TENSOR_ENCODINGS
from bench.request_sets.reader import read_request_set
from bench.request_sets.request_set import RequestSet
from tests.bench.test_encodings import At

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
Serve = Callable[..., At]
STRATEGY = Strategy("served", "Served", "served", 8080, "/predict/", "/ready", TENSOR_ENCODINGS, None)


@pytest.fixture(scope="module")
def serve(launch: Callable[..., Any]) -> Iterator[Serve]:
    """Serves a model's file with onnx_serving."""
    started = []

    def serve_one(file: Path, **environment: str) -> At:
        running = launch("onnx", ONNX_MODEL_URI=file.as_uri(), **environment)
        started.append(running)
        running.wait_until_ready()
        return At(running.port)

    yield serve_one
    for one in started:
        one.stop()


def request_set(folder: Path, *requests: dict[str, Any]) -> RequestSet:
    folder.mkdir(exist_ok=True)
    (folder / "manifest.json").write_text(json.dumps({"schema_version": 2, "requests": requests}))
    return read_request_set(folder)


def tensor(name: str, datatype: str, shape: list[int], data: list[Any]) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": shape, "data": data}


def wrong_ones(at: At, requests: RequestSet, model: str, encodings: tuple[str, ...]) -> list[str]:
    strategy = replace(STRATEGY, model=model, encodings=encodings)
    answers = ask_all(at, strategy, requests.requests)  # type: ignore[arg-type]  # only host and port are used
    return wrong_answers(strategy, answers)


@pytest.fixture(scope="module")
def scaled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A graph of two inputs and two outputs: x times a scale, and the number of elements that are true."""
    folder = tmp_path_factory.mktemp("scaled")
    graph = helper.make_graph(
        [
            helper.make_node("Mul", ["x", "scale"], ["product"]),
            helper.make_node("Cast", ["flags"], ["whole"], to=TensorProto.INT64),
            helper.make_node("ReduceSum", ["whole", "axes"], ["count"], keepdims=0),
        ],
        "scaled",
        [
            helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3]),
            helper.make_tensor_value_info("scale", TensorProto.FLOAT, ["n", 1]),
            helper.make_tensor_value_info("flags", TensorProto.BOOL, ["n", 2]),
        ],
        [
            helper.make_tensor_value_info("product", TensorProto.FLOAT, ["n", 3]),
            helper.make_tensor_value_info("count", TensorProto.INT64, ["n"]),
        ],
        [helper.make_tensor("axes", TensorProto.INT64, [1], [1])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, str(folder / "model.onnx"))
    content = (folder / "model.onnx").read_bytes()
    manifest = {
        "name": "scaled",
        "version": "1",
        "kind": "tensors",
        "files": {"model.onnx": {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}},
        "inputs": [
            {"name": "x", "datatype": "FP32", "shape": [3]},
            {"name": "scale", "datatype": "FP32", "shape": [1]},
            {"name": "flags", "datatype": "BOOL", "shape": [2]},
        ],
        "outputs": [
            {"name": "product", "datatype": "FP32", "shape": [3]},
            {"name": "count", "datatype": "INT64", "shape": []},
        ],
        "batch": "any",
        "tolerance": {"rtol": 1e-3, "atol": 1e-4},
    }
    (folder / "model.json").write_text(json.dumps(manifest))
    return folder / "model.onnx"


X, SCALE = [0.1, -2.0, 3.5], 1.5


def of_scaled(count: int, off: float = 0.0) -> dict[str, Any]:
    """A request of so many items, with what must come back."""
    return {
        "name": f"of {count}",
        "class": f"of-{count}",
        "tensors": [
            tensor("x", "FP32", [count, 3], X * count),
            tensor("scale", "FP32", [count, 1], [SCALE] * count),
            tensor("flags", "BOOL", [count, 2], [True, False] * count),
        ],
        "expect": {
            "compare": "tensors",
            "tensors": [
                tensor("product", "FP32", [count, 3], [value * SCALE + off for value in X] * count),
                tensor("count", "INT64", [count], [1] * count),
            ],
        },
    }


def test_several_inputs_of_several_types_are_sent_and_compared_in_every_encoding(
    serve: Serve, scaled: Path, tmp_path: Path
) -> None:
    at = serve(scaled)
    requests = request_set(tmp_path / "set", of_scaled(1), of_scaled(2))
    able = tuple(one for one in TENSOR_ENCODINGS if one in fitting_encodings(requests.requests[0], (one,)))
    assert able == ("json", "msgpack", "oip-json", "oip-binary")
    assert wrong_ones(at, requests, "scaled", TENSOR_ENCODINGS) == []
    other = request_set(tmp_path / "other", of_scaled(1, off=0.01), of_scaled(2, off=0.01))
    wrong = wrong_ones(at, other, "scaled", TENSOR_ENCODINGS)
    assert len(wrong) == 8
    assert all("(product[" in line and "off at most)" in line for line in wrong)
    sets = payload_sets(requests.requests, requests.classes, able, "scaled")
    payloads = [payload for payloads in sets.values() for payload in payloads]
    load = ClosedLoad(clients=2, warmup_s=0.1, window_s=0.7)
    driving = Drive(Target(at.host, at.port, "/predict/"), payloads, load, 1, tmp_path)
    try:
        samples = driving.finish().samples
    finally:
        driving.close()
    assert set(samples.payload) == set(range(8))
    assert set(samples.outcome) == {OUTCOMES.index("ok")}


def test_parity_tells_how_much_of_its_tolerance_an_element_was_off(
    serve: Serve, scaled: Path, tmp_path: Path
) -> None:
    at = serve(scaled)
    near = request_set(tmp_path / "set", of_scaled(1, off=5e-5))
    strategy = replace(STRATEGY, model="scaled", encodings=("json", "oip-binary"))
    answers = ask_all(at, strategy, near.requests)  # type: ignore[arg-type]  # as above
    assert wrong_answers(strategy, answers) == []
    found = parity_of(strategy, answers, 0)
    assert found.largest_difference is None
    assert found.largest_share == pytest.approx(5e-5 / (1e-4 + 1e-3 * 0.15), rel=0.1)
    assert found.share_at.startswith("of 1 as ")


def test_text_is_sent_in_every_encoding_and_bodies_as_they_are(serve: Serve, tmp_path: Path) -> None:
    at = serve(ROOT / "examples/mood/model/words.json", HANDLER="examples.mood.handler:Mood")
    text = {"text": "What a lovely day"}
    asked = request_set(tmp_path / "asked", {"name": "a", "json": text, "expect": {"compare": "unchecked"}})
    status, body = post(at.host, at.port, "/predict/", make_payload(asked.requests[0], "as-is"))
    assert status == 200
    answer = json.loads(body)
    outputs = [
        tensor("gladness", "FP32", [1], [answer["gladness"]]),
        tensor("mood", "BYTES", [1], [answer["mood"]]),
    ]
    sent = [tensor("text", "BYTES", [1], [text["text"]])]
    requests = request_set(
        tmp_path / "set",
        {"name": "tensors", "tensors": sent, "expect": {"compare": "tensors", "tensors": outputs}},
        {
            "name": "json",
            "class": "whole",
            "json": text,
            "expect": {"compare": "json", "value": {**answer, "gladness": 0}, "ignore": ["/gladness"]},
        },
        {
            "name": "bytes",
            "class": "whole",
            "json": text,
            "expect": {"compare": "bytes", "text": body.decode()},
        },
        {
            "name": "oip",
            "class": "whole",
            "path": "/v2/models/mood/infer",
            "json": {"inputs": sent},
            "expect": {"compare": "tensors", "tensors": outputs},
        },
    )
    assert wrong_ones(at, requests, "mood", TENSOR_ENCODINGS) == []
    glad = replace(
        requests.requests[0],
        expect=TensorsExpectation((ExpectedTensor("mood", "BYTES", (1,), ("sad",)),)),
    )
    for encoding in TENSOR_ENCODINGS:
        told = complaint(at.host, at.port, "/predict/", make_payload(glad, encoding, "mood"))
        assert told is not None, encoding
        assert "mood[0] is glad" in told


def test_the_best_classes_of_an_image_are_compared(
    launch: Callable[..., Any], environment: Callable[[str], dict[str, str]], tmp_path: Path
) -> None:
    running = launch("onnx", **environment("onnx"))
    running.wait_until_ready()
    image = {"name": "image", "datatype": "BYTES", "shape": [1], "file": "rime_seed.jpg"}
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "rime_seed.jpg").write_bytes((ROOT / "images" / "rime_seed.jpg").read_bytes())
    best = {"compare": "top-k", "k": 2, "labels": ["snow", "rime"]}
    requests = request_set(
        tmp_path / "set",
        {"name": "all", "tensors": [image], "expect": best},
        {"name": "ranked", "tensors": [image], "path": "/predict/?top_k=2", "expect": best},
    )
    at, strategy = At(running.port), replace(STRATEGY, model="weather", encodings=("json", "msgpack", "raw"))
    answers = ask_all(at, strategy, requests.requests)  # type: ignore[arg-type]  # as above
    assert wrong_answers(strategy, answers) == []
    other = request_set(
        tmp_path / "set", {"name": "a", "tensors": [image], "expect": {**best, "labels": ["snow", "dew"]}}
    )
    told = complaint(at.host, at.port, "/predict/", make_payload(other.requests[0], "raw"))
    assert told is not None
    assert "its 2 best classes are others" in told
    running.stop()
