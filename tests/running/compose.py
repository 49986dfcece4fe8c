"""The project's own containers."""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from shutil import which
from typing import Any

from tests.running.ports import free_port

ROOT = Path(__file__).parents[2]
# one of its own for each run of the tests, so that two at once do not take each other's containers down
PROJECT = f"model-serving-bench-test-{os.getpid()}"
PORT_SETTINGS = {"torch": "TORCH_PORT", "onnx": "ONNX_PORT", "batched": "BATCHED_PORT"}


@cache
def engine_answers() -> bool:
    """Tell whether there is a Docker engine."""
    if which("docker") is None:
        return False
    probe = subprocess.run(["docker", "info"], capture_output=True, timeout=120, check=False)
    return probe.returncode == 0


@dataclass(frozen=True)
class Project:
    """A running compose project and where its strategies answer."""

    environment: dict[str, str]
    addresses: dict[str, str]

    def compose(self, *words: str, check: bool = True, **settings: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["docker", "compose", *words],
            cwd=ROOT,
            env=self.environment | settings,
            capture_output=True,
            text=True,
            timeout=900,
            check=check,
        )

    def inspect(self, service: str) -> dict[str, Any]:
        container = self.compose("ps", "--all", "--quiet", service).stdout.strip()
        out = subprocess.run(["docker", "inspect", container], capture_output=True, text=True, check=True)
        found: dict[str, Any] = json.loads(out.stdout)[0]
        return found


@contextmanager
def running_project() -> Iterator[Project]:
    """Build and start all containers, and remove them afterwards."""
    ports = {name: free_port() for name in PORT_SETTINGS}
    environment = os.environ | {"COMPOSE_PROJECT_NAME": PROJECT}
    environment |= {PORT_SETTINGS[name]: str(port) for name, port in ports.items()}
    running = Project(environment, {name: f"http://127.0.0.1:{port}" for name, port in ports.items()})
    try:
        up = running.compose("up", "--build", "--detach", "--wait", "--wait-timeout", "300", check=False)
        # --wait counts the publisher, which ends by design, as a failure in some versions of Compose
        states = {name: running.inspect(f"{name}_serving")["State"] for name in PORT_SETTINGS}
        unhealthy = [name for name, state in states.items() if state["Health"]["Status"] != "healthy"]
        assert not unhealthy, up.stderr[-3000:] + running.compose("logs", "--tail", "30").stdout[-5000:]
        yield running
    finally:
        running.compose("down", "--volumes", "--remove-orphans", "--timeout", "5", check=False)
