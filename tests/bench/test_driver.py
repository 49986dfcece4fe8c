"""The driver against real servers: every request recorded, every answer checked, nothing cut unrecorded."""

import dataclasses
import json
import shutil
import sys
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from bench.errors import BenchError
from bench.load.launch import Drive, Driven, Target
from bench.measure.payloads import payload_sets
from bench.model import OUTCOMES, ClosedLoad, Payload
from bench.model.expectations import LabelExpectation
from bench.request_sets.reader import read_request_set
from tests.running.in_flight import most_in_flight
from tests.running.ports import free_port

CLIENTS = 6


@pytest.fixture
def payloads(project: Path) -> tuple[Payload, ...]:
    return payload_sets(read_request_set(project / "images").requests, ["seed"], ["json"])["seed", "json"]


@pytest.fixture
def drive(payloads: tuple[Payload, ...], tmp_path: Path) -> Callable[..., Driven]:
    def run(port: int, *, window_s: float = 1.0, drain_s: float = 10.0, timeout_s: float = 10.0) -> Driven:
        load = ClosedLoad(CLIENTS, warmup_s=0.2, window_s=window_s, drain_s=drain_s, timeout_s=timeout_s)
        running = Drive(Target("127.0.0.1", port, "/predict/"), payloads, load, 1, tmp_path)
        try:
            return running.finish()
        finally:
            running.close()

    return run


def outcomes(driven: Driven) -> Counter[str]:
    return Counter(OUTCOMES[code] for code in driven.samples.outcome)


def served(port: int) -> int:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/ready") as answer:
        return int(json.load(answer)["served"])


def test_every_request_that_the_server_saw_is_recorded_and_right(
    stub_server: Callable[..., int], drive: Callable[..., Driven]
) -> None:
    port = stub_server(delay_s=0.02)
    driven = drive(port)
    assert outcomes(driven) == {"ok": served(port)}
    assert driven.summary.rows == len(driven.samples)
    assert set(driven.samples.payload) == {0, 1, 2, 3, 4}


def test_times_are_ordered_and_never_shorter_than_the_service_time(
    stub_server: Callable[..., int], drive: Callable[..., Driven]
) -> None:
    samples = drive(stub_server(delay_s=0.03)).samples
    assert (samples.due_ns <= samples.sent_ns).all()
    assert (samples.done_ns - samples.sent_ns).min() >= 30_000_000
    assert (np.diff(samples.done_ns) >= 0).all()


def test_a_closed_loop_keeps_all_its_clients_busy(
    stub_server: Callable[..., int], drive: Callable[..., Driven]
) -> None:
    samples = drive(stub_server(delay_s=0.03), window_s=1.5).samples
    assert most_in_flight(samples.sent_ns, samples.done_ns, from_ns=200_000_000) == CLIENTS
    assert len(samples) > 2 * CLIENTS


def test_one_wrong_answer_in_twenty_is_found(
    stub_server: Callable[..., int], drive: Callable[..., Driven]
) -> None:
    driven = drive(stub_server(delay_s=0.002, wrong_every=20))
    found = outcomes(driven)
    assert found["wrong_answer"] == len(driven.samples) // 20 > 0
    assert found["ok"] == len(driven.samples) - found["wrong_answer"]


def test_a_500_is_an_error_even_with_a_right_body(
    stub_server: Callable[..., int], drive: Callable[..., Driven]
) -> None:
    driven = drive(stub_server(delay_s=0.01, fail_every=10))
    assert outcomes(driven)["http_error"] == len(driven.samples) // 10 > 0
    assert set(driven.samples.status) == {200, 500}


def test_requests_in_flight_at_the_windows_end_are_drained_and_kept(
    stub_server: Callable[..., int], drive: Callable[..., Driven]
) -> None:
    driven = drive(stub_server(delay_s=1.5), window_s=0.5)
    assert outcomes(driven) == {"ok": CLIENTS}
    assert driven.samples.done_ns.min() > 700_000_000


def test_what_the_drain_does_not_finish_is_recorded_as_unfinished(
    stub_server: Callable[..., int], drive: Callable[..., Driven]
) -> None:
    driven = drive(stub_server(delay_s=5), window_s=0.3, drain_s=0.3)
    assert outcomes(driven) == {"unfinished": CLIENTS}


def test_a_request_past_its_timeout_is_recorded_as_such(
    stub_server: Callable[..., int], drive: Callable[..., Driven]
) -> None:
    driven = drive(stub_server(delay_s=3), window_s=1.0, timeout_s=0.4, drain_s=1.0)
    assert set(outcomes(driven)) == {"timeout"}
    assert (driven.samples.done_ns - driven.samples.due_ns).min() >= 400_000_000


