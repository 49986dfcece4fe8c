"""What all tests share: the `engine` marker, the project's containers, and its services as processes."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.running.compose import Project, engine_answers, running_project
from tests.running.processes import ROOT, SERVICES, Running, free_port, model_environment, start


def pytest_configure() -> None:
    """Let Ctrl-C reach what tests start: a shell's background jobs ignore it, and hand that down."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs an engine where none answers, unless REQUIRE_ENGINE=1 makes that a failure."""
    for item in items:
        if "services" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.timeout(1200))  # the first of them may have to build the images
    marked = [item for item in items if item.get_closest_marker("engine")]
    if not marked or os.environ.get("REQUIRE_ENGINE") == "1" or engine_answers():
        return
    for item in marked:
        item.add_marker(pytest.mark.skip(reason="no Docker engine answers"))


@pytest.fixture(scope="session")
def project() -> Iterator[Project]:
    """The compose project, built and started once for all tests."""
    with running_project() as running:
        yield running


@pytest.fixture(scope="session")
def model_store() -> Iterator[str]:
    """The emulator's address, with an empty bucket `models`."""
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
    """The exported graph's file."""
    path = tmp_path_factory.mktemp("graph") / "exported.onnx"
    command = [sys.executable, "-m", "modelkit", "export", "--output", str(path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=300)
    return path


@pytest.fixture(scope="session")
def published(model_store: str, graph: Path) -> str:
    """The emulator's address, with weights, graph and manifest in gs://models/weather."""
    command = [sys.executable, "-m", "modelkit", "publish", "--graph", str(graph)]
    environment = {**os.environ, "STORAGE_EMULATOR_HOST": model_store}
    subprocess.run(
        [*command, "--to", "gs://models/weather"],
        cwd=ROOT,
        check=True,
        env=environment,
        capture_output=True,
        timeout=300,
    )
    return model_store


@pytest.fixture(scope="session")
def launch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Running]]:
    """Starts a service process, launch(name, **environment); all are ended at the end."""
    cache = tmp_path_factory.mktemp("cache")
    with ExitStack() as ends:  # one that does not end keeps no other from it

        def launch_one(name: str, **environment: str) -> Running:
            running = start(name, cache, **environment)
            ends.callback(running.end)
            return running

        yield launch_one


@pytest.fixture(scope="session")
def environment(published: str) -> Callable[[str], dict[str, str]]:
    """The environment with which a service process finds its published model."""
    return lambda name: model_environment(name, published)


@pytest.fixture(scope="session")
def running(
    launch: Callable[..., Running], environment: Callable[[str], dict[str, str]]
) -> dict[str, Running]:
    """All three services as processes, ready."""
    services = {name: launch(name, **environment(name)) for name in SERVICES}
    for service in services.values():
        service.wait_until_ready()
    return services


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
