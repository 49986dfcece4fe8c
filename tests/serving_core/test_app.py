"""The app around an engine that misbehaves."""

import asyncio
import hashlib
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
import uvicorn
from PIL import Image

from serving_core.dispatch import Direct, Pipeline
from serving_core.engine import Batching, Compute, Takes
from serving_core.http.app import create_app
from serving_core.http.predict import BodyReader
from serving_core.network import Arrays, Network
from serving_core.settings import Settings
from serving_core.workers import Workers

MANIFEST = """{"name": "m", "architecture": "a", "labels": ["x", "y"], "transform": {"resize": 8, "crop": 8,
"interpolation": "bilinear", "antialias": true, "mean": [0, 0, 0], "std": [1, 1, 1]},
"files": {"weights": {"sha256": "%s"}}}"""


class FaultyEngine:
    """Fails on images whose first pixel is white."""

    name = "faulty"
    takes: Sequence[Takes] = ("crop",)
    batching = Batching()

    def load(self, path: Path, network: Network, compute: Compute) -> None:
        """Need nothing."""

    def warm(self, examples: Sequence[Arrays]) -> None:
        """Need nothing."""

    def predict(self, inputs: Arrays) -> Arrays:
        (batch,) = inputs
        if batch[0, 0, 0, 0] == 255:
            raise ZeroDivisionError("a secret of ours")
        return [np.zeros((len(batch), 2), np.float32)]


class Mortal(Direct):
    """A dispatcher that can be killed."""

    dead = False

    def alive(self) -> bool:
        return not self.dead


@dataclass(frozen=True)
class Client:
    """Talks to an app on a real server in this process."""

    url: str
    service: Any

    @property
    def dispatcher(self) -> Any:
        return self.service.models["m"].dispatcher

    def get(self, path: str) -> requests.Response:
        return requests.get(self.url + path, timeout=120)

    def post(self, level: int) -> requests.Response:
        headers = {"Content-Type": "application/octet-stream"}
        return requests.post(f"{self.url}/predict/", bmp(level), headers=headers, timeout=120)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """The settings of a service with a published model."""
    (tmp_path / "model.json").write_text(MANIFEST % hashlib.sha256(b"weights").hexdigest())
    weights = tmp_path / "weights"
    weights.write_bytes(b"weights")
    return Settings(service="test", model_uri=weights.as_uri(), threads=1, body_timeout_s=1)


@pytest.fixture
def client(settings: Settings) -> Iterator[Client]:
    app = create_app(FaultyEngine, settings, Mortal)
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, loop="asyncio"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        client = Client(f"http://127.0.0.1:{listener.getsockname()[1]}", app.state.service)
        while client.get("/v2/health/ready").status_code != 200:
            assert client.service.alive(), client.service.lifecycle.failure
            time.sleep(0.005)
        yield client
        server.should_exit = True
        thread.join()


def bmp(level: int) -> bytes:
    buffer = BytesIO()
    Image.new("RGB", (8, 8), (level, level, level)).save(buffer, "BMP")
    return buffer.getvalue()