def test_a_refused_connection_is_a_sample_and_not_a_crash(drive: Callable[..., Driven]) -> None:
    driven = drive(free_port(), window_s=0.3)
    assert set(outcomes(driven)) == {"connection_error"}
    assert (driven.samples.status == 0).all()


def test_a_server_that_dies_leaves_only_errors_behind(
    stub_server: Callable[..., int], drive: Callable[..., Driven]
) -> None:
    driven = drive(stub_server(delay_s=0.01, die_after=40))
    found = outcomes(driven)
    assert 40 - CLIENTS <= found["ok"] <= 40
    assert found["connection_error"] > 0
    assert set(found) == {"ok", "connection_error"}


def test_clients_send_the_payloads_in_varied_order(
    stub_server: Callable[..., int], drive: Callable[..., Driven]
) -> None:
    samples = drive(stub_server(delay_s=0.005)).samples
    sent = samples.payload[np.argsort(samples.sent_ns)][: 5 * CLIENTS].tolist()
    assert set(sent) == {0, 1, 2, 3, 4}
    # each client goes through all payloads in its own order: no fixed cycle shows in what is sent
    assert any(sent[place] != sent[place - 5] for place in range(5, len(sent)))


class Seen(BaseHTTPRequestHandler):
    """Keeps what it is asked, and answers as each request wants."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    requests: ClassVar[list[tuple[str, dict[str, str], bytes]]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.requests.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
        answer = b'{"prediction": "rain", "probabilities": {"rain": 1.0}}'
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(answer), answer))


def test_each_payload_goes_to_its_own_path_with_its_own_headers(tmp_path: Path) -> None:
    plain = Payload(
        "a", "seed", "json", "application/json", b"plain", LabelExpectation("rain", {"rain": 1.0})
    )
    other = dataclasses.replace(
        plain,
        content_type="application/octet-stream",
        body=b"other",
        path="/v2/models/m/infer",
        headers={"Inference-Header-Content-Length": "3", "accept": "*/*"},
    )
    Seen.requests.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Seen)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    target = Target("127.0.0.1", server.server_address[1], "/predict/")
    running = Drive(target, [plain, other], ClosedLoad(2, 0.1, 0.3), 1, tmp_path)
    try:
        driven = running.finish()
    finally:
        running.close()
        server.shutdown()
        server.server_close()
    assert set(outcomes(driven)) == {"ok"}
    by_body = {body: (path, headers) for path, headers, body in Seen.requests}
    assert set(by_body) == {b"plain", b"other"}
    path, headers = by_body[b"plain"]
    assert (path, headers["content-type"], headers["accept"]) == (
        "/predict/",
        "application/json",
        "application/json",
    )
    assert "inference-header-content-length" not in headers
    path, headers = by_body[b"other"]
    assert (path, headers["content-type"], headers["accept"]) == (
        "/v2/models/m/infer",
        "application/octet-stream",
        "*/*",
    )
    assert headers["inference-header-content-length"] == "3"


def test_a_drive_whose_harness_is_killed_ends_soon(
    stub_server: Callable[..., int], payloads: tuple[Payload, ...], tmp_path: Path
) -> None:
    """Nobody waits for the samples of a driver that goes on: it hears that its pipe was closed."""
    port = stub_server(delay_s=0.02)
    load = ClosedLoad(CLIENTS, warmup_s=0.2, window_s=600.0)
    running = Drive(Target("127.0.0.1", port, "/predict/"), payloads, load, 1, tmp_path)
    try:
        process = running._process
        assert process.stdin is not None
        time.sleep(running.instant(0.5))
        process.stdin.close()
        assert process.wait(timeout=400) == 0
        assert running.instant(600.2) > 10
    finally:
        running.close()


def test_the_driver_accounts_for_its_window(
    stub_server: Callable[..., int], drive: Callable[..., Driven]
) -> None:
    summary = drive(stub_server(delay_s=0.01)).summary
    assert (summary.workers, summary.lost_workers, summary.clock_error_ms) == (1, 0, None)
    assert summary.window_begin_s == 0.2
    # in a window of 1 s, whose end a busy machine may read late
    assert summary.busiest_core is not None
    assert summary.cpu_s / 5 < summary.busiest_core < 1.2 * summary.cpu_s
    assert 0 < summary.requests < summary.rows


def test_a_driver_that_cannot_start_says_why(
    payloads: tuple[Payload, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", shutil.which("false"))
    with pytest.raises(BenchError, match="the driver did not start: it said nothing"):
        Drive(Target("127.0.0.1", 1, "/"), payloads, ClosedLoad(1, 0.1, 0.1), 1, tmp_path)
