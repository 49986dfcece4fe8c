"""docker/store.py: everybody may read the stand-in, and only who reaches it where it is written may write."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest

from tests.running.ports import free_port

ROOT = Path(__file__).parents[2]
# each of these is this machine, and another address to the store
ITSELF, PUBLISHER, SERVICE = "127.0.0.1", "127.0.0.2", "127.0.0.3"
OBJECT = "/storage/v1/b/models/o/weights"
INSERT = "/upload/storage/v1/b/models/o?uploadType=media&name=weights"

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="one address on loopback")]


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """The port of a store with one object."""
    given = free_port()
    command = [sys.executable, "docker/store.py", "start", "--host", "0.0.0.0", "--port", str(given)]  # noqa: S104
    command += ["--in-memory", "--quiet", "--default-bucket", "models"]
    environment = {**os.environ, "STORE_WRITTEN_AT": PUBLISHER}
    with subprocess.Popen(command, cwd=ROOT, env=environment) as process:
        for _ in range(2000):
            try:
                ask(given, ITSELF, "GET", "/")
                break
            except OSError:
                time.sleep(0.05)
        assert ask(given, ITSELF, "POST", INSERT) == 200
        yield given
        process.kill()


def ask(port: int, at: str, method: str, path: str, **headers: str) -> int:
    connection = HTTPConnection(at, port, timeout=30)
    try:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, None if method == "GET" else b"content", named)
        return connection.getresponse().status
    finally:
        connection.close()


@pytest.mark.parametrize("at", [ITSELF, PUBLISHER, SERVICE])
def test_everybody_reads(port: int, at: str) -> None:
    assert ask(port, at, "GET", OBJECT) == 200
    assert ask(port, at, "GET", "/download" + OBJECT + "?alt=media") == 200


@pytest.mark.parametrize("at", [ITSELF, PUBLISHER])
def test_the_publisher_writes(port: int, at: str) -> None:
    assert ask(port, at, "POST", INSERT) == 200


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("POST", INSERT, {}),
        ("PUT", "/models/weights", {}),
        ("PATCH", OBJECT, {}),
        ("DELETE", OBJECT, {}),
        ("DELETE", "/storage/v1/b/models", {}),
        ("POST", "/batch/storage/v1", {}),
        ("POST", OBJECT + "/rewriteTo/b/models/o/weights", {}),
        ("GET", OBJECT, {"X_HTTP_Method_Override": "DELETE"}),
        ("GET", OBJECT, {"x_http_method_override": "delete"}),
    ],
)
def test_a_service_writes_nothing(port: int, method: str, path: str, headers: dict[str, str]) -> None:
    assert ask(port, SERVICE, method, path, **headers) == 403
    assert ask(port, SERVICE, "GET", OBJECT) == 200


@pytest.mark.parametrize(("path", "headers"), [("/wipe", {}), ("/", {"Host": "x/wipe?"})])
def test_nobody_wipes_the_store_by_reading(port: int, path: str, headers: dict[str, str]) -> None:
    for at in (ITSELF, SERVICE):
        assert ask(port, at, "GET", path, **headers) == 501
    assert ask(port, SERVICE, "GET", OBJECT) == 200
