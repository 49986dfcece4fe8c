"""Several driver processes as one: nothing is counted twice, and nothing is lost in silence.

Network namespaces stand for other hosts: a worker inside has a network, and nothing else, between it and us.
"""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import psutil
import pytest

from bench.errors import BenchError
from bench.load import launch
from bench.load.launch import Drive, Driven, Fleet, Target
from bench.load.messages import CHUNK_BYTES, Inbound, RoundTrip, best_trip, chunks
from bench.measure.payloads import payload_sets
from bench.model import OUTCOMES, ClosedLoad, Load, OpenLoad, Payload
from bench.model.arrivals import constant_arrivals_ns, poisson_arrivals_ns
from bench.request_sets.reader import read_request_set
from tests.bench.other_hosts import OtherHosts, end, ip
from tests.running.in_flight import most_in_flight
from tests.running.ports import free_port
from tests.running.tiny import until

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
SEED = 3
# a way there and back on a machine that is busy, and far below the difference of two hosts' clocks
MOST_MS = 1000.0


@pytest.fixture
def payloads(project: Path) -> tuple[Payload, ...]:
    return payload_sets(read_request_set(project / "images").requests, ["seed"], ["json"])["seed", "json"]


@pytest.fixture
def start(payloads: tuple[Payload, ...], tmp_path: Path) -> Iterator[Callable[..., Drive]]:
    running: list[Drive] = []

    def begin(host: str, port: int, load: Load, fleet: Fleet) -> Drive:
        scratch = tmp_path / f"drive-{len(running)}"
        scratch.mkdir()
        running.append(Drive(Target(host, port, "/predict/"), payloads, load, SEED, scratch, fleet))
        return running[-1]

    yield begin
    for drive in running:
        drive.close()


def outcomes(driven: Driven) -> Counter[str]:
    return Counter(OUTCOMES[code] for code in driven.samples.outcome)


def served(port: int, host: str = "127.0.0.1") -> int:
    with urllib.request.urlopen(f"http://{host}:{port}/ready") as answer:
        return int(json.load(answer)["served"])


def test_local_workers_record_every_request_once_and_keep_all_clients_busy(
    stub_server: Callable[..., int], start: Callable[..., Drive]
) -> None:
    port, clients = stub_server(delay_s=0.05), 7
    driven = start("127.0.0.1", port, ClosedLoad(clients, 0.3, 2.0), Fleet(local=3)).finish()
    assert outcomes(driven) == {"ok": served(port)}
    summary, samples = driven.summary, driven.samples
    assert (summary.workers, summary.lost_workers, summary.rows) == (3, 0, len(samples))
    # the clients of all workers together are as many as were asked for
    assert most_in_flight(samples.sent_ns, samples.done_ns, from_ns=300_000_000) == clients
    assert (np.diff(samples.done_ns) >= 0).all()


def test_the_drivers_own_figures_are_those_of_all_its_processes(
    stub_server: Callable[..., int], start: Callable[..., Drive]
) -> None:
    load = ClosedLoad(6, 0.3, 1.5)
    summary = start("127.0.0.1", stub_server(delay_s=0.01), load, Fleet(local=3)).finish().summary
    assert summary.busiest_core is not None
    # the busiest of four used not more than all of them nor less than its part, in 1.5 s or, where a busy
    # machine reads the end late, in some more
    assert summary.cpu_s / 4 <= 1.5 * summary.busiest_core * 3
    assert 1.5 * summary.busiest_core * 0.9 <= summary.cpu_s
    assert 0 < summary.requests < summary.rows
    assert summary.clock_error_ms is not None
    assert 0 < summary.clock_error_ms < MOST_MS


@pytest.mark.parametrize(
    ("arrivals", "schedule"), [("poisson", poisson_arrivals_ns), ("constant", constant_arrivals_ns)]
)
def test_the_merged_arrivals_of_an_open_loop_are_the_schedule(
    stub_server: Callable[..., int],
    start: Callable[..., Drive],
    arrivals: str,
    schedule: Callable[..., list[int]],
) -> None:
    load = OpenLoad(90.0, 0.3, 1.5, arrivals=arrivals)  # type: ignore[arg-type]
    driven = start("127.0.0.1", stub_server(delay_s=0.02), load, Fleet(local=3)).finish()
    assert sorted(driven.samples.due_ns.tolist()) == list(schedule(90.0, 1.8, SEED))
    assert set(outcomes(driven)) == {"ok"}
    assert (driven.samples.sent_ns - driven.samples.due_ns).min() >= 0


