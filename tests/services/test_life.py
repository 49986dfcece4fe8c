"""How services start, stop and refuse to start."""

import asyncio
import json
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from onnx_serving.engine import OnnxEngine
from serving_core.classifier import network_of
from serving_core.engine import Compute
from serving_core.errors import StartError
from serving_core.models.manifest import Classifier, ServedTransform
from tests.contract.encodings import ENCODINGS, MODEL
from tests.contract.refusals import check_refusal
from tests.running.load import bytes_of, until_refused, until_stopped
from tests.running.processes import MODEL_SETTINGS, MODELS, STOP_S
from tests.running.rust import RUST

SERVICES = ("torch", "onnx", "batched", RUST)
CLIENTS = 50
# one image and three, of each kind of route
MIX = ("raw", "json list", "multipart several", "by name json", "oip json", "oip binary", "oip raw")


@pytest.mark.parametrize("name", SERVICES)
def test_a_stop_under_load_answers_everybody_and_exits_0(
    name: str, launch: Callable[..., Any], environment: Callable[[str], dict[str, str]], jpeg: bytes
) -> None:
    service = launch(name, **environment(name))
    service.wait_until_ready()
    wires = [bytes_of(ENCODINGS[kind].request([jpeg] * 3)) for kind in MIX]
    outcomes = asyncio.run(until_refused(service.port, wires, CLIENTS, service.stop))
    status, errors = service.end()
    assert outcomes.keys() <= {"200", "503", "refused"}, outcomes
    assert outcomes["503"] > 0
    assert outcomes["refused"] == CLIENTS
    assert status == 0
    lines = [json.loads(line) for line in errors.splitlines()]
    assert [line["message"] for line in lines] == ["ready", "stopped"]
    assert service.stopping_s(errors) < STOP_S
    assert lines[0]["startup_phases_s"].keys() == {"imports", "pull", "load", "warm_up"}


@pytest.mark.parametrize("name", SERVICES)
def test_a_stop_under_load_ends_each_connection_with_an_answer(
    name: str, launch: Callable[..., Any], environment: Callable[[str], dict[str, str]], jpeg: bytes
) -> None:
    """Connections that are kept are told by their last answer, and never just closed."""
    service = launch(name, **environment(name))
    service.wait_until_ready()
    requests = [ENCODINGS[kind].request([jpeg] * 3) for kind in MIX]
    outcomes = asyncio.run(until_stopped(service.port, requests, CLIENTS, service.stop))
    status, errors = service.end()
    assert status == 0
    assert service.stopping_s(errors) < STOP_S
    assert outcomes.keys() <= {"200", "503"}, outcomes
    assert outcomes["200"] >= CLIENTS


@pytest.mark.alone
@pytest.mark.parametrize("name", ["onnx", RUST])
def test_a_request_that_was_begun_before_the_port_closed_is_answered(
    name: str, launch: Callable[..., Any], environment: Callable[[str], dict[str, str]]
) -> None:
    """Its client may be slow; tests/serving_core/test_begun_requests.py has the rule."""
    service = launch(name, **environment(name), DRAIN_LINGER_S="0")
    service.wait_until_ready()
    with socket.create_connection(("127.0.0.1", service.port), timeout=10) as client:
        client.sendall(b"GET /v2/health/ready HTTP/1.1\r\n")
        service.stop()
        time.sleep(1)  # the port is closed by then, and idle connections too
        client.sendall(b"Host: x\r\n\r\n")
        assert client.recv(65536).startswith(b"HTTP/1.1 503 ")
    assert service.end()[0] == 0


def test_a_request_that_outlasts_the_grace_period_is_told_so_and_the_exit_too(
    launch: Callable[..., Any], environment: Callable[[str], dict[str, str]], jpeg: bytes
) -> None:
    service = launch("onnx", **environment("onnx"), HANDLER="tests.services.slow_handler:Slow", GRACE_S="1")
    service.wait_until_ready()
    with ThreadPoolExecutor() as client:
        asked = client.submit(service.post, jpeg)
        while "\nqueue_depth 1.0\n" not in service.get("/metrics").text:
            pass
        service.stop()
        status, errors = service.end()
        assert "shutting down" in check_refusal(asked.result(), 503)
    assert status == 1
    assert [json.loads(line)["message"] for line in errors.splitlines()] == [
        "ready",
        "1 accepted items were not answered within GRACE_S=1: raise it, or lower QUEUE_LIMIT",
    ]


