"""Models of tensors of any signature, served by no code of the user's: as graph, program and weights."""

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.contract.refusals import check_refusal
from tests.running.encoder import encoder
from tests.running.processes import SERVICES
from tests.running.rust import RUST
from tests.running.tensor_models import publish_doubler, publish_encoder, publish_words

TOKENS = [[1, 2, 3], [4, 5, 6]]
MASK = [[1.0, 1.0, 0.0], [1.0, 1.0, 1.0]]


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The folder of each model."""
    folders = {name: tmp_path_factory.mktemp(name) for name in ("encoder", "single", "bare", "words")}
    publish_encoder(folders["encoder"])
    publish_doubler(folders["single"], "single", "one")
    publish_doubler(folders["bare"], "bare", "none")
    publish_words(folders["words"])
    return folders


@pytest.fixture(scope="session", params=[*SERVICES, RUST])
def tensors(request: pytest.FixtureRequest, launch: Callable[..., Any], published: dict[str, Path]) -> Any:
    """One process of each strategy with all the models that it can serve."""
    if request.param == "onnx":
        uris = {name: folder / "model.onnx" for name, folder in published.items()}
    else:
        uris = {name: published[name] / "program.pt2" for name in ("encoder", "single", "bare")}
        uris["weights"] = published["encoder"] / "weights.safetensors"
    variable = "ONNX_MODEL_URI" if request.param == "onnx" else "TORCH_MODEL_URI"
    service = launch(request.param, **{variable: ",".join(f"{name}=file://{uris[name]}" for name in uris)})
    service.wait_until_ready()
    return service


def expected() -> list[Any]:
    with torch.inference_mode():
        return [made.numpy() for made in encoder()(torch.tensor(TOKENS), torch.tensor(MASK))]


def infer(service: Any, model: str, *inputs: dict[str, Any]) -> Any:
    body = json.dumps({"inputs": inputs}).encode()
    return service.post(body, "application/json", f"/v2/models/{model}/infer")


def outputs(answer: Any) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    return {made["name"]: np.reshape(made["data"], made["shape"]) for made in answer.json()["outputs"]}


def whole(name: str, datatype: str, values: Any) -> dict[str, Any]:
    array = np.asarray(values)
    return {"name": name, "datatype": datatype, "shape": [*array.shape], "data": array.ravel().tolist()}


def models(service: Any) -> list[str]:
    return ["encoder"] if service.name == "onnx" else ["encoder", "weights"]


def test_the_signature_is_the_manifests(tensors: Any) -> None:
    for model in models(tensors):
        described = tensors.get(f"/v2/models/{model}").json()
        assert described["inputs"] == [
            {"name": "tokens", "datatype": "INT64", "shape": [-1, -1]},
            {"name": "mask", "datatype": "FP32", "shape": [-1, -1]},
        ]
        assert [made["shape"] for made in described["outputs"]] == [[-1, 8], [-1]]


def test_the_api_is_described(tensors: Any) -> None:
    described = tensors.get("/api-description")
    assert described.status_code == 200
    assert "/encoder/predict" in described.json()["paths"]


def test_two_inputs_and_two_outputs_in_json_and_by_the_protocol(tensors: Any) -> None:
    embedding, count = expected()
    for model in models(tensors):
        items = [{"tokens": tokens, "mask": mask} for tokens, mask in zip(TOKENS, MASK, strict=True)]
        one = tensors.post(json.dumps(items[0]).encode(), "application/json", f"/{model}/predict")
        assert one.status_code == 200, one.text
        np.testing.assert_allclose(one.json()["embedding"], embedding[0], atol=1e-5)
        assert one.json()["count"] == count[0]
        several = tensors.post(json.dumps({"items": items}).encode(), "application/json", f"/{model}/predict")
        np.testing.assert_allclose([made["embedding"] for made in several.json()], embedding, atol=1e-5)
        made = outputs(infer(tensors, model, whole("tokens", "INT64", TOKENS), whole("mask", "FP32", MASK)))
        np.testing.assert_allclose(made["embedding"], embedding, atol=1e-5)
        assert made["count"].tolist() == count.tolist()


def test_items_of_several_lengths_have_their_own_answers(tensors: Any) -> None:
    items = [{"tokens": [number] * size, "mask": [1.0] * size} for number, size in enumerate((1, 4, 4, 9, 1))]
    for model in models(tensors):
        made = tensors.post(json.dumps({"items": items}).encode(), "application/json", f"/{model}/predict")
        for item, answer in zip(items, made.json(), strict=True):
            with torch.inference_mode():
                alone = encoder()(torch.tensor([item["tokens"]]), torch.tensor([item["mask"]]))[0][0]
            np.testing.assert_allclose(answer["embedding"], alone.numpy(), atol=1e-5)


@pytest.mark.parametrize("model", ["single", "bare"])
def test_items_of_a_model_without_a_batch_are_computed_one_by_one(tensors: Any, model: str) -> None:
    numbers = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]
    made = outputs(infer(tensors, model, whole("numbers", "FP64", numbers)))
    assert made["doubled"].tolist() == [[2.0, 4.0, 6.0], [8.0, 10.0, 12.0]]
    data = struct.pack("<3d", *numbers[0])
    header = json.dumps(
        {
            "inputs": [
                {
                    "name": "numbers",
                    "datatype": "FP64",
                    "shape": [1, 3],
                    "parameters": {"binary_data_size": len(data)},
                }
            ],
            "outputs": [{"name": "doubled", "parameters": {"binary_data": True}}],
        }
    ).encode()
    answer = tensors.post(
        header + data,
        None,
        f"/v2/models/{model}/infer",
        Inference_Header_Content_Length=str(len(header)),
    )
    assert answer.content.endswith(struct.pack("<3d", 2, 4, 6))


def test_text_is_text(tensors: Any) -> None:
    if tensors.name != "onnx":
        pytest.skip("PyTorch has no tensors of text")
    one = tensors.post('{"words": "grüße"}'.encode(), "application/json", "/words/predict")
    assert one.json() == {"again": "grüße"}
    made = infer(tensors, "words", {"name": "words", "datatype": "BYTES", "shape": [2], "data": ["a", "b"]})
    assert outputs(made)["again"].tolist() == ["a", "b"]
    packed = struct.pack("<I", 1) + b"\xff"
    header = json.dumps(
        {
            "inputs": [
                {
                    "name": "words",
                    "datatype": "BYTES",
                    "shape": [1],
                    "parameters": {"binary_data_size": len(packed)},
                }
            ]
        }
    ).encode()
    length = {"Inference_Header_Content_Length": str(len(header))}
    refused = tensors.post(header + packed, None, "/v2/models/words/infer", **length)
    assert "UTF-8" in check_refusal(refused, 422)


@pytest.mark.parametrize("tokens", [[50, 1], [1, 2, 3]])
def test_what_the_model_cannot_compute_is_refused_and_harms_no_neighbour(
    tensors: Any, tokens: list[int]
) -> None:
    """A token that its table lacks, and inputs whose lengths do not fit together."""
    bad, good = {"tokens": tokens, "mask": [1.0, 1.0]}, {"tokens": [1, 2], "mask": [1.0, 1.0]}
    for model in models(tensors):
        path = f"/{model}/predict"
        check_refusal(tensors.post(json.dumps(bad).encode(), "application/json", path), 422)
        several = tensors.post(json.dumps({"items": [good, bad, good]}).encode(), "application/json", path)
        assert [answer.keys() == {"error"} for answer in several.json()] == [False, True, False]