def test_payloads_come_in_the_same_order_whatever_the_fleet(
    stub_server: Callable[..., int], start: Callable[..., Drive]
) -> None:
    port, load = stub_server(delay_s=0.01), OpenLoad(60.0, 0.2, 1.0)
    sent = []
    for fleet in (Fleet(), Fleet(local=2)):
        samples = start("127.0.0.1", port, load, fleet).finish().samples
        sent.append(samples.payload[np.argsort(samples.due_ns)].tolist())
    assert sent[0] == sent[1]


@pytest.mark.parametrize("fault", [signal.SIGKILL, signal.SIGSTOP])
def test_a_worker_that_is_lost_is_counted_and_the_others_go_on(
    stub_server: Callable[..., int], start: Callable[..., Drive], fault: signal.Signals
) -> None:
    port = stub_server(delay_s=0.03)
    drive = start("127.0.0.1", port, ClosedLoad(8, 0.3, 2.5, drain_s=1.0), Fleet(local=4))
    time.sleep(drive.instant(1.0))
    os.kill(drive.worker_pids[1], fault)
    driven = drive.finish()
    assert (driven.summary.workers, driven.summary.lost_workers) == (4, 1)
    assert set(outcomes(driven)) == {"ok"}
    # six of eight clients are left: what they recorded is whole, and they drove until the end
    assert driven.samples.due_ns.max() > 2_500_000_000
    assert most_in_flight(driven.samples.sent_ns, driven.samples.done_ns) == 6
    assert len(driven.samples) < served(port)


def test_a_fleet_whose_workers_are_all_lost_ends_with_nothing_and_says_so(
    stub_server: Callable[..., int], start: Callable[..., Drive]
) -> None:
    load = ClosedLoad(4, 0.5, 1.0, drain_s=0.5, warmup_most_s=2.0)
    drive = start("127.0.0.1", stub_server(delay_s=0.02), load, Fleet(local=2))
    for pid in drive.worker_pids:
        os.kill(pid, signal.SIGKILL)
    driven = drive.finish()
    assert (driven.summary.lost_workers, len(driven.samples)) == (2, 0)


@pytest.mark.slow
def test_a_fleet_that_does_not_assemble_says_how_many_came_and_what_to_do(
    start: Callable[..., Drive], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch, "ASSEMBLE_S", 4.0)
    fleet = Fleet(local=1, remote=2, port=free_port())
    # on a busy machine its own worker may take longer too
    said = r"[01] of 3 driver workers came within 4 s: .*python -m bench worker"
    with pytest.raises(BenchError, match=said):
        start("192.0.2.1", 80, ClosedLoad(3, 0.3, 1.0), fleet)


