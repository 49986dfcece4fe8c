"""How services start, stop and refuse to start."""

import asyncio
import json
import socket
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

SERVICES = ("torch", "onnx", "batched")
CLIENTS = 50


async def exchange(port: int, body: bytes) -> str:
    """Send one request on a connection of its own; return its status, or what became of it."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except ConnectionRefusedError:
        return "refused"
    try:
        head = "POST /predict/ HTTP/1.1\r\nHost: x\r\nContent-Type: image/jpeg\r\n"
        head += f"Content-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        status = (await reader.readline()).split(b" ")
        return status[1].decode() if len(status) > 1 else "cut off"
    except ConnectionError:
        return "reset"
    finally:
        writer.close()


async def keep_asking(port: int, body: bytes, outcomes: Counter[str]) -> None:
    while True:
        outcome = await exchange(port, body)
        outcomes[outcome] += 1
        if outcome == "refused":
            return


async def stop_under_load(service: Any, body: bytes) -> Counter[str]:
    outcomes: Counter[str] = Counter()
    async with asyncio.TaskGroup() as clients:
        for _ in range(CLIENTS):
            clients.create_task(keep_asking(service.port, body, outcomes))
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
    outcomes = asyncio.run(stop_under_load(service, jpeg))
    status, errors = service.end()
    assert outcomes.keys() <= {"200", "503", "refused"}, outcomes
    assert outcomes["503"] > 0
    assert outcomes["refused"] == CLIENTS
    assert status == 0
    lines = [json.loads(line) for line in errors.splitlines()]
    assert [line["message"] for line in lines] == ["ready", "stopped"]
    assert lines[0]["startup_phases_s"].keys() == {"imports", "pull", "load", "warm_up"}


def test_limits_of_time_and_queue_are_kept(
    launch: Callable[..., Any], environment: Callable[[str], dict[str, str]], jpeg: bytes
) -> None:
    service = launch("torch", **environment("torch"), QUEUE_LIMIT="2", BODY_TIMEOUT_S="0.3")
    service.wait_until_ready()

    async def burst() -> list[str]:
        return await asyncio.gather(*(exchange(service.port, jpeg) for _ in range(100)))

    outcomes = Counter(asyncio.run(burst()))
    assert outcomes.keys() == {"200", "429"}, outcomes
    with socket.create_connection(("127.0.0.1", service.port), timeout=10) as client:
        client.sendall(
            b"POST /predict/ HTTP/1.1\r\nHost: x\r\nContent-Type: image/jpeg\r\nContent-Length: 9\r\n\r\n"
        )
        answer = client.recv(4096)
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b"\r\nconnection: close\r\n" in answer
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
