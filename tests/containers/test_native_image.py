"""onnx_native as an image: onnx_serving's with the extension beside it, and no compiler."""

import subprocess
import time

import pytest
import requests

from tests.running.compose import Project
from tests.running.ports import free_port
from tests.running.rust import required, why_not

# it compiles all over again what cargo compiles for the other tests: minutes of both cores
pytestmark = [pytest.mark.engine, pytest.mark.rust, pytest.mark.nightly]

IMAGE, WITHOUT = "model-serving-bench/onnx_native_serving", "model-serving-bench/onnx_serving"
MOST_BYTES_MORE = 4_000_000
PROFILE = ("--profile", "native")
SERVICE = "onnx_native_serving"


@pytest.fixture(scope="module")
def image(composed: Project) -> str:
    """The image, built; the test is skipped if nothing can be built of Rust here."""
    if (reason := why_not()) is not None and not required():
        pytest.skip(reason)
    built = composed.compose(*PROFILE, "build", SERVICE, check=False)
    assert built.returncode == 0, built.stderr[-3000:]
    return IMAGE


def inspected(image: str, what: str) -> str:
    command = ["docker", "image", "inspect", "--format", what, image]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_the_image_is_onnx_serving_s_and_the_extension(image: str) -> None:
    more = int(inspected(image, "{{.Size}}")) - int(inspected(WITHOUT, "{{.Size}}"))
    assert 0 < more <= MOST_BYTES_MORE
    layers = "{{range .RootFS.Layers}}{{.}} {{end}}"
    theirs, ours = inspected(WITHOUT, layers).split(), inspected(image, layers).split()
    assert ours[:-1] == theirs


def test_it_has_the_extension_and_no_toolchain(image: str) -> None:
    tools = ("cargo", "rustc", "maturin", "cc", "ld")
    program = f"import shutil, native_pixels; print(list(filter(shutil.which, {tools})))"
    command = ["docker", "run", "--rm", "--network", "none", image, "python", "-c", program]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == "[]"


def test_its_container_is_healthy_answers_and_stops(composed: Project, image: str, jpeg: bytes) -> None:
    del image
    port = free_port()
    up = (*PROFILE, "up", "--detach", "--no-deps", "--no-build", SERVICE)
    try:
        composed.compose(*up, ONNX_NATIVE_PORT=str(port))
        give_up = time.monotonic() + 60
        while composed.inspect(SERVICE)["State"]["Health"]["Status"] != "healthy":
            assert time.monotonic() < give_up, composed.compose(*PROFILE, "logs", SERVICE).stdout
            time.sleep(0.1)
        headers = {"Content-Type": "image/jpeg"}
        address = f"http://127.0.0.1:{port}/predict/"
        answer = requests.post(address, jpeg, headers=headers, timeout=60)
        assert answer.status_code == 200, answer.text
        refused = requests.post(address, jpeg[:-200], headers=headers, timeout=60)
        assert refused.status_code == 422, refused.text
        composed.compose(*PROFILE, "stop", SERVICE)
        assert composed.inspect(SERVICE)["State"]["ExitCode"] == 0
    finally:
        composed.compose(*PROFILE, "rm", "--stop", "--force", SERVICE, check=False)
