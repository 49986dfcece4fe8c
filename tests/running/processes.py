"""Services as processes on this machine."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import requests

from tests.running.ports import free_port
from tests.running.rust import rust_command, rust_environment

ROOT = Path(__file__).parents[2]
# a service in Python -> the file of its model; rust_serving is optional, so the tests of all services name it
SERVICES = {"torch": "weights.safetensors", "onnx": "model.onnx", "batched": "weights.safetensors"}
MODELS = {**SERVICES, "rust": "network.onnx"}
# a service -> the setting of its model's address
MODEL_SETTINGS = {"onnx": "ONNX_MODEL_URI", "rust": "ONNX_NETWORK_URI"}
START_S = 240
# GRACE_S and DRAIN_LINGER_S by default, and what a stop may take beyond: closing the port, the last words
STOP_S = 8.0 + 0.5 + 4.0
# until one that does not end is killed
END_S = 120


@dataclass
class Running:
    """One service process."""

    name: str
    url: str
    port: int
    process: subprocess.Popen[str]
    told_to_stop_at: datetime | None = None

    def post(
        self, body: bytes, content_type: str | None = "image/jpeg", path: str = "/predict/", **headers: str
    ) -> requests.Response:
        return post(self.url + path, body, content_type, **headers)

    def get(self, path: str) -> requests.Response:
        return requests.get(self.url + path, timeout=120)

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
        self.told_to_stop_at = datetime.now(UTC)
        self.process.send_signal(signal.SIGTERM)

    def end(self) -> tuple[int, str]:
        """Stop the process if it runs and was not told to stop; return its exit status and standard error."""
        if self.process.poll() is None and self.told_to_stop_at is None:
            self.stop()
        try:
            _, errors = self.process.communicate(timeout=END_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()
            raise
        return self.process.returncode, errors

    def stopping_s(self, errors: str) -> float:
        """Return the seconds from the signal to stop until the service logged that it has."""
        line = json.loads(errors.splitlines()[-1])
        assert (line["message"], self.told_to_stop_at is None) == ("stopped", False), errors
        assert self.told_to_stop_at
        return (datetime.fromisoformat(line["time"]) - self.told_to_stop_at).total_seconds()


def post(url: str, body: bytes, content_type: str | None, **headers: str) -> requests.Response:
    """POST without following redirects; a header is named in Python's way, X_Request_Id."""
    named = {key.replace("_", "-"): value for key, value in headers.items()}
    if content_type is not None:
        named["Content-Type"] = content_type
    return requests.post(url, body, headers=named, timeout=120, allow_redirects=False)


def start(name: str, cache: Path, **environment: str) -> Running:
    """Start a service on a free port with the environment given."""
    port = free_port()
    variables = {"HOST": "127.0.0.1", "PORT": str(port), "MODEL_CACHE_DIR": str(cache), **environment}
    command = [sys.executable, "-m", f"{name}_serving"]
    if name == "rust":
        command, variables = rust_command(), rust_environment() | variables
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, **variables},
        stderr=subprocess.PIPE,
        text=True,
    )
    return Running(name, f"http://127.0.0.1:{port}", port, process)


def model_environment(name: str, store: str) -> dict[str, str]:
    """Return the environment with which a service finds the model published in `store`."""
    variable = MODEL_SETTINGS.get(name, "TORCH_MODEL_URI")
    return {variable: f"gs://models/weather/{MODELS[name]}", "LOCAL_STORE": f"models={store}"}