def test_a_busy_port_is_named(start: Callable[..., Drive]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = int(taken.getsockname()[1])
        with pytest.raises(BenchError, match=f"port {port} is busy"):
            start("192.0.2.1", 80, ClosedLoad(3, 0.3, 1.0), Fleet(local=0, remote=1, port=port))


def test_an_address_of_another_host_is_named(start: Callable[..., Drive]) -> None:
    fleet = Fleet(local=0, remote=1, listen="192.0.2.77", port=free_port())
    with pytest.raises(BenchError, match=r"192\.0\.2\.77 is not an address of this host"):
        start("192.0.2.1", 80, ClosedLoad(3, 0.3, 1.0), fleet)


def test_workers_on_other_hosts_are_not_sent_to_their_own_loopback(start: Callable[..., Drive]) -> None:
    with pytest.raises(BenchError, match=r"cannot reach 127\.0\.0\.1"):
        start("127.0.0.1", 80, ClosedLoad(3, 0.3, 1.0), Fleet(local=1, remote=1))


def test_an_interruption_drains_the_whole_fleet(
    stub_server: Callable[..., int], start: Callable[..., Drive]
) -> None:
    port = stub_server(delay_s=0.1)
    drive = start("127.0.0.1", port, OpenLoad(60.0, 0.3, 20.0), Fleet(local=2))
    time.sleep(drive.instant(1.0))
    driven = drive.cut_short()
    due = list(poisson_arrivals_ns(60.0, 20.3, SEED))
    assert 0 < len(driven.samples) < len(due) / 4
    # two workers hear of it one after the other: all but the last few arrivals are the schedule's first ones
    sent = sorted(driven.samples.due_ns.tolist())
    assert set(sent) <= set(due)
    assert sent[:-5] == due[: len(sent) - 5]
    assert outcomes(driven) == {"ok": served(port)}
    assert driven.summary.lost_workers == 0


def test_a_closed_drive_leaves_no_process_behind(
    stub_server: Callable[..., int], start: Callable[..., Drive]
) -> None:
    drive = start("127.0.0.1", stub_server(delay_s=0.02), ClosedLoad(4, 0.3, 30.0), Fleet(local=2))
    pids = drive.worker_pids
    drive.close()
    assert not any(psutil.pid_exists(pid) for pid in pids)


# --- workers on other hosts -------------------------------------------------------------------------------


@pytest.fixture
def open_server(stub_server: Callable[..., int]) -> Callable[..., int]:
    """A stub strategy that other hosts reach."""
    return partial(stub_server, host="0.0.0.0")  # noqa: S104  # they come by another interface


def test_workers_on_two_other_hosts_and_one_here_drive_as_one(
    other_hosts: OtherHosts, open_server: Callable[..., int], start: Callable[..., Drive]
) -> None:
    port, master_port = open_server(delay_s=0.03), free_port()
    (first, here), (second, other) = other_hosts.add(), other_hosts.add()
    one = other_hosts.serve(first, here, master_port)
    other_hosts.serve(second, other, master_port)
    # the second host reaches us by its own link only: the service's address must do for both
    ip("-n", second, "route", "add", here, "via", other)
    fleet = Fleet(local=1, remote=2, listen="0.0.0.0", port=master_port)  # noqa: S104
    loads: tuple[Load, ...] = (ClosedLoad(6, 0.3, 1.5), OpenLoad(80.0, 0.3, 1.5))
    closed, opened = (start(here, port, load, fleet).finish() for load in loads)
    assert len(closed.samples) + len(opened.samples) == served(port)
    assert set(outcomes(closed)) == set(outcomes(opened)) == {"ok"}
    assert sorted(opened.samples.due_ns.tolist()) == list(poisson_arrivals_ns(80.0, 1.8, SEED))
    for summary in (closed.summary, opened.summary):
        assert (summary.workers, summary.lost_workers) == (3, 0)
        # one kernel, one clock: what is measured is the way there and back alone
        assert summary.clock_error_ms is not None
        assert summary.clock_error_ms < MOST_MS
    assert one.stderr is not None
    # it says so after the harness has all that it recorded
    said = [one.stderr.readline() for _ in range(3)]
    assert (end(one), one.returncode) == ("", 0)
    assert [bool(re.search("drove a trial of [1-9]", line)) for line in said] == [False, True, True]


def test_a_worker_elsewhere_whose_link_goes_down_is_lost(
    other_hosts: OtherHosts, open_server: Callable[..., int], start: Callable[..., Drive]
) -> None:
    port, master_port = open_server(delay_s=0.03), free_port()
    name, here = other_hosts.add()
    other_hosts.serve(name, here, master_port)
    fleet = Fleet(local=1, remote=1, listen=here, port=master_port)
    drive = start(here, port, ClosedLoad(4, 0.3, 2.0, drain_s=0.5), fleet)
    time.sleep(drive.instant(1.0))
    ip("-n", name, "link", "set", "lo", "up")
    for interface in links_of(name):
        ip("-n", name, "link", "set", interface, "down")
    driven = drive.finish()
    assert (driven.summary.workers, driven.summary.lost_workers) == (2, 1)
    assert outcomes(driven)["ok"] == len(driven.samples) > 0


def links_of(name: str) -> list[str]:
    """The virtual interfaces inside a host."""
    listed = subprocess.run(
        ["ip", "-n", name, "-j", "link", "show", "type", "veth"], check=True, capture_output=True
    )
    return [link["ifname"] for link in json.loads(listed.stdout)]


def test_a_worker_whose_clock_reads_otherwise_drives_and_records_in_the_masters_time(
    open_server: Callable[..., int], start: Callable[..., Drive], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A time namespace gives it a clock that is more than an hour ahead, as another host's may be."""
    ahead = ["unshare", "--time", "--monotonic", "5000", "--fork", "--kill-child"]
    if shutil.which("unshare") is None or subprocess.run([*ahead, "true"], capture_output=True).returncode:
        pytest.skip("time namespaces are not permitted here")
    monkeypatch.setattr(launch, "LOOPBACK", ("none",))
    port, master_port = open_server(delay_s=0.02), free_port()
    command = [sys.executable, "-m", "bench.load.worker", "--master", "127.0.0.1", "--port", str(master_port)]
    worker = subprocess.Popen([*ahead, *command], cwd=REPOSITORY, stderr=subprocess.DEVNULL)
    try:
        load = OpenLoad(80.0, 0.3, 1.5)
        driven = start("127.0.0.1", port, load, Fleet(local=1, remote=1, port=master_port)).finish()
    finally:
        worker.kill()
        worker.wait()
    samples, summary = driven.samples, driven.summary
    assert (summary.lost_workers, outcomes(driven)) == (0, {"ok": served(port)})
    assert sorted(samples.due_ns.tolist()) == list(poisson_arrivals_ns(80.0, 1.8, SEED))
    assert np.median(samples.sent_ns - samples.due_ns) < 1e6 * MOST_MS
    assert samples.done_ns.max() < 100_000_000_000
    assert summary.clock_error_ms is not None
    assert summary.clock_error_ms < MOST_MS


@pytest.mark.slow
@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_a_serving_worker_that_is_ended_takes_its_process_along(ending: signal.Signals) -> None:
    command = [sys.executable, "-m", "bench.load.worker", "--master", "127.0.0.1", "--port", str(free_port())]
    worker = subprocess.Popen(command, cwd=REPOSITORY, stderr=subprocess.PIPE, text=True)
    children: list[psutil.Process] = []
    until = time.monotonic() + 200
    while not children and time.monotonic() < until:
        time.sleep(0.05)
        children = psutil.Process(worker.pid).children()
    assert children
    worker.send_signal(ending)
    _, said = worker.communicate(timeout=120)
    assert worker.returncode == 0
    assert not psutil.wait_procs(children, timeout=120)[1]
    assert "Traceback" not in said


def test_a_worker_process_ends_where_its_starter_is_killed() -> None:
    command = [sys.executable, "-m", "bench.load.worker", "--master", "127.0.0.1", "--port", str(free_port())]
    worker = subprocess.Popen(command, cwd=REPOSITORY, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 200
    while not (children := psutil.Process(worker.pid).children()) and time.monotonic() < until:
        time.sleep(0.05)
    worker.kill()
    worker.wait()
    assert children
    assert not psutil.wait_procs(children, timeout=120)[1]


def test_a_worker_too_many_is_told_so_and_drives_the_next_trial(
    stub_server: Callable[..., int],
    start: Callable[..., Drive],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """With two workers serving one master that needs one, either drives and the other waits its turn."""
    monkeypatch.setattr(launch, "LOOPBACK", ("none",))
    port, master_port = stub_server(delay_s=0.02), free_port()
    command = [sys.executable, "-m", "bench.load.worker", "--master", "127.0.0.1", "--port", str(master_port)]
    said = tmp_path / "said"
    with said.open("a") as sink:
        serving = [subprocess.Popen(command, cwd=REPOSITORY, stderr=sink, text=True) for _ in range(2)]
    try:
        fleet = Fleet(local=0, remote=1, port=master_port)
        for _ in range(2):
            driven = start("127.0.0.1", port, ClosedLoad(2, 0.2, 1.5), fleet).finish()
            assert (driven.summary.workers, driven.summary.lost_workers) == (1, 0)
            assert outcomes(driven)["ok"] == len(driven.samples) > 0
        # a worker says so when its master has long heard of the end
        until(lambda: said.read_text().count("drove a trial") == 2)
    finally:
        for worker in serving:
            end(worker)
            worker.wait(timeout=120)
    assert "all the workers that it needs" in said.read_text()


# --- the parts --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES + 5])
def test_chunks_put_together_are_what_was_cut(size: int) -> None:
    data, inbound = os.urandom(size), Inbound()
    for chunk in chunks("bodies", data):
        assert "bodies" not in inbound.complete
        assert len(chunk["data"]) <= CHUNK_BYTES
        inbound.add(chunk)
    assert inbound.complete["bodies"] == data


@pytest.mark.parametrize("there_ns", [20_000, 900_000])
def test_a_round_trip_bounds_the_offset_whichever_way_was_slow(there_ns: int) -> None:
    """Out takes `there_ns`, back 20 us, a clock 5 ms ahead: the bound holds where the ways differ."""
    came = 1_000_000 + there_ns + 5_000_000
    trip = RoundTrip(1_000_000, came, came + 7_000, came + 7_000 - 5_000_000 + 20_000)
    assert abs(trip.offset_ns - 5_000_000) <= trip.error_ns
    assert trip.error_ns == (there_ns + 20_000) // 2


def test_the_narrowest_round_trip_is_believed() -> None:
    wide, narrow = RoundTrip(0, 500, 500, 2_000), RoundTrip(0, 10, 20, 40)
    assert best_trip([wide, narrow, wide]) is narrow