def test_an_engines_fault_is_500_without_its_trace_and_the_next_request_is_answered(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    broken = client.post(255)
    assert broken.status_code == 500
    assert "secret" not in broken.text
    assert broken.json().keys() == {"error"}
    logged = next(record for record in caplog.records if record.message == "a request failed")
    assert logged.__dict__["request_id"] == broken.headers["x-request-id"]
    assert client.post(0).json() == {"prediction": "x", "probabilities": {"x": 0.5, "y": 0.5}}


def test_a_dead_dispatcher_turns_liveness_and_readiness_off(client: Client) -> None:
    service = client.service
    assert client.get("/v2/health/live").status_code == 200
    client.dispatcher.dead = True
    assert client.get("/v2/health/live").status_code == 503
    assert client.get("/v2/health/ready").status_code == 503
    assert service.lifecycle.failure


def test_every_answer_has_a_line_in_the_log_with_its_id_where_detail_is_asked_for(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", "serving_core")
    asked = [client.post(0), client.get("/ping"), client.get("/nowhere"), client.get("/predict/")]
    asked.append(client.get("/api-description"))
    lines = {record.__dict__.get("request_id"): record.__dict__ for record in caplog.records}
    found = [lines[answer.headers["x-request-id"]] for answer in asked]
    assert [(line["route"], line["status"]) for line in found] == [
        *(("/predict/", 200), ("/ping", 200), ("other", 404), ("/predict/", 405)),
        ("/api-description", 200),
    ]


def test_the_deadline_bounds_the_body_too(client: Client) -> None:
    answer = stalled(client, "image/jpeg", "X-Request-Timeout-Ms: 50\r\n")
    assert answer.startswith(b"HTTP/1.1 504 ")
    assert b"\r\nconnection: close\r\n" in answer


def test_an_engine_that_exits_is_500_and_ends_nothing(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def leave(_: FaultyEngine, __: Arrays) -> Arrays:
        raise SystemExit(3)

    with monkeypatch.context() as patch:
        patch.setattr(FaultyEngine, "predict", leave)
        broken = client.post(0)
    assert (broken.status_code, broken.json().keys()) == (500, {"error"})
    assert client.post(0).status_code == 200


def test_a_service_whose_threads_all_hang_says_that_it_is_dead(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = threading.Event()
    client.dispatcher._workers._patience_s = 0.05

    def hang(_: FaultyEngine, inputs: Arrays) -> Arrays:
        gate.wait(20)
        return [np.zeros((len(inputs[0]), 2), np.float32)]

    monkeypatch.setattr(FaultyEngine, "predict", hang)
    headers = {"Content-Type": "application/octet-stream", "X-Request-Timeout-Ms": "100"}
    late = requests.post(f"{client.url}/predict/", bmp(0), headers=headers, timeout=120)
    assert late.status_code == 504
    assert client.get("/ping").status_code == 503
    gate.set()


def test_what_a_stop_does_not_wait_for_is_told_so(
    client: Client, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As uvicorn ends a task whose time is over: by cancelling it."""
    begun = threading.Event()

    async def answer(_: object) -> None:
        task = asyncio.current_task()
        assert task is not None
        begun.set()
        client.service.lifecycle.draining = True
        asyncio.get_running_loop().call_soon(task.cancel)
        await asyncio.sleep(20)

    monkeypatch.setattr(client.dispatcher, "answer", answer)
    told = client.post(0)
    assert begun.is_set()
    assert (told.status_code, told.json().keys(), told.headers["connection"]) == (503, {"error"}, "close")
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [("gzip", "gzip"), ("gzip;q=0.5, br", "gzip"), ("identity", None), ("gzip;q=0, identity", None)],
)
def test_text_is_compressed_for_who_wants_it(client: Client, accepted: str, encoding: str | None) -> None:
    answer = requests.get(f"{client.url}/metrics", headers={"Accept-Encoding": accepted}, timeout=120)
    assert answer.headers.get("content-encoding") == encoding
    assert "request_duration_seconds" in answer.text


def test_draining_refuses_new_work_and_asks_to_close(client: Client) -> None:
    service = client.service
    service.lifecycle.draining = True
    refused = client.post(0)
    assert (refused.status_code, refused.headers["connection"]) == (503, "close")
    assert int(refused.headers["retry-after"]) >= 1
    assert client.get("/v2/health/ready").status_code == 503
    assert client.get("/v2/health/live").status_code == 200


def stalled(client: Client, kind: str, more: str = "") -> bytes:
    """Send a request whose body never comes; return the whole answer, up to the server's close."""
    head = f"POST /predict/ HTTP/1.1\r\nHost: x\r\nContent-Type: {kind}\r\nContent-Length: 9\r\n{more}\r\n"
    port = int(client.url.rpartition(":")[2])
    answer = b""
    with socket.create_connection(("127.0.0.1", port), timeout=120) as connection:
        connection.sendall(head.encode())
        while piece := connection.recv(4096):
            answer += piece
    return answer


def test_a_refusal_whose_body_stalls_closes_the_connection(client: Client) -> None:
    answer = stalled(client, "text/plain")
    assert answer.startswith(b"HTTP/1.1 415 ")
    assert b"\r\nconnection: close\r\n" in answer


def test_a_refused_body_is_kept_and_counted_no_longer_while_the_rest_of_it_is_thrown_away(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[object] = []
    admission, settings = client.service.admission, client.service.settings
    really_discard = BodyReader.discard

    async def discard(reader: BodyReader, timeout_s: float) -> bool:
        refusal = sys.exception()
        assert refusal is not None
        admission.check(settings.queue_bytes)  # raises unless nothing is counted
        seen.append((reader.held_bytes, refusal.__traceback__))
        return await really_discard(reader, timeout_s)

    monkeypatch.setattr(BodyReader, "discard", discard)
    half = bytes(settings.max_body_bytes // 2 + 1)
    body = (half for _ in range(2))
    answer = requests.post(f"{client.url}/predict/", body, headers={"Content-Type": "image/png"}, timeout=120)
    assert answer.status_code == 413
    assert seen == [(0, None)]


def test_a_body_that_was_late_once_is_not_waited_for_again(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def discard(_: BodyReader, __: float) -> bool:
        raise AssertionError("it has had its time")

    monkeypatch.setattr(BodyReader, "discard", discard)
    answer = stalled(client, "image/jpeg")
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"\r\nconnection: close\r\n" in answer


def test_a_fault_of_another_route_is_500_with_the_id_under_which_it_is_logged(
    client: Client, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def render(_: str) -> tuple[bytes, str]:
        raise ZeroDivisionError("a secret of ours")

    monkeypatch.setattr(client.service.metrics, "render", render)
    broken = client.get("/metrics")
    assert broken.status_code == 500
    assert broken.json().keys() == {"error"}
    assert "secret" not in broken.text
    logged = next(record for record in caplog.records if record.message == "a request failed")
    assert logged.__dict__["request_id"] == broken.headers["x-request-id"]


def test_each_504_is_counted_once(client: Client) -> None:
    def expired() -> float:
        return float(client.service.metrics.dropped.labels("expired")._value.get())

    def late(body: bytes) -> requests.Response:
        headers = {"Content-Type": "application/octet-stream", "X-Request-Timeout-Ms": "20"}
        return requests.post(f"{client.url}/predict/", body, headers=headers, timeout=120)

    gate = threading.Event()
    client.dispatcher._workers.submit = _slow(client.dispatcher._workers.submit, gate)
    assert late(bmp(0)).status_code == 504
    gate.set()
    assert expired() == 1


def _slow(submit: Callable[[Callable[[], Any]], Any], gate: threading.Event) -> Callable[..., Any]:
    return lambda work: submit(lambda: gate.wait(10) and work())


def test_a_dispatcher_that_cannot_be_made_ends_the_service(settings: Settings) -> None:
    def broken(_: Pipeline, __: Settings, ___: Workers) -> Direct:
        raise OSError("no device")

    app = create_app(FaultyEngine, settings, broken)
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, loop="asyncio"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        give_up = time.monotonic() + 100
        while app.state.service.alive() and time.monotonic() < give_up:
            time.sleep(0.005)
        server.should_exit = True
        thread.join()
    assert not app.state.service.alive()
    assert "no device" in app.state.service.lifecycle.failure
    assert not app.state.service.lifecycle.ready
