"""`docker compose up --build` with nothing configured: healthy, hardened, right, and clean in its ends."""

import asyncio
import base64
import json
import math
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.contract.encodings import ENCODINGS
from tests.running.compose import Project
from tests.running.load import until_stopped

pytestmark = [pytest.mark.engine, pytest.mark.timeout(1200)]

ROOT = Path(__file__).parents[2]
CLIENTS = 50
# one image and two, of each kind of route
MIX = ("raw", "json list", "oip json", "oip binary", "oip raw")
STRATEGIES = ["torch", "onnx", "batched"]
MANIFEST: dict[str, Any] = json.loads((ROOT / "images" / "manifest.json").read_text(encoding="utf-8"))
TOLERANCE: float = json.loads((ROOT / "model" / "model.json").read_text(encoding="utf-8"))["logit_tolerance"]


def centred(logits: list[float]) -> list[float]:
    """Logits less their mean: a softmax keeps all of them but that."""
    mean = sum(logits) / len(logits)
    return [logit - mean for logit in logits]


def seed_body() -> bytes:
    entry = next(image for image in MANIFEST["images"] if image["kind"] == "seed")
    return (ROOT / "images" / entry["file"]).read_bytes()


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("encoding", ["json", "raw"])
def test_every_image_gets_the_reference_answer(composed: Project, strategy: str, encoding: str) -> None:
    with httpx.Client(base_url=composed.addresses[strategy], timeout=120) as client:
        for image in MANIFEST["images"]:
            content = (ROOT / "images" / image["file"]).read_bytes()
            if encoding == "json":
                answer = client.post("/predict/", json={"image": base64.b64encode(content).decode()})
            else:
                answer = client.post(
                    "/predict/", content=content, headers={"Content-Type": "application/octet-stream"}
                )
            assert answer.status_code == 200, f"{image['file']}: {answer.text}"
            found = answer.json()
            assert found["prediction"] == image["expected"]["label"], image["file"]
            logits = centred([math.log(found["probabilities"][label]) for label in MANIFEST["labels"]])
            assert logits == pytest.approx(centred(image["expected"]["logits"]), abs=TOLERANCE), image["file"]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_container_has_no_more_rights_than_it_needs(composed: Project, strategy: str) -> None:
    found = composed.inspect(f"{strategy}_serving")
    host = found["HostConfig"]
    assert found["Config"]["User"] == "10001:10001"
    assert host["ReadonlyRootfs"] is True
    assert host["CapDrop"] == ["ALL"]
    assert host["SecurityOpt"] == ["no-new-privileges:true"]
    assert host["Memory"] > 0
    assert host["PidsLimit"] > 0
    assert {binding["HostIp"] for bindings in host["PortBindings"].values() for binding in bindings} == {
        "127.0.0.1"
    }
    written = composed.compose("exec", "-T", f"{strategy}_serving", "touch", "/app/x", check=False)
    assert "Read-only" in written.stderr


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_an_image_holds_what_its_strategy_needs_and_no_cuda(composed: Project, strategy: str) -> None:
    probe = (
        "import importlib.util as u; "
        "print([n for n in ('torch','onnxruntime','triton','nvidia','locust','pip') if u.find_spec(n)])"
    )
    out = composed.compose("exec", "-T", f"{strategy}_serving", "python", "-c", probe).stdout
    assert out.strip() == str(["onnxruntime"] if strategy == "onnx" else ["torch"])


def test_pytorch_is_stored_once(composed: Project) -> None:
    """The layer of PyTorch, and the one of all other packages, are the same in each image that has them."""
    layers = {}
    for strategy in ("torch", "batched", "onnx"):
        image = composed.inspect(f"{strategy}_serving")["Image"]
        words = ["docker", "image", "inspect", "--format", "{{json .RootFS.Layers}}", image]
        layers[strategy] = json.loads(
            subprocess.run(words, capture_output=True, text=True, check=True).stdout
        )
    shared = set(layers["torch"]) & set(layers["batched"])
    assert len(shared - set(layers["onnx"])) == 2, layers


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_wrong_model_uri_ends_the_start_with_one_line(composed: Project, strategy: str) -> None:
    setting = "ONNX_MODEL_URI" if strategy == "onnx" else "TORCH_MODEL_URI"
    uri = "gs://models.local/nowhere/model.bin"
    run = composed.compose(
        "run", "--rm", "--no-deps", "-T", f"{strategy}_serving", check=False, **{setting: uri}
    )
    assert run.returncode == 1
    assert uri in run.stderr
    assert "Traceback" not in run.stderr


def test_a_wrong_model_uri_is_told_though_the_service_is_tried_again(composed: Project) -> None:
    uri = "gs://models.local/nowhere/model.bin"
    words = ("up", "--detach", "--no-deps", "--no-build", "--wait", "onnx_serving")
    try:
        up = composed.compose(*words, check=False, ONNX_MODEL_URI=uri)
        logs = composed.compose("logs", "--no-log-prefix", "--tail", "1", "onnx_serving").stdout
    finally:
        composed.compose(*words)
    assert up.returncode != 0
    assert f"cannot start: {uri} does not exist: " in logs


def test_a_store_that_is_down_ends_the_start_with_one_line(composed: Project) -> None:
    composed.compose("stop", "model-store")
    try:
        run = composed.compose(
            "run", "--rm", "--no-deps", "-T", "-e", "STORE_TIMEOUT_S=3", "onnx_serving", check=False
        )
    finally:
        composed.compose("start", "model-store")
        composed.compose("up", "--detach", "--no-build", "model-publisher")
        composed.compose("wait", "model-publisher", check=False)
    assert run.returncode == 1
    assert "gs://models.local/weather/model.onnx" in run.stderr
    assert "Traceback" not in run.stderr


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_stopping_under_load_loses_no_accepted_request(composed: Project, strategy: str) -> None:
    """Every client gets its answer or a clean 503; the process ends with status 0."""
    service, port = f"{strategy}_serving", urlsplit(composed.addresses[strategy]).port
    assert port is not None
    requests = [ENCODINGS[name].request([seed_body()] * 2) for name in MIX]
    try:
        outcomes = asyncio.run(
            until_stopped(port, requests, CLIENTS, lambda: composed.compose("stop", service))
        )
    finally:
        ended = composed.inspect(service)["State"]["ExitCode"]
        composed.compose("up", "--detach", "--no-deps", "--no-build", "--wait", service)
    assert ended == 0
    assert outcomes["200"] >= CLIENTS
    assert outcomes.keys() <= {"200", "503"}


def test_a_token_stays_out_of_images_and_logs(composed: Project) -> None:
    """Set while an image is built and while a service starts, it is in no layer and on no line."""
    token = "ya29.not-a-real-token"  # noqa: S105  # a made-up value to look for
    composed.compose("build", "onnx_serving", CLOUDSDK_AUTH_ACCESS_TOKEN=token)
    start = composed.compose(
        *("run", "--rm", "--no-deps", "-T", "-e", "ONNX_MODEL_URI=gs://models.local/nowhere", "onnx_serving"),
        check=False,
        CLOUDSDK_AUTH_ACCESS_TOKEN=token,
    )
    assert "gs://models.local/nowhere" in start.stderr
    assert token not in start.stdout + start.stderr
    image = "model-serving-bench/onnx_serving"
    for words in (["docker", "history", "--no-trunc", image], ["docker", "inspect", image]):
        assert token not in subprocess.run(words, capture_output=True, text=True, check=True).stdout
