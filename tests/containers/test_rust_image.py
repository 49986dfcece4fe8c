"""rust_serving as an image: from scratch, small, and the contract's answers from its container."""

import json
import subprocess
import time

import pytest
import requests

from tests.running.compose import Project
from tests.running.ports import free_port
from tests.running.rust import required, why_not

# the image compiles all over again what cargo compiles for the other tests: minutes of both cores
pytestmark = [pytest.mark.engine, pytest.mark.rust, pytest.mark.nightly]

IMAGE = "model-serving-bench/rust_serving"
MOST_BYTES = 50_000_000
WITH_RUST = ("--profile", "rust")


@pytest.fixture(scope="module")
def image(composed: Project) -> str:
    """The image, built; the test is skipped if nothing can be built of Rust here."""
    if (reason := why_not()) is not None and not required():
        pytest.skip(reason)
    built = composed.compose(*WITH_RUST, "build", "rust_serving", check=False)
    assert built.returncode == 0, built.stderr[-3000:]
    return IMAGE


def test_the_image_is_small_and_holds_no_shell_toolchain_or_interpreter(image: str) -> None:
    size = subprocess.run(
        ["docker", "image", "inspect", "--format", "{{.Size}}", image],
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(size.stdout) <= MOST_BYTES
    for program in ("/bin/sh", "/usr/bin/python3", "/usr/bin/apt-get", "/usr/local/cargo/bin/cargo"):
        ran = subprocess.run(
            ["docker", "run", "--rm", "--network", "none", "--entrypoint", program, image],
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 127, program
        assert "no such file" in ran.stderr, ran.stderr


def test_its_container_is_healthy_answers_and_stops(composed: Project, image: str, jpeg: bytes) -> None:
    del image
    port = free_port()
    up = (*WITH_RUST, "up", "--detach", "--no-deps", "--no-build", "rust_serving")
    try:
        composed.compose(*up, RUST_PORT=str(port))
        give_up = time.monotonic() + 60
        while composed.inspect("rust_serving")["State"]["Health"]["Status"] != "healthy":
            assert time.monotonic() < give_up, composed.compose(*WITH_RUST, "logs", "rust_serving").stdout
            time.sleep(0.1)
        headers = {"Content-Type": "image/jpeg"}
        answer = requests.post(f"http://127.0.0.1:{port}/predict/", jpeg, headers=headers, timeout=60)
        assert answer.status_code == 200, answer.text
        assert composed.inspect("rust_serving")["Config"]["User"] == "10001:10001"
        composed.compose(*WITH_RUST, "stop", "rust_serving")
        assert composed.inspect("rust_serving")["State"]["ExitCode"] == 0
    finally:
        composed.compose(*WITH_RUST, "rm", "--stop", "--force", "rust_serving", check=False)


MODEL = ("--env", "ONNX_NETWORK_URI=file:///network.onnx")


def test_its_settings_are_stated(composed: Project, image: str) -> None:
    """What bench asks a strategy before it starts it."""
    del composed
    ran = subprocess.run(
        ["docker", "run", "--rm", "-i", "--network=none", *MODEL, image, "/rust_serving", "settings"],
        input=json.dumps([{"THREADS": "1"}, {"THREADS": "-1"}]),
        capture_output=True,
        text=True,
        check=True,
    )
    stated = json.loads(ran.stdout)
    assert "THREADS" in stated["settings"]
    right, wrong = stated["faults"]
    assert right is None
    assert "THREADS" in wrong
