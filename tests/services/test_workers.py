"""A real service with several workers: answers, metrics, a worker's death, and a stop under load."""

import asyncio
import json
import os
import re
import signal
import time
from collections.abc import Callable
from typing import Any

import psutil
import pytest

from tests.contract.encodings import ENCODINGS
from tests.running.load import bytes_of, until_refused
from tests.running.processes import STOP_S

CLIENTS = 30
REQUESTS = 50


def workers_of(service: Any) -> set[int]:
    return {child.pid for child in psutil.Process(service.process.pid).children()}


def answered_by(service: Any) -> int:
    """Return the process that answered: its number begins every request id that it gives."""
    return int(service.get("/ping").headers["x-request-id"].partition("-")[0], 16)


def wait_until_both_answer(service: Any) -> None:
    service.wait_until_ready()
    seen: set[int] = set()
    give_up = time.monotonic() + 60
    while len(seen & workers_of(service)) < 2:
        assert time.monotonic() < give_up
        seen.add(answered_by(service))


def predicted(service: Any) -> int:
    pattern = r'^request_duration_seconds_count{[^}]*route="/predict/",status="200"} (\d+)'
    found = re.search(pattern, service.get("/metrics").text, re.MULTILINE)
    return int(found[1]) if found else 0


def settled(service: Any) -> int:
    """The count once it stands still: another worker counts a request just after its answer is here."""
    counts = [predicted(service)]
    while len(counts) < 5 or len(set(counts[-5:])) > 1:
        time.sleep(0.02)
        counts.append(predicted(service))
    return counts[-1]


@pytest.fixture(scope="module")
def pair(launch: Callable[..., Any], environment: Callable[[str], dict[str, str]]) -> Any:
    """A service with two workers."""
    service = launch("onnx", **environment("onnx"), WORKERS="2")
    wait_until_both_answer(service)
    return service


def test_metrics_count_every_request_whichever_worker_is_scraped(pair: Any, jpeg: bytes) -> None:
    before = settled(pair)
    assert {pair.post(jpeg).status_code for _ in range(REQUESTS)} == {200}
    assert settled(pair) == before + REQUESTS
    assert {predicted(pair) for _ in range(10)} == {before + REQUESTS}
    time.sleep(0.5)  # several of the ticks at which the other worker tells of its gauges
    text = pair.get("/metrics").text
    assert re.search(r"^in_flight 0\.0$", text, re.MULTILINE)
    assert re.search(r"^model_info{.*} 1\.0$", text, re.MULTILINE)


def test_a_worker_that_is_killed_is_replaced_and_its_counts_stay(pair: Any, jpeg: bytes) -> None:
    pair.post(jpeg)
    counted, before = settled(pair), workers_of(pair)
    os.kill(min(before), signal.SIGKILL)
    while len(workers_of(pair) - before) < 1:
        assert predicted(pair) >= counted
    wait_until_both_answer(pair)
    assert pair.post(jpeg).status_code == 200
    assert settled(pair) == counted + 1


@pytest.mark.parametrize("name", ["torch", "onnx", "batched"])
def test_a_stop_under_load_answers_everybody_and_exits_0(
    name: str, launch: Callable[..., Any], environment: Callable[[str], dict[str, str]], jpeg: bytes
) -> None:
    service = launch(name, **environment(name), WORKERS="2")
    wait_until_both_answer(service)
    wires = [bytes_of(ENCODINGS["raw"].request([jpeg]))]
    outcomes = asyncio.run(until_refused(service.port, wires, CLIENTS, service.stop))
    assert outcomes.keys() == {"200", "503", "refused"}, outcomes
    status, errors = service.end()
    assert status == 0
    messages = [json.loads(line)["message"] for line in errors.splitlines()]
    assert messages == ["ready", "ready", "stopped"]
    assert service.stopping_s(errors) < STOP_S


def test_a_model_that_is_not_there_ends_the_start_with_one_line(
    launch: Callable[..., Any], environment: Callable[[str], dict[str, str]]
) -> None:
    missing = {**environment("onnx"), "ONNX_MODEL_URI": "gs://models/nowhere/model", "WORKERS": "2"}
    service = launch("onnx", **missing)
    service.process.wait(timeout=120)
    status, errors = service.end()
    assert status == 1
    assert len(errors.splitlines()) == 1, errors
    assert "gs://models/nowhere/model does not exist: publish" in json.loads(errors)["message"]
