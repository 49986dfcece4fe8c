"""What all tests share: the `engine` marker, the project's containers, and its services as processes."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
from hypothesis import HealthCheck, settings

from tests.contract.left_out import reason_to_leave_out
from tests.running.compose import Project, engine_answers, running_project
from tests.running.package_index import require_index
from tests.running.ports import free_port
from tests.running.processes import ROOT, SERVICES, Running, model_environment, start
from tests.running.rust import BUILD_S, required, what_is_missing
from tests.running.workers import CONTAINERS, MAKE_BENCH, Groups, group_of, made_once

# tests import ONNX Runtime too, whose wheel otherwise reports its use to its maker
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
# threads that spin while they wait take the cores from other tests, and double what an export costs
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# what starts programs, and so is no part of `make quick`
SLOW_FIXTURES = {
    "bench",
    "composed",
    "emulator",
    "installed",
    "launch",
    "other_hosts",
    "page",
    "prepared",
    "published",
    "running",
    "rust",
    "service",
    "services",
    "store",
    "stub_server",
    "tiny",
    "wheel",
}
# threads that wait for each other on busy cores take many times as long as a thread alone
ONE_THREAD = {**os.environ, "OMP_NUM_THREADS": "1"}

# a busy machine makes an example slow, and none wrong
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")


def pytest_configure() -> None:
    """Let Ctrl-C reach what tests start: a shell's background jobs ignore it, and hand that down."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Say which tests one process runs and in which order, and skip what needs an engine where none answers.

    REQUIRE_ENGINE=1 makes that a failure. A file's tests stay in one process, which so makes what they share
    once, and so do all tests of the project's containers. These take longest and
    begin; `make bench` follows, then what is slow.
    """
    for item in items:
        if SLOW_FIXTURES & set(getattr(item, "fixturenames", ())) or item.get_closest_marker("engine"):
            item.add_marker(pytest.mark.slow)
    slow = {group_of(item.nodeid) for item in items if item.get_closest_marker("slow")}

    def place(item: pytest.Item) -> tuple[bool, bool, bool]:
        group = group_of(item.nodeid)
        return group != CONTAINERS, group != MAKE_BENCH, group not in slow

    items.sort(key=place)
    for item in items:
        if {"service", "services"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.timeout(1200))  # the first of them may have to build the images
    _choose_of_rust([item for item in items if item.get_closest_marker("rust")])
    marked = [item for item in items if item.get_closest_marker("engine")]
    if not marked or os.environ.get("REQUIRE_ENGINE") == "1" or engine_answers():
        return
    for item in marked:
        item.add_marker(pytest.mark.skip(reason="no Docker engine answers"))


def _choose_of_rust(items: list[pytest.Item]) -> None:
    """Skip what rust_serving leaves out, and all of its tests where it cannot be built.

    REQUIRE_RUST=1 makes the latter a failure.
    """
    missing = None if required() else what_is_missing()
    for item in items:
        item.add_marker(pytest.mark.timeout(BUILD_S))  # the first of them builds it
        if (reason := reason_to_leave_out(item.nodeid) or missing) is not None:
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Groups:
    """Divide the tests among the processes by group."""
    config.option.loadscopereorder = False
    return Groups(config, log)


@pytest.fixture(scope="session")
def composed() -> Iterator[Project]:
    """The compose project, built and started once for all tests."""
    with running_project() as running:
        yield running


@pytest.fixture(scope="session")
def package_index(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A package index; without one the test is skipped, or fails if REQUIRE_ENGINE=1."""
    require_index(tmp_path_factory.mktemp("index"))


@contextmanager
def model_store(folder: Path) -> Iterator[str]:
    """Start an emulator of Google Cloud Storage with a bucket `models` upon a folder; give its address."""
    port = free_port()
    options = ["start", "--host", "127.0.0.1", "--port", str(port), "--quiet"]
    command = [sys.executable, "-m", "gcp_storage_emulator", *options, "--default-bucket", "models"]
    with subprocess.Popen(command, env={**os.environ, "STORAGE_BASE": str(folder)}) as process:
        url = f"http://127.0.0.1:{port}"
        for _ in range(2000):
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

    def export(path: Path) -> None:
        command = [sys.executable, "-m", "modelkit", "export", "--output", str(path)]
        subprocess.run(command, cwd=ROOT, check=True, env=ONE_THREAD, capture_output=True, timeout=600)

    return made_once(tmp_path_factory, "exported.onnx", export)


@pytest.fixture(scope="session")
def published(graph: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The emulator's address, with weights, graph and manifest in gs://models/weather."""

    def publish(folder: Path) -> None:
        with model_store(folder) as address:
            command = [sys.executable, "-m", "modelkit", "publish", "--graph", str(graph)]
            subprocess.run(
                [*command, "--to", "gs://models/weather"],
                cwd=ROOT,
                check=True,
                env={**ONE_THREAD, "STORAGE_EMULATOR_HOST": address},
                capture_output=True,
                timeout=600,
            )

    own = tmp_path_factory.mktemp("store") / "copy"
    shutil.copytree(made_once(tmp_path_factory, "published", publish), own)
    with model_store(own) as address:
        yield address


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
    """The labels, and the images with their bytes ("content") and the answers expected for them."""
    folder = ROOT / "images"
    requests: list[dict[str, Any]] = json.loads((folder / "manifest.json").read_text())["requests"]
    images = [
        {
            "file": one["name"],
            "kind": one["class"],
            "content": (folder / one["tensors"][0]["file"]).read_bytes(),
            "expected": {**one["expect"], "probabilities": list(one["expect"]["probabilities"].values())},
        }
        for one in requests
    ]
    return {"labels": list(requests[0]["expect"]["probabilities"]), "images": images}


@pytest.fixture(scope="session")
def jpeg(image_set: dict[str, Any]) -> bytes:
    """A small JPEG of the image set."""
    content: bytes = next(image["content"] for image in image_set["images"] if image["kind"] == "small")
    return content
