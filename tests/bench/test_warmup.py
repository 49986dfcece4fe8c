"""The window begins by evidence: a pure decision, and the same decision under real load."""

import io
import json
import math
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from bench.load import pipes
from bench.load.launch import Drive, Driven, Target
from bench.load.pipes import Follower
from bench.load.warmup import LEAD_S, Count, WarmUp, drifts
from bench.load.window_length import WindowLength
from bench.model import ClosedLoad, OpenLoad, Payload
from bench.model.expectations import LabelExpectation

ANSWER = b'{"prediction": "rain", "probabilities": {"rain": 1.0}}'
CLIENTS = 8
Rate = Callable[[float], float]
Noise = Callable[[float], float]


def told(rate: Rate, until_s: float, every_s: float = 0.1, noise: Noise = int) -> list[Count]:
    """The counts that a driver tells of eight clients whose completions follow a rate (requests/s)."""
    ended, waited_s, counts = 0.0, 0.0, []
    for tick in range(1, round(until_s / every_s) + 1):
        ended += noise(rate((tick - 0.5) * every_s) * every_s)
        waited_s += CLIENTS * every_s
        counts.append((tick * every_s, int(ended), waited_s))
    return counts


def begin(warm_up: WarmUp, counts: list[Count], window_s: float = 10.0) -> float:
    """When the window begins, were the decision taken whenever the driver tells its count."""
    for place in range(1, len(counts) + 1):
        found = warm_up.begin_s(counts[:place], counts[place - 1][0], window_s)
        if found is not None:
            return found
    raise AssertionError("no decision in a minute")


def test_without_evidence_the_window_begins_at_its_time_exactly() -> None:
    assert WarmUp(3.0, 3.0).begin_s([], 0.0, 10.0) == 3.0
    assert WarmUp(0.0, 9.0).begin_s([], 0.0, 10.0) == 0.0


def test_a_steady_service_is_measured_right_after_the_least_warm_up() -> None:
    found = begin(WarmUp(3.0, 30.0), told(lambda _: 1000.0, 60.0))
    assert found == pytest.approx(3.0 + LEAD_S, abs=0.11)


@pytest.mark.parametrize("settles_s", [5.0, 20.0, 60.0])
def test_a_service_that_grows_faster_is_awaited(settles_s: float) -> None:
    """Its rate doubles until it settles; an older rule took it for warm at 4 s, at half its rate."""
    counts = told(lambda at_s: 200.0 * (1 + min(1.0, at_s / settles_s)), 120.0)
    found = begin(WarmUp(4.0, 100.0), counts)
    inside = [ended for at_s, ended, _ in counts if found <= at_s <= found + 10.0]
    assert (inside[-1] - inside[0]) / 10.0 > 0.97 * 400.0


def test_a_service_that_decays_exponentially_to_its_level_is_awaited() -> None:
    counts = told(lambda at_s: 400.0 * (1 - 0.6 * math.exp(-at_s / 8.0)), 120.0)
    found = begin(WarmUp(4.0, 60.0), counts)
    assert 0.6 * math.exp(-found / 8.0) < 0.03


def test_an_open_loop_whose_answers_come_sooner_and_sooner_is_awaited() -> None:
    """Its throughput is the schedule's from the first second on: only its response times tell."""
    waited_s, counts = 0.0, []
    for tick in range(1, 900):
        waited_s += 10 * (0.005 + 0.045 * max(0.0, 1 - tick / 300))
        counts.append((tick / 10, 10 * tick, waited_s))
    assert begin(WarmUp(4.0, 60.0), counts) > 30.0


@pytest.mark.slow
def test_a_rate_that_scatters_without_a_trend_is_not_held_up_for_long() -> None:
    """A noisy service cannot show in seconds that a bias is below 2%: no trend is enough then."""
    rng = np.random.default_rng(11)
    begins = [begin(WarmUp(4.0, 60.0), told(lambda _: 250.0, 60.0, noise=rng.poisson)) for _ in range(200)]
    assert np.median(begins) <= 8.0 + LEAD_S + 0.11
    assert np.quantile(begins, 0.95) < 16.0


def test_a_service_that_never_settles_is_measured_at_the_latest_begin() -> None:
    assert begin(WarmUp(3.0, 12.0), told(lambda at_s: 100.0 * at_s, 60.0)) == 12.0


def test_a_trend_is_judged_by_what_it_makes_of_a_window_of_its_length() -> None:
    """A rate that grows by 0.4% a second puts a window of 4 s off by less than 1%, and one of 16 s by 3%."""
    counts = told(lambda at_s: 1000.0 * (1 + 0.004 * at_s), 60.0, noise=float)
    assert begin(WarmUp(4.0, 60.0), counts, 4.0) == pytest.approx(4.0 + LEAD_S, abs=0.11)
    assert begin(WarmUp(4.0, 60.0), counts, 16.0) == 60.0


@pytest.mark.parametrize(("most_s", "begin_s"), [(4.0, 40.0 + LEAD_S), (16.0, 100.0)])
def test_a_window_that_lasts_longer_for_a_slow_service_is_awaited_longer(
    monkeypatch: pytest.MonkeyPatch, most_s: float, begin_s: float
) -> None:
    """At 30 to 50 requests/s it lasts some 11 s, which the same trend puts off by more than 2%."""
    clock = SimpleNamespace(monotonic_ns=lambda: 0)
    monkeypatch.setattr(pipes, "time", clock)

    def lines() -> Iterator[bytes]:
        for at_s, ended, waited_s in told(lambda at_s: 30.0 * (1 + 0.006 * at_s), 99.0, noise=float):
            clock.monotonic_ns = lambda at_s=at_s: int(at_s * 1e9)
            yield json.dumps({"elapsed_s": at_s, "requests": ended, "waited_s": waited_s}).encode()

    driver: Any = lines()
    follower = Follower(driver, io.BytesIO(), WarmUp(40.0, 100.0), WindowLength(4.0, most_s), 0)
    follower.join()
    assert follower.await_window()[0] == pytest.approx(begin_s, abs=0.11)