@pytest.mark.parametrize("name", ["onnx", RUST])
def test_a_service_that_stops_says_so_wherever_it_is_asked(
    name: str, launch: Callable[..., Any], environment: Callable[[str], dict[str, str]], jpeg: bytes
) -> None:
    service = launch(name, **environment(name), DRAIN_LINGER_S="3")
    service.wait_until_ready()
    service.stop()
    while service.get("/v2/health/ready").status_code == 200:
        pass
    for path in ("/v2/health/ready", f"/v2/models/{MODEL}/ready"):
        assert "shutting down" in check_refusal(service.get(path), 503)
    for kind in MIX:
        request = ENCODINGS[kind].request([jpeg])
        sent = {key.replace("-", "_"): value for key, value in request.headers.items()}
        answer = service.post(request.body, None, request.path, **sent)
        assert "shutting down" in check_refusal(answer, 503)
        assert answer.headers["connection"] == "close"
    assert service.get("/v2/health/live").status_code == 200
    assert service.end()[0] == 0


def one_line(errors: str) -> str:
    assert len(errors.splitlines()) == 1, errors
    message: str = json.loads(errors)["message"]
    return message


@pytest.mark.parametrize("name", SERVICES)
def test_a_model_that_is_not_there_ends_the_start_with_one_line(
    name: str, launch: Callable[..., Any], environment: Callable[[str], dict[str, str]]
) -> None:
    given = environment(name)
    variable = MODEL_SETTINGS.get(name, "TORCH_MODEL_URI")
    service = launch(name, **{**given, variable: "gs://models/nowhere/model"})
    service.process.wait(timeout=120)
    status, errors = service.end()
    assert status == 1
    assert "gs://models/nowhere/model does not exist: publish" in one_line(errors)


def test_pixels_that_do_not_fit_the_model_end_the_start_with_one_line(
    launch: Callable[..., Any], environment: Callable[[str], dict[str, str]]
) -> None:
    service = launch("onnx", **environment("onnx"), PIXELS="pillow")
    service.process.wait(timeout=120)
    status, errors = service.end()
    assert status == 1
    assert "model.onnx has the transform of images inside, and PIXELS" in one_line(errors)


@pytest.mark.parametrize("name", ["onnx", RUST])
def test_a_store_that_is_down_keeps_the_service_unready_and_then_ends_it(
    name: str, launch: Callable[..., Any], jpeg: bytes
) -> None:
    model = {MODEL_SETTINGS[name]: f"gs://models/weather/{MODELS[name]}"}
    service = launch(name, **model, LOCAL_STORE="models=http://127.0.0.1:9", STORE_TIMEOUT_S="4")
    seen = set()
    while service.process.poll() is None:
        try:
            seen.add(("ready", service.get("/v2/health/ready").status_code))
            answer = service.post(jpeg)
            assert int(answer.headers["retry-after"]) >= 1
            seen.add(("predict", answer.status_code))
        except OSError:
            continue
    status, errors = service.end()
    assert seen >= {("ready", 503), ("predict", 503)}
    assert {status for _, status in seen} == {503}
    assert status == 1
    assert "could not be reached for 4 s" in one_line(errors)


@pytest.mark.parametrize(
    ("address", "settings", "says"),
    [
        ("", {}, "{variable} is not set"),
        ("gs://a/b", {"MAX_PIXELS": "many"}, "MAX_PIXELS='many'"),
    ],
)
@pytest.mark.parametrize("name", ["torch", RUST])
def test_a_wrong_setting_ends_the_start_with_one_line(
    name: str, launch: Callable[..., Any], address: str, settings: dict[str, str], says: str
) -> None:
    variable = MODEL_SETTINGS.get(name, "TORCH_MODEL_URI")
    service = launch(name, **{variable: address}, **settings)
    service.process.wait(timeout=120)
    status, errors = service.end()
    assert status == 1
    assert says.format(variable=variable) in one_line(errors)


def test_a_file_that_is_no_graph_is_refused_with_what_to_do(tmp_path: Path) -> None:
    graph = tmp_path / "model.onnx"
    graph.write_bytes(b"no graph")
    statistics = (0.5, 0.5, 0.5)
    transform = ServedTransform(256, 224, statistics, statistics)
    classifier = Classifier(None, ("rain", "snow"), transform, 0.05, softmax=False)
    with pytest.raises(StartError, match=r"model\.onnx is not a graph .*: publish the model again, or give"):
        OnnxEngine().load(graph, network_of(classifier, "image"), Compute())


@pytest.mark.parametrize("name", ["torch", RUST])
def test_a_busy_port_ends_the_start_with_one_line(name: str, launch: Callable[..., Any]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        model = {MODEL_SETTINGS.get(name, "TORCH_MODEL_URI"): "gs://a/b"}
        service = launch(name, **model, PORT=str(port))
        service.process.wait(timeout=120)
        status, errors = service.end()
    assert status == 1
    assert f"PORT={port}" in one_line(errors)
