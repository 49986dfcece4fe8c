"""Pushing metrics to a real Pushgateway."""

import base64
import json
import logging
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import requests
from prometheus_client import CollectorRegistry, Counter

from serving_core.metrics import Metrics
from serving_core.process.push import Pusher
from tests.running.ports import free_port

PROGRAM = shutil.which("prometheus-pushgateway")


def until(condition: Callable[[], bool]) -> None:
    for _ in range(2000):
        if condition():
            return
        time.sleep(0.025)
    raise AssertionError("it did not come about")


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[str]:
    """The address of a Pushgateway."""
    if PROGRAM is None:
        if os.environ.get("REQUIRE_ENGINE") == "1":
            pytest.fail("no prometheus-pushgateway here: install Debian's package")
        pytest.skip("no prometheus-pushgateway here")
    address = f"127.0.0.1:{free_port()}"
    with subprocess.Popen(
        [PROGRAM, f"--web.listen-address={address}"], cwd=tmp_path, stderr=subprocess.DEVNULL
    ) as process:
        until(lambda: _answers(f"http://{address}/-/ready"))
        yield f"http://{address}"
        process.kill()


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=120).status_code == 200
    except requests.ConnectionError:
        return False


def pushed(gateway: str) -> str:
    return requests.get(f"{gateway}/metrics", timeout=120).text


def requests_pushed(gateway: str, job: str) -> float | None:
    pattern = rf'^requests_total{{instance="([^"]+)",job="{job}"}} (\S+)$'
    found = re.search(pattern, pushed(gateway), re.MULTILINE)
    if found is None:
        return None
    assert found[1] == socket.gethostname()
    return float(found[2])


def test_metrics_are_pushed_at_every_interval_and_at_the_end(gateway: str) -> None:
    metrics = Metrics()
    pusher = Pusher(lambda: metrics.registry, gateway, "torch", interval_s=0.05)
    metrics.observe_request("/predict/", 200, 0.01, "weather")
    until(lambda: requests_pushed(gateway, "torch") == 1)
    metrics.observe_request("/predict/", 200, 0.01, "weather")
    until(lambda: requests_pushed(gateway, "torch") == 2)
    pusher.close()
    assert 'route="/predict/"' in pushed(gateway)


def test_a_service_that_ends_before_the_first_interval_has_pushed(gateway: str) -> None:
    metrics = Metrics()
    pusher = Pusher(lambda: metrics.registry, gateway, "onnx", interval_s=3600)
    metrics.observe_request("/predict/", 200, 0.01)
    pusher.close()
    assert requests_pushed(gateway, "onnx") == 1


@pytest.mark.slow
def test_a_service_with_workers_pushes_for_all_of_them(gateway: str, tmp_path: Path) -> None:
    port = free_port()
    root = Path(__file__).parents[2]
    settings = {"TORCH_MODEL_URI": "file:///x", "HOST": "127.0.0.1", "PORT": str(port), "WORKERS": "2"}
    settings |= {"ORDERS": str(tmp_path), "PYTHONPATH": str(root), "PUSHGATEWAY": gateway}
    program = str(Path(__file__).parent / "tiny_service.py")
    with subprocess.Popen(
        [sys.executable, program], env={**os.environ, **settings}, stderr=subprocess.PIPE, text=True
    ) as process:
        address = f"http://127.0.0.1:{port}"
        until(lambda: _answers(f"{address}/ready"))
        answered = 1  # beside those answers that were 503
        seen: set[bytes] = set()
        while len(seen) < 2:
            seen.add(requests.get(f"{address}/pid", timeout=120).content)
            answered += 1
        process.terminate()
        _, errors = process.communicate(timeout=120)
    assert process.returncode == 0
    assert [json.loads(line)["level"] for line in errors.splitlines()] == ["info"] * 3
    count = requests_pushed(gateway, "tiny")
    assert count is not None
    assert count >= answered
    text = pushed(gateway)
    assert re.search(rf'request_duration_seconds_count{{.*route="/pid",.*}} {answered - 1}$', text, re.M)


@pytest.fixture
def broken() -> Iterator[str]:
    """The address of a gateway that fails twice, then works, then fails again."""
    statuses = iter([500, 500, 200, *[500] * 1000])

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(next(statuses))
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_an_outage_is_logged_when_it_begins_and_when_it_is_over(
    broken: str, caplog: pytest.LogCaptureFixture
) -> None:
    registry = CollectorRegistry()
    Counter("requests", "Requests answered", registry=registry)
    with caplog.at_level(logging.INFO, "serving_core.process.push"):
        pusher = Pusher(lambda: registry, broken, "torch", interval_s=0.02)
        until(lambda: len(caplog.records) >= 3)
        time.sleep(0.2)
        pusher.close()
    levels = [record.levelname for record in caplog.records]
    assert levels == ["WARNING", "INFO", "WARNING"]
    assert "HTTP Error 500" in caplog.records[0].getMessage()


def test_a_name_and_password_are_sent_and_never_logged(caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gateway:
        gateway.settimeout(30)
        host = f"127.0.0.1:{gateway.getsockname()[1]}"
        pusher = Pusher(CollectorRegistry, f"http://some%20one:s3cret@{host}", "torch", interval_s=0.01)
        with gateway.accept()[0] as connection:
            connection.settimeout(30)
            sent = connection.recv(65536).decode()
    credentials = base64.b64encode(b"some one:s3cret").decode()
    assert f"Authorization: Basic {credentials}\r\n" in sent
    assert f"Host: {host}\r\n" in sent
    until(lambda: bool(caplog.records))
    pusher.close()
    for record in caplog.records:
        assert host in record.getMessage()
        assert "one" not in record.getMessage()
        assert "s3cret" not in record.getMessage()


def test_a_gateway_that_is_down_harms_nothing(caplog: pytest.LogCaptureFixture) -> None:
    pusher = Pusher(CollectorRegistry, f"http://127.0.0.1:{free_port()}", "torch", interval_s=0.01)
    until(lambda: bool(caplog.records))
    pusher.close()
    assert len(caplog.records) == 1