def test_one_that_answers_nothing_gives_no_evidence() -> None:
    assert begin(WarmUp(3.0, 12.0), told(lambda _: 0.0, 60.0)) == 12.0
    assert drifts([]) == ()


def test_spans_are_read_between_the_counts_that_were_told() -> None:
    counts = [(at_s, round(100 * at_s), 8 * at_s) for at_s in (0.35, 0.9, 1.7, 2.6, 3.3)]
    rate, response = drifts(counts)
    assert abs(rate.per_s) < 0.02
    assert abs(response.per_s) < 0.02


def test_a_begin_by_evidence_lies_ahead_of_the_decision_and_never_after_the_latest() -> None:
    counts = told(lambda _: 1000.0, 11.9)
    warm_up = WarmUp(3.0, 12.0)
    assert warm_up.begin_s(counts, 7.0, 10.0) == 7.0 + LEAD_S
    assert warm_up.begin_s(counts, 11.49, 10.0) == 11.99
    assert warm_up.begin_s(counts, 11.9, 10.0) == 12.0


@pytest.fixture
def warming_server() -> Iterator[Callable[[float], int]]:
    """Start a server that answers in 60 ms at first, faster and faster, and in 4 ms after `warm_s`."""
    running = []

    def start(warm_s: float) -> int:
        first: list[float] = []

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                now = time.monotonic()
                if not first:
                    first.append(now)
                cold = max(0.0, 1.0 - (now - first[0]) / warm_s) if warm_s else 0.0
                time.sleep(0.004 + 0.056 * cold)
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

    def start(port: int, load: ClosedLoad | OpenLoad) -> Drive:
        running.append(Drive(Target("127.0.0.1", port, "/"), [payload], load, 5, tmp_path))
        return running[-1]

    yield start
    for one in running:
        one.close()


def kept_window(driven: Driven, begin_s: float, window_s: float) -> None:
    """The load ended with the window: nothing came due later, and something did within it."""
    last_s = driven.samples.due_ns.max() / 1e9
    assert begin_s < last_s < begin_s + window_s


@pytest.mark.slow
def test_a_service_that_warms_up_is_measured_once_it_is_warm(
    warming_server: Callable[[float], int], drive: Callable[..., Drive]
) -> None:
    running = drive(warming_server(3.0), ClosedLoad(8, 2.1, 1.0, warmup_most_s=12.0))
    begin_s, _ = running.await_window()
    assert running.instant(begin_s) > 0.3
    driven = running.finish()
    # at full speed since 3 s; on a noisy host it may take long to look steady
    assert 3.0 < begin_s <= 12.0
    assert driven.summary.window_begin_s == begin_s
    kept_window(driven, begin_s, 1.0)


def test_the_window_is_decided_even_where_nobody_waits_for_it(
    warming_server: Callable[[float], int], drive: Callable[..., Drive]
) -> None:
    driven = drive(warming_server(0.0), ClosedLoad(2, 0.6, 0.5, warmup_most_s=30.0)).finish()
    assert 0.6 < driven.summary.window_begin_s <= 30.0
    kept_window(driven, driven.summary.window_begin_s, 0.5)


@pytest.mark.slow
def test_an_open_loops_schedule_lasts_until_the_windows_end_wherever_that_is(
    warming_server: Callable[[float], int], drive: Callable[..., Drive]
) -> None:
    load = OpenLoad(50.0, 0.6, 1.0, arrivals="constant", warmup_most_s=10.0)
    running = drive(warming_server(0.0), load)
    begin_s, _ = running.await_window()
    driven = running.finish()
    end_ns = int(begin_s * 1e9) + 1_000_000_000
    assert sorted(driven.samples.due_ns.tolist()) == list(range(20_000_000, end_ns, 20_000_000))


def test_a_server_that_answers_nothing_is_measured_at_the_latest_begin(
    stub_server: Callable[..., int], drive: Callable[..., Drive]
) -> None:
    load = ClosedLoad(2, 0.3, 0.3, drain_s=0.3, warmup_most_s=1.5)
    running = drive(stub_server(delay_s=30), load)
    assert running.await_window() == (1.5, 0.3)
    assert running.instant(1.5) > 0.3
    assert running.finish().summary.window_begin_s == 1.5


def test_counts_are_passed_on_while_it_drives_and_the_last_follower_returns(
    warming_server: Callable[[float], int], drive: Callable[..., Drive]
) -> None:
    running, seen = drive(warming_server(0.0), ClosedLoad(2, 0.3, 0.9)), []
    follower = threading.Thread(target=running.follow, args=(lambda *count: seen.append(count),))
    follower.start()
    driven = running.finish()
    follower.join(timeout=120)
    assert not follower.is_alive()
    assert len(seen) >= 5  # several times a second
    assert all(later >= earlier for earlier, later in pairwise(seen))
    assert 0 < seen[-1][1] <= len(driven.samples)
