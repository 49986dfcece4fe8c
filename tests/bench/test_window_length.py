"""A quick window lasts until it holds a p99, within a bound, and no figure is biased by that."""

import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from bench.load.launch import Drive, Target
from bench.load.warmup import LEAD_S, Count, rate_per_s
from bench.load.window import LEAST_N
from bench.load.window_length import MARGIN, REQUESTS, WindowLength
from bench.model import ClosedLoad, Load, OpenLoad, Payload
from bench.model.expectations import LabelExpectation

P99 = LEAST_N[0.99]
PLANNED_S, MOST_S, WARMUP_S = 4.0, 16.0, 3.0
ANSWER = b'{"prediction": "rain", "probabilities": {"rain": 1.0}}'


def counts_of(done_s: np.ndarray, until_s: float) -> list[Count]:
    ticks = np.round(np.arange(0.1, until_s + 0.01, 0.1), 1)
    return [(float(at), int(np.searchsorted(done_s, at)), 0.0) for at in ticks]


@pytest.mark.parametrize(
    ("rate", "expected_s"), [(1000.0, PLANNED_S), (111.0, PLANNED_S), (50.0, REQUESTS / 50), (5.0, MOST_S)]
)
def test_a_window_is_as_long_as_a_p99_takes_between_what_is_planned_and_the_bound(
    rate: float, expected_s: float
) -> None:
    counts = [(tick / 10, round(rate * tick / 10), 0.0) for tick in range(1, 31)]
    assert WindowLength(PLANNED_S, MOST_S).seconds(counts) == pytest.approx(expected_s, abs=0.2)
    # an open load's rate is known before
    offered = WindowLength(PLANNED_S, MOST_S, rate)
    assert offered.known
    assert offered.seconds(()) == pytest.approx(expected_s, abs=0.06)


def test_without_a_bound_a_window_is_as_long_as_planned() -> None:
    for fixed in (WindowLength(PLANNED_S, PLANNED_S), WindowLength(PLANNED_S, PLANNED_S, 1.0)):
        assert fixed.known
        assert fixed.seconds(()) == fixed.seconds([(1.0, 1, 0.0)]) == PLANNED_S


def test_a_service_that_answered_nothing_gets_the_longest_window() -> None:
    assert WindowLength(PLANNED_S, MOST_S).seconds(()) == MOST_S
    assert WindowLength(PLANNED_S, MOST_S).seconds([(1.0, 0, 0.0)]) == MOST_S
    assert rate_per_s(()) == 0.0


@pytest.mark.parametrize("spread", [0.0, 1.0], ids=["even", "exponential"])
@pytest.mark.parametrize("rate", [15.0, 45.0, 80.0, 105.0])
def test_the_throughput_of_a_service_of_known_rate_is_found_without_bias(rate: float, spread: float) -> None:
    """Windows end by the rate of the warm-up: their rates scatter around the truth, and hold a p99."""
    rng, length, found, held = np.random.default_rng(7), WindowLength(PLANNED_S, MOST_S), [], []
    for _ in range(400):
        gaps = 1 / rate * (1 - spread + spread * rng.exponential(size=int(2.5 * rate * (MOST_S + WARMUP_S))))
        done_s = np.cumsum(gaps) - rng.random() / rate
        begin_s = WARMUP_S + LEAD_S
        window_s = length.seconds(counts_of(done_s, WARMUP_S))
        inside = np.searchsorted(done_s, begin_s + window_s) - np.searchsorted(done_s, begin_s)
        found.append(inside / window_s)
        held.append(inside)
    mean, error = float(np.mean(found)), float(np.std(found) / np.sqrt(len(found)))
    assert abs(mean - rate) <= max(4 * error, 0.002 * rate)
    if MARGIN * P99 / rate < MOST_S:
        assert np.mean(np.array(held) >= P99) > 0.95


def test_a_window_that_ended_by_its_own_count_would_be_biased() -> None:
    """The rule that is not taken, which this calibration would find out."""
    rng, rate, found = np.random.default_rng(7), 45.0, []
    for _ in range(400):
        done_s = np.cumsum(rng.exponential(1 / rate, 40))
        found.append(20 / done_s[19])
    assert np.mean(found) > 1.03 * rate


@pytest.fixture
def slow_server() -> Iterator[Callable[[float], int]]:
    """Start a server that answers one request after another, each in so many seconds."""
    running = []

    def start(each_s: float) -> int:
        turn = threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                with turn:
                    time.sleep(each_s)
                head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(ANSWER)}\r\n\r\n".encode()
                self.wfile.write(head + ANSWER)

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        running.append(server)
        return int(server.server_address[1])

    yield start
    for server in running:
        server.shutdown()
        server.server_close()


@pytest.fixture
def drive(tmp_path: Path) -> Iterator[Callable[..., Drive]]:
    payload = Payload("a", "seed", "json", "application/json", b"{}", LabelExpectation("rain", {"rain": 1.0}))
    running = []

    def start(port: int, load: Load, most_s: float | None) -> Drive:
        target = Target("127.0.0.1", port, "/")
        running.append(Drive(target, [payload], load, 5, tmp_path, window_most_s=most_s))
        return running[-1]

    yield start
    for one in running:
        one.close()


@pytest.mark.parametrize("most_warmup_s", [1.2, 2.4], ids=["by time", "by evidence"])
def test_a_slow_service_is_driven_for_longer_and_no_longer_than_the_bound(
    slow_server: Callable[[float], int], drive: Callable[..., Drive], most_warmup_s: float
) -> None:
    load = ClosedLoad(4, 1.2, 0.5, warmup_most_s=most_warmup_s)
    running = drive(slow_server(0.01), load, 1.5)
    begin_s, window_s = running.await_window()
    assert window_s == 1.5, "100 requests/s at most, so a p99 takes over 4 s"
    driven = running.finish()
    assert (driven.summary.window_begin_s, driven.summary.window_s) == (begin_s, window_s)
    assert begin_s + 0.5 < driven.samples.due_ns.max() / 1e9 < begin_s + window_s
    inside = driven.samples.done_ns[driven.samples.done_ns >= begin_s * 1e9]
    assert driven.summary.requests == pytest.approx(int((inside < (begin_s + window_s) * 1e9).sum()), abs=8)


def test_an_open_load_is_scheduled_to_the_end_of_its_longer_window(
    slow_server: Callable[[float], int], drive: Callable[..., Drive]
) -> None:
    load = OpenLoad(50.0, 0.6, 0.4, arrivals="constant", warmup_most_s=2.0)
    running = drive(slow_server(0.001), load, 1.2)
    begin_s, window_s = running.await_window()
    assert window_s == 1.2
    end_ns = int(begin_s * 1e9) + 1_200_000_000
    assert sorted(running.finish().samples.due_ns.tolist()) == list(range(20_000_000, end_ns, 20_000_000))


def test_a_load_without_a_bound_keeps_its_window(
    slow_server: Callable[[float], int], drive: Callable[..., Drive]
) -> None:
    running = drive(slow_server(0.01), ClosedLoad(2, 0.6, 0.5, warmup_most_s=2.0), None)
    _, window_s = running.await_window()
    assert window_s == running.finish().summary.window_s == 0.5
