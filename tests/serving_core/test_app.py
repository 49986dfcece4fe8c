"""The app around an engine that misbehaves."""

import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import requests
import uvicorn
from PIL import Image

from serving_core.app import create_app
from serving_core.dispatch import Direct
from serving_core.engine import Logits, Pixels
from serving_core.manifest import Manifest
from serving_core.settings import Settings

MANIFEST = """{"name": "m", "architecture": "a", "labels": ["x", "y"], "transform": {"resize": 8, "crop": 8,
"interpolation": "bilinear", "antialias": true, "mean": [0, 0, 0], "std": [1, 1, 1]}}"""


class FaultyEngine:
    """Fails on images whose first pixel is not black."""

    name = "faulty"
    takes: Literal["crop", "image"] = "crop"

    def load(self, path: Path, manifest: Manifest, threads: int) -> None:
        """Need nothing."""

    def warm(self) -> None:
        """Need nothing."""

    def predict(self, batch: Pixels) -> Logits:
        if batch[0, 0, 0, 0]:
            raise ZeroDivisionError("a secret of ours")
        return np.zeros((len(batch), 2), np.float32)


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

    def get(self, path: str) -> requests.Response:
        return requests.get(self.url + path, timeout=10)

    def post(self, level: int) -> requests.Response:
        headers = {"Content-Type": "application/octet-stream"}
        return requests.post(f"{self.url}/predict/", bmp(level), headers=headers, timeout=10)


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    (tmp_path / "model.json").write_text(MANIFEST)
    weights = tmp_path / "weights"
    weights.write_bytes(b"weights")
    settings = Settings(service="test", model_uri=weights.as_uri(), threads=1)
    app = create_app(FaultyEngine, settings, Mortal)
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, loop="asyncio"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        client = Client(f"http://127.0.0.1:{listener.getsockname()[1]}", app.state.service)
        while client.get("/v2/health/ready").status_code != 200:
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
    service.dispatcher.dead = True
    assert client.get("/v2/health/live").status_code == 503
    assert client.get("/v2/health/ready").status_code == 503
    assert service.lifecycle.failure


def test_draining_refuses_new_work_and_asks_to_close(client: Client) -> None:
    service = client.service
    service.lifecycle.draining = True
    refused = client.post(0)
    assert (refused.status_code, refused.headers["connection"]) == (503, "close")
    assert int(refused.headers["retry-after"]) >= 1
    assert client.get("/v2/health/ready").status_code == 503
    assert client.get("/v2/health/live").status_code == 200
