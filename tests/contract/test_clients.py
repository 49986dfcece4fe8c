"""Clients as they come: Triton's own, MLServer's JSON, curl and requests."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

from tests.contract.codecs import base64_input, numpy_output, string_output
from tests.contract.encodings import ENCODINGS, INFER, MODEL


@pytest.fixture
def client(service: Any) -> Iterator[triton.InferenceServerClient]:
    with triton.InferenceServerClient(f"127.0.0.1:{service.port}", concurrency=4) as opened:
        yield opened


@pytest.fixture
def pair(image_set: dict[str, Any]) -> list[dict[str, Any]]:
    """Two small photographs of different classes."""
    return [image for image in image_set["images"] if image["kind"] == "small"][:2]


def images_input(*images: bytes, binary: bool = True) -> triton.InferInput:
    given = triton.InferInput("image", [len(images)], "BYTES")
    return given.set_data_from_numpy(np.array(images, np.object_), binary_data=binary)


def labels(result: triton.InferResult) -> list[str]:
    return [label.decode() if isinstance(label, bytes) else str(label) for label in result.as_numpy("label")]


def test_triton_s_client_finds_server_and_model(client: triton.InferenceServerClient) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready(MODEL)
    assert client.is_model_ready(MODEL, "1")
    assert not client.is_model_ready("nobody")
    assert "binary_tensor_data" in client.get_server_metadata()["extensions"]
    assert client.get_model_metadata(MODEL)["inputs"][0]["name"] == "image"
    assert client.get_model_metadata(MODEL, "1")["name"] == MODEL


def test_triton_s_client_sends_and_gets_binary_by_default(
    client: triton.InferenceServerClient, pair: list[dict[str, Any]]
) -> None:
    result = client.infer(MODEL, [images_input(*(image["content"] for image in pair))], request_id="seven")
    assert result.get_response()["id"] == "seven"
    assert all("binary_data_size" in output["parameters"] for output in result.get_response()["outputs"])
    assert labels(result) == [image["expected"]["label"] for image in pair]
    expected = [image["expected"]["logits"] for image in pair]
    assert result.as_numpy("logits") == pytest.approx(np.array(expected), abs=0.2)
    assert result.as_numpy("probabilities").dtype == np.float32
    assert result.as_numpy("probabilities").sum(axis=1) == pytest.approx([1, 1], abs=1e-5)


def test_triton_s_client_gets_the_outputs_it_asks_for_in_json(
    client: triton.InferenceServerClient, pair: list[dict[str, Any]]
) -> None:
    wanted = [triton.InferRequestedOutput(name, binary_data=False) for name in ("label", "probabilities")]
    result = client.infer(MODEL, [images_input(pair[0]["content"])], outputs=wanted, model_version="1")
    assert [output["name"] for output in result.get_response()["outputs"]] == ["label", "probabilities"]
    assert all("data" in output for output in result.get_response()["outputs"])
    assert labels(result) == [pair[0]["expected"]["label"]]
    assert result.as_numpy("logits") is None


def test_triton_s_client_sends_json(client: triton.InferenceServerClient, pair: list[dict[str, Any]]) -> None:
    encoded = [json.loads(ENCODINGS["json"].request([image["content"]]).body)["image"] for image in pair]
    given = images_input(*(text.encode() for text in encoded), binary=False)
    result = client.infer(MODEL, [given], parameters={"content_type": "base64"})
    assert labels(result) == [image["expected"]["label"] for image in pair]


def test_triton_s_client_sends_several_at_once(
    client: triton.InferenceServerClient, pair: list[dict[str, Any]]
) -> None:
    chosen = [*pair, *pair, *pair, *pair]
    asked = [client.async_infer(MODEL, [images_input(image["content"])]) for image in chosen]
    found = [labels(one.get_result()) for one in asked]
    assert found == [[image["expected"]["label"]] for image in chosen]


def test_triton_s_client_tells_our_errors(
    client: triton.InferenceServerClient, pair: list[dict[str, Any]]
) -> None:
    given = images_input(pair[0]["content"])

    def refusal(*inputs: triton.InferInput, model: str = MODEL, **more: Any) -> tuple[str, str]:
        with pytest.raises(InferenceServerException) as caught:
            client.infer(model, [*inputs], **more)
        return caught.value.status(), caught.value.message()

    status, message = refusal(given, model="nobody")
    assert status == "404"
    assert "nobody" in message
    assert MODEL in message
    assert refusal(given, model_version="99")[0] == "404"
    assert refusal(images_input(b"no image"))[0] == "422"
    assert refusal(given, given)[0] == "400"
    assert refusal(given, headers={"X-Request-Timeout-Ms": "soon"})[0] == "400"
    assert refusal(given, request_compression_algorithm="gzip")[0] == "415"
    ranked = [triton.InferRequestedOutput("probabilities", class_count=3)]
    assert refusal(given, outputs=ranked)[0] == "400"
    # and after all of these it is well
    assert labels(client.infer(MODEL, [given])) == [pair[0]["expected"]["label"]]


def test_triton_s_client_reads_a_compressed_answer_or_a_plain_one(
    client: triton.InferenceServerClient, pair: list[dict[str, Any]]
) -> None:
    result = client.infer(MODEL, [images_input(pair[0]["content"])], response_compression_algorithm="gzip")
    assert labels(result) == [pair[0]["expected"]["label"]]


@pytest.mark.parametrize("where", ["input", "request"])
def test_what_mlserver_s_codecs_write_is_understood_and_what_they_read_is_sent(
    service: Any, pair: list[dict[str, Any]], where: str
) -> None:
    given = base64_input("image", [image["content"] for image in pair])
    request: dict[str, Any] = {"id": "seven", "inputs": [given]}
    if where == "request":
        request["parameters"] = given.pop("parameters")
    answer = requests.post(service.url + INFER, json=request, timeout=120)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert found["id"] == "seven"
    outputs = {output["name"]: output for output in found["outputs"]}
    assert string_output(outputs["label"]) == [image["expected"]["label"] for image in pair]
    logits = numpy_output(outputs["logits"])
    assert logits == pytest.approx(np.array([image["expected"]["logits"] for image in pair]), abs=0.2)


@pytest.mark.parametrize("name", list(ENCODINGS))
def test_curl_sends_every_encoding_from_a_file(
    service: Any, pair: list[dict[str, Any]], tmp_path: Path, name: str
) -> None:
    encoding = ENCODINGS[name]
    request = encoding.request([pair[0]["content"]])
    (tmp_path / "body").write_bytes(request.body)
    headers = [word for key, value in request.headers.items() for word in ("--header", f"{key}: {value}")]
    if not any(key == "Content-Type" for key in request.headers):
        headers += ["--header", "Content-Type: application/octet-stream"]  # else curl says it is a form
    words = ["curl", "--silent", "--fail-with-body", *headers, "--data-binary", "@body"]
    words += ["--dump-header", "head", "--output", "answer", service.url + request.path]
    subprocess.run(words, cwd=tmp_path, check=True, timeout=120)
    answer = requests.Response()
    answer.status_code = 200
    answer._content = (tmp_path / "answer").read_bytes()
    rows = (tmp_path / "head").read_text().strip().splitlines()[1:]
    parts = (row.partition(": ") for row in rows)
    answer.headers.update((name, value) for name, colon, value in parts if colon)
    (reading,) = encoding.readings(answer)
    assert reading.label == pair[0]["expected"]["label"]


def test_requests_uploads_files(service: Any, image_set: dict[str, Any]) -> None:
    files = [image for image in image_set["images"] if image["kind"] == "small"][:3]
    form = [("file", (image["file"], image["content"], "image/jpeg")) for image in files]
    answer = requests.post(f"{service.url}/predict/", files=form, timeout=120)
    assert [place["prediction"] for place in answer.json()] == [image["expected"]["label"] for image in files]
    one = requests.post(f"{service.url}/predict/", files={"any": files[0]["content"]}, timeout=120)
    assert one.json()["prediction"] == files[0]["expected"]["label"]
