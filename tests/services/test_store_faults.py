"""A service whose model does not come whole ends its start: exit status 1 and one line with the remedy."""

import json
import resource
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.running.processes import MODEL_SETTINGS, MODELS
from tests.running.rust import RUST

Change = Callable[[bytes], tuple[int, bytes, int]]


@dataclass
class Front:
    """A store in front of another: `change` gives each download's status, body and promised length."""

    url: str = ""
    change: Change = field(default=lambda body: (200, body, len(body)))


@pytest.fixture
def front(published: str) -> Iterator[Front]:
    """A store that passes on what is published, changed."""
    made = Front()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            upstream = requests.get(published + self.path, timeout=120)
            status, body, length = upstream.status_code, upstream.content, len(upstream.content)
            if "alt=media" in self.path and ".onnx" in self.path:
                status, body, length = made.change(body)
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(length))
            self.end_headers()
            self.wfile.write(body)
            self.close_connection = True

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        made.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield made
        server.shutdown()
        thread.join()


@pytest.fixture(params=["onnx", RUST])
def name(request: pytest.FixtureRequest) -> str:
    """A service that pulls a graph."""
    chosen: str = request.param
    return chosen


def address_of(name: str) -> str:
    return f"gs://models/weather/{MODELS[name]}"


def given(name: str, front: Front, cache: Path) -> dict[str, str]:
    store = {"LOCAL_STORE": f"models={front.url}", "MODEL_CACHE_DIR": str(cache)}
    return {MODEL_SETTINGS[name]: address_of(name), **store}


def refusal(name: str, launch: Callable[..., Any], front: Front, cache: Path, **settings: str) -> str:
    """Start a service that cannot; return its last words, nothing having been kept."""
    service = launch(name, **given(name, front, cache), **settings)
    service.process.wait(timeout=120)
    status, errors = service.end()
    assert status == 1
    assert len(errors.splitlines()) == 1, errors
    line = json.loads(errors)
    assert "trace" not in line
    assert [path.name for path in cache.iterdir()] == []
    message: str = line["message"]
    return message


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda _: (403, b"no", 2), "may not be read"),
        (lambda _: (404, b"", 0), "does not exist: publish the model or correct the address"),
        (lambda body: (200, body[:-1000], len(body)), "arrived damaged (the transfer ended early"),
        (
            lambda body: (200, body[:-1] + bytes([body[-1] ^ 1]), len(body)),
            "arrived damaged (its crc32c differs)",
        ),
    ],
    ids=["denied", "missing", "truncated", "changed"],
)
def test_a_model_that_does_not_come_whole_ends_the_start_with_one_line(
    name: str, launch: Callable[..., Any], front: Front, tmp_path: Path, change: Change, says: str
) -> None:
    front.change = change
    said = refusal(name, launch, front, tmp_path)
    assert said.startswith(f"cannot start: {address_of(name)} {says}")


@pytest.mark.parametrize("status", [429, 500])
def test_a_store_that_keeps_failing_is_named_when_the_time_is_over(
    name: str, launch: Callable[..., Any], front: Front, tmp_path: Path, status: int
) -> None:
    front.change = lambda _: (status, b"", 0)
    said = refusal(name, launch, front, tmp_path, STORE_TIMEOUT_S="4")
    assert said.startswith(f"cannot start: {address_of(name)} could not be reached for 4 s ({status} ")


def test_a_full_disk_ends_the_start_with_one_line(
    name: str, launch: Callable[..., Any], front: Front, tmp_path: Path
) -> None:
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(tmp_path)], capture_output=True, check=False
    )
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    if mounted.returncode:  # only root has disks to make small: let files be small instead
        resource.setrlimit(resource.RLIMIT_FSIZE, (65536, before[1]))
    try:
        said = refusal(name, launch, front, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        if not mounted.returncode:
            subprocess.run(["umount", str(tmp_path)], check=True)
    assert said.startswith(f"cannot start: {address_of(name)} cannot be kept in MODEL_CACHE_DIR={tmp_path} (")
    assert said.endswith("): make room or grant access")


def test_two_services_started_at_once_on_one_cache_are_both_ready(
    name: str, launch: Callable[..., Any], front: Front, tmp_path: Path, jpeg: bytes
) -> None:
    together = threading.Barrier(2)

    def change(body: bytes) -> tuple[int, bytes, int]:
        together.wait(timeout=120)  # both have begun to download
        return 200, body, len(body)

    front.change = change
    both = [launch(name, **given(name, front, tmp_path)) for _ in range(2)]
    for service in both:
        service.wait_until_ready()
    assert [service.post(jpeg).status_code for service in both] == [200, 200]
    assert [service.end()[0] for service in both] == [0, 0]
    assert sorted(path.name.partition("-")[2] for path in tmp_path.iterdir()) == ["model.json", MODELS[name]]
