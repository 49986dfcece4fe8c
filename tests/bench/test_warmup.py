"""The window begins by evidence: a pure decision, and the same decision under real load."""

import math
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from bench.load.launch import Drive, Driven, Target
from bench.load.warmup import LEAD_S, WarmUp, is_steady
from bench.model import ClosedLoad, OpenLoad, Payload

ANSWER = b'{"prediction": "rain", "probabilities": {"rain": 1.0}}'
Rate = Callable[[float], float]


def told(rate: Rate, until_s: float, every_s: float = 0.1) -> list[tuple[float, int]]:
    """The counts that a driver tells whose completions follow a rate (requests/s at an instant)."""
    ticks = range(1, round(until_s / every_s) + 1)
    ended, counts = 0.0, []
    for tick in ticks:
        ended += rate((tick - 0.5) * every_s) * every_s
        counts.append((tick * every_s, int(ended)))
    return counts


def begin(warm_up: WarmUp, rate: Rate) -> float:
    """When the window begins, were the decision taken whenever the driver tells its count."""
    counts = told(rate, 60.0)
    for place in range(1, len(counts) + 1):
        found = warm_up.begin_s(counts[:place], counts[place - 1][0])
        if found is not None:
            return found
    raise AssertionError("no decision in a minute")


def test_without_evidence_the_window_begins_at_its_time_exactly() -> None:
    assert WarmUp(3.0, 3.0).begin_s([], 0.0) == 3.0
    assert WarmUp(0.0, 9.0).begin_s([], 0.0) == 0.0


def test_a_steady_service_is_measured_right_after_the_least_warm_up() -> None:
    assert begin(WarmUp(3.0, 30.0), lambda _: 1000.0) == pytest.approx(3.0 + LEAD_S, abs=0.11)


def test_a_service_that_grows_faster_is_awaited() -> None:
    """At full speed from 7 s on, the last three seconds are alike at 10 s, or nearly so a little earlier."""
    found = begin(WarmUp(3.0, 30.0), lambda at_s: 1000.0 * min(1.0, at_s / 7.0))
    assert 8.0 < found < 10.0 + LEAD_S + 0.11


def test_a_service_that_is_never_steady_is_measured_at_the_latest_begin() -> None:
    assert begin(WarmUp(3.0, 12.0), lambda at_s: 1000.0 * (1.5 + math.sin(2 * at_s))) == 12.0


def test_one_that_answers_nothing_gives_no_evidence() -> None:
    assert begin(WarmUp(3.0, 12.0), lambda _: 0.0) == 12.0
    assert not is_steady([], 1.0)


@pytest.mark.parametrize("until_s", [0.1, 2.0, 2.8])
def test_less_than_three_spans_are_no_evidence(until_s: float) -> None:
    assert not is_steady(told(lambda _: 1000.0, until_s), 1.0)


@pytest.mark.parametrize(
    ("spans", "steady"),
    [
        ((1000, 1000, 1000), True),
        ((900, 950, 1000), True),  # a tenth apart
        ((860, 950, 1000), False),  # more than that, and than three sigmas of 1 860 in all
        ((86, 95, 100), True),  # as far apart, but so few that chance explains it
        ((20, 95, 100), False),
        ((1000, 1000, 0), False),
    ],
)
def test_spans_may_differ_by_a_tenth_or_by_what_chance_explains(
    spans: tuple[int, int, int], steady: bool
) -> None:
    totals = [sum(spans[:place]) for place in range(1, 4)]
    assert is_steady([(float(at + 1), total) for at, total in enumerate(totals)], 1.0) is steady


def test_chance_alone_seldom_holds_up_a_poisson_stream() -> None:
    rng = np.random.default_rng(11)
    held_up = 0
    for _ in range(400):
        totals = np.cumsum(rng.poisson(40, 3))
        held_up += not is_steady([(float(at + 1), int(total)) for at, total in enumerate(totals)], 1.0)
    assert held_up < 8  # 1 in 400 pairs is beyond three sigmas, and there are three pairs


def test_spans_are_read_between_the_counts_that_were_told() -> None:
    counts = [(at_s, round(100 * at_s)) for at_s in (0.35, 0.9, 1.7, 2.6, 3.3)]
    assert is_steady(counts, 1.0)


def test_a_begin_by_evidence_lies_ahead_of_the_decision_and_never_after_the_latest() -> None:
    counts = told(lambda _: 1000.0, 11.9)
    warm_up = WarmUp(3.0, 12.0)
    assert warm_up.begin_s(counts, 7.0) == 7.0 + LEAD_S
    assert warm_up.begin_s(counts, 11.49) == 11.99
    assert warm_up.begin_s(counts, 11.9) == 12.0


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
    payload = Payload("a", "seed", "json", "application/json", b"{}", "rain", {"rain": 1.0})
    running = []

    def start(port: int, load: ClosedLoad | OpenLoad) -> Drive:
        running.append(Drive(Target("127.0.0.1", port, "/"), [payload], load, 5, tmp_path))
        return running[-1]

    yield start
    for one in running:
        one.close()


def kept_window(driven: Driven, begin_s: float, window_s: float) -> None:
    """The load ended with the window: nothing came due later, and something did nearly until then."""
    last_s = driven.samples.due_ns.max() / 1e9
    assert begin_s + 0.5 * window_s < last_s < begin_s + window_s


def test_a_service_that_warms_up_is_measured_once_it_is_warm(
    warming_server: Callable[[float], int], drive: Callable[..., Drive]
) -> None:
    running = drive(warming_server(3.0), ClosedLoad(8, 2.1, 1.0, warmup_most_s=12.0))
    begin_s = running.await_window()
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


def test_an_open_loops_schedule_lasts_until_the_windows_end_wherever_that_is(
    warming_server: Callable[[float], int], drive: Callable[..., Drive]
) -> None:
    load = OpenLoad(50.0, 0.6, 1.0, arrivals="constant", warmup_most_s=10.0)
    running = drive(warming_server(0.0), load)
    begin_s = running.await_window()
    driven = running.finish()
    end_ns = int(begin_s * 1e9) + 1_000_000_000
    assert sorted(driven.samples.due_ns.tolist()) == list(range(20_000_000, end_ns, 20_000_000))


def test_a_server_that_answers_nothing_is_measured_at_the_latest_begin(
    stub_server: Callable[..., int], drive: Callable[..., Drive]
) -> None:
    load = ClosedLoad(2, 0.3, 0.3, drain_s=0.3, warmup_most_s=1.5)
    running = drive(stub_server(delay_s=30), load)
    assert running.await_window() == 1.5
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
