"""How services start, stop and refuse to start."""

import asyncio
import json
import socket
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from tests.contract.encodings import ENCODINGS, MODEL, Request
from tests.contract.refusals import check_refusal
from tests.running.load import ask, bytes_of, until_stopped

SERVICES = ("torch", "onnx", "batched")
CLIENTS = 50
# one image and three, of each kind of route
MIX = ("raw", "json list", "multipart several", "by name json", "oip json", "oip binary", "oip raw")


async def exchange(port: int, sent: bytes) -> str:
    """Send one request on a connection of its own; return its status, or what became of it."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except ConnectionRefusedError:
        return "refused"
    status, _ = await ask(reader, writer, sent)
    writer.close()
    return status


async def keep_asking(port: int, sent: bytes, outcomes: Counter[str]) -> None:
    while True:
        outcome = await exchange(port, sent)
        outcomes[outcome] += 1
        if outcome == "refused":
            return


async def stop_under_load(service: Any, requests: list[Request]) -> Counter[str]:
    outcomes: Counter[str] = Counter()
    async with asyncio.TaskGroup() as clients:
        for number in range(CLIENTS):
            sent = bytes_of(requests[number % len(requests)])
            clients.create_task(keep_asking(service.port, sent, outcomes))
        while outcomes["200"] < CLIENTS:
            await asyncio.sleep(0.01)
        service.stop()
    return outcomes


@pytest.mark.parametrize("name", SERVICES)
def test_a_stop_under_load_answers_everybody_and_exits_0(
    name: str, launch: Callable[..., Any], environment: Callable[[str], dict[str, str]], jpeg: bytes
) -> None:
    service = launch(name, **environment(name))
    service.wait_until_ready()
    images = [jpeg] * 3
    outcomes = asyncio.run(stop_under_load(service, [ENCODINGS[kind].request(images) for kind in MIX]))
    status, errors = service.end()
    assert outcomes.keys() <= {"200", "503", "refused"}, outcomes
    assert outcomes["503"] > 0
    assert outcomes["refused"] == CLIENTS
    assert status == 0
    lines = [json.loads(line) for line in errors.splitlines()]
    assert [line["message"] for line in lines] == ["ready", "stopped"]
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
    assert service.end()[0] == 0
    assert outcomes.keys() <= {"200", "503"}, outcomes
    assert outcomes["200"] >= CLIENTS


def test_a_service_that_stops_says_so_wherever_it_is_asked(
    launch: Callable[..., Any], environment: Callable[[str], dict[str, str]], jpeg: bytes
) -> None:
    service = launch("onnx", **environment("onnx"), DRAIN_LINGER_S="3")
    service.wait_until_ready()
    service.stop()
    while service.get("/v2/health/ready").status_code == 200:
        pass
    for path in ("/v2/health/ready", f"/v2/models/{MODEL}/ready"):
        assert "shutting down" in check_refusal(service.get(path), 503)
    for name in MIX:
        request = ENCODINGS[name].request([jpeg])
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
    variable = next(key for key in given if key.endswith("_MODEL_URI"))
    service = launch(name, **{**given, variable: "gs://models/nowhere/model"})
    service.process.wait(timeout=60)
    status, errors = service.end()
    assert status == 1
    assert "gs://models/nowhere/model does not exist: publish" in one_line(errors)


def test_a_store_that_is_down_keeps_the_service_unready_and_then_ends_it(
    launch: Callable[..., Any], jpeg: bytes
) -> None:
    uri = "gs://models/weather/model.onnx"
    service = launch("onnx", ONNX_MODEL_URI=uri, LOCAL_STORE="models=http://127.0.0.1:9", STORE_TIMEOUT_S="4")
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
    ("settings", "says"),
    [
        ({"TORCH_MODEL_URI": ""}, "TORCH_MODEL_URI is not set"),
        ({"TORCH_MODEL_URI": "gs://a/b", "MAX_PIXELS": "many"}, "MAX_PIXELS='many'"),
    ],
)
def test_a_wrong_setting_ends_the_start_with_one_line(
    launch: Callable[..., Any], settings: dict[str, str], says: str
) -> None:
    service = launch("torch", **settings)
    service.process.wait(timeout=60)
    status, errors = service.end()
    assert status == 1
    assert says in one_line(errors)


def test_a_busy_port_ends_the_start_with_one_line(launch: Callable[..., Any]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        service = launch("torch", TORCH_MODEL_URI="gs://a/b", PORT=str(port))
        service.process.wait(timeout=60)
        status, errors = service.end()
    assert status == 1
    assert f"PORT={port}" in one_line(errors)
