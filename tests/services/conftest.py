"""The three services as real processes, pulling what the publisher put into a real emulator."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

ROOT = Path(__file__).resolve().parents[2]
SERVICES = {"torch": "weights.safetensors", "onnx": "model.onnx", "batched": "weights.safetensors"}
START_S = 60


@dataclass
class Running:
    """One service process."""

    name: str
    url: str
    port: int
    process: subprocess.Popen[str]
    told_to_stop: bool = False

    def post(self, body: bytes, content_type: str | None = "image/jpeg", **headers: str) -> requests.Response:
        named = {key.replace("_", "-"): value for key, value in headers.items()}
        if content_type is not None:
            named["Content-Type"] = content_type
        return requests.post(f"{self.url}/predict/", body, headers=named, timeout=30)

    def get(self, path: str) -> requests.Response:
        return requests.get(self.url + path, timeout=30)

    def wait_until_ready(self) -> None:
        give_up = time.monotonic() + START_S
        while time.monotonic() < give_up:
            assert self.process.poll() is None, self.process.stderr and self.process.stderr.read()
            with contextlib.suppress(requests.ConnectionError):
                if self.get("/v2/health/ready").status_code == 200:
                    return
            time.sleep(0.05)
        raise AssertionError(f"{self.name} was not ready within {START_S} s")

    def stop(self) -> None:
        """Tell the process to stop."""
        self.told_to_stop = True
        self.process.send_signal(signal.SIGTERM)

    def end(self) -> tuple[int, str]:
        """Stop the process if it runs and was not told to stop; return its exit status and standard error."""
        if self.process.poll() is None and not self.told_to_stop:
            self.stop()
        _, errors = self.process.communicate(timeout=30)
        return self.process.returncode, errors


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def model_store() -> Iterator[str]:
    """The emulator's address, with the model published to gs://models/weather."""
    port = free_port()
    options = ["start", "--host", "127.0.0.1", "--port", str(port), "--in-memory", "--quiet"]
    command = [sys.executable, "-m", "gcp_storage_emulator", *options, "--default-bucket", "models"]
    with subprocess.Popen(command) as process:
        url = f"http://127.0.0.1:{port}"
        for _ in range(200):
            try:
                requests.get(url, timeout=1)
                break
            except requests.ConnectionError:
                time.sleep(0.05)
        yield url
        process.kill()


@pytest.fixture(scope="session")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the exported graph."""
    path = tmp_path_factory.mktemp("graph") / "exported.onnx"
    command = [sys.executable, "-m", "modelkit", "export", "--output", str(path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=300)
    return path


@pytest.fixture(scope="session")
def published(model_store: str, graph: Path) -> str:
    """The emulator's address, with weights, graph and manifest in gs://models/weather."""
    command = [
        sys.executable,
        "-m",
        "modelkit",
        "publish",
        "--graph",
        str(graph),
        "--to",
        "gs://models/weather",
    ]
    environment = {**os.environ, "STORAGE_EMULATOR_HOST": model_store}
    subprocess.run(command, cwd=ROOT, check=True, env=environment, capture_output=True, timeout=300)
    return model_store


@pytest.fixture(scope="session")
def launch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Running]]:
    """Starts a service with the environment given; all are ended at the end."""
    cache = tmp_path_factory.mktemp("cache")
    started: list[Running] = []

    def start(name: str, **environment: str) -> Running:
        port = free_port()
        variables = {"HOST": "127.0.0.1", "PORT": str(port), "MODEL_CACHE_DIR": str(cache), **environment}
        process = subprocess.Popen(
            [sys.executable, "-m", f"{name}_serving"],
            cwd=ROOT,
            env={**os.environ, **variables},
            stderr=subprocess.PIPE,
            text=True,
        )
        running = Running(name, f"http://127.0.0.1:{port}", port, process)
        started.append(running)
        return running

    yield start
    for running in started:
        running.end()


def model_environment(name: str, store: str) -> dict[str, str]:
    variable = "ONNX_MODEL_URI" if name == "onnx" else "TORCH_MODEL_URI"
    return {variable: f"gs://models/weather/{SERVICES[name]}", "LOCAL_STORE": f"models={store}"}


@pytest.fixture(scope="session")
def environment(published: str) -> Callable[[str], dict[str, str]]:
    """The environment with which a service finds its published model."""
    return lambda name: model_environment(name, published)


@pytest.fixture(scope="session")
def running(launch: Callable[..., Running], published: str) -> dict[str, Running]:
    """All three services, ready."""
    services = {name: launch(name, **model_environment(name, published)) for name in SERVICES}
    for service in services.values():
        service.wait_until_ready()
    return services


@pytest.fixture(params=list(SERVICES))
def service(request: pytest.FixtureRequest, running: dict[str, Running]) -> Running:
    """One of the three, ready; shared by all tests."""
    return running[request.param]


@pytest.fixture(scope="session")
def image_set() -> dict[str, Any]:
    """The image set's manifest, with each image's bytes under "content"."""
    folder = ROOT / "images"
    manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_text())
    for image in manifest["images"]:
        image["content"] = (folder / image["file"]).read_bytes()
    return manifest


@pytest.fixture(scope="session")
def jpeg(image_set: dict[str, Any]) -> bytes:
    """A small JPEG of the image set."""
    content: bytes = next(image["content"] for image in image_set["images"] if image["kind"] == "small")
    return content
