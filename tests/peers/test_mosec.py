"""Mosec with batched_serving's engine inside: the same answers, one at a time and many at once."""

import base64
import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from os import environ
from typing import Any

import pytest
from requests import ConnectionError

from tests.running.ports import free_port
from tests.running.processes import ROOT, Running

CLIENTS = 50


@pytest.fixture(scope="module")
def mosec(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The server as a process, with the model of this repository."""
    port = free_port()
    variables = {
        "HOST": "127.0.0.1",
        "PORT": str(port),
        "TORCH_MODEL_URI": (ROOT / "model" / "weights.safetensors").as_uri(),
        "MODEL_CACHE_DIR": str(tmp_path_factory.mktemp("cache")),
    }
    command = [sys.executable, "-m", "peers.mosec_serving"]
    process = subprocess.Popen(
        command, cwd=ROOT, env={**environ, **variables}, stderr=subprocess.PIPE, text=True
    )
    running = Running("mosec", f"http://127.0.0.1:{port}", port, process)
    try:
        wait_until_up(running)
        yield running
    finally:
        running.end()


def wait_until_up(running: Running) -> None:
    give_up = time.monotonic() + 60
    while time.monotonic() < give_up:
        assert running.process.poll() is None, running.process.stderr and running.process.stderr.read()
        with contextlib.suppress(OSError):
            if running.get("/").status_code == 200:
                return
        time.sleep(0.05)
    raise AssertionError("Mosec did not come up within 60 s")


def check(image_set: dict[str, Any], image: dict[str, Any], answer: Any) -> None:
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert found["prediction"] == image["expected"]["label"], image["file"]
    probabilities = [found["probabilities"][label] for label in image_set["labels"]]
    assert probabilities == pytest.approx(image["expected"]["probabilities"], abs=1e-3)


def test_an_image_is_answered_as_it_is_and_in_json(mosec: Running, image_set: dict[str, Any]) -> None:
    image = image_set["images"][0]
    check(image_set, image, mosec.post(image["content"]))
    body = b'{"image": "' + base64.b64encode(image["content"]) + b'"}'
    check(image_set, image, mosec.post(body, "application/json"))


def test_many_at_once_are_each_given_their_own_answer(mosec: Running, image_set: dict[str, Any]) -> None:
    small = [image for image in image_set["images"] if image["kind"] == "small"]
    images = (small * CLIENTS)[:CLIENTS]
    with ThreadPoolExecutor(CLIENTS) as clients:
        answers = list(clients.map(lambda image: mosec.post(image["content"]), images))
    for image, answer in zip(images, answers, strict=True):
        check(image_set, image, answer)


def test_what_is_no_image_is_refused(mosec: Running) -> None:
    answer = mosec.post(b"not an image")
    assert answer.status_code == 422
    assert "this is not an image" in answer.text


def test_a_stop_ends_it(mosec: Running) -> None:
    mosec.stop()
    status, _ = mosec.end()
    assert status == 0
    with pytest.raises(ConnectionError):
        mosec.get("/")
