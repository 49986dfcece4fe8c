"""The doctor: each check's grades from made-up facts, and the reading of facts on this machine."""

import contextlib
import dataclasses
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import docker
from bench.cores import Cores, choose_cores
from bench.doctor import Finding, examine, render, spoils
from bench.doctor.clock import ClockFacts, judge_clock, read_clock
from bench.doctor.container import ContainerFacts, allowed_cores, judge_container, missing_accounts
from bench.doctor.cores import (
    PinningFacts,
    Topology,
    judge_cores,
    judge_pinning,
    read_pinning,
    read_topology,
)
from bench.doctor.disk import GIB, DiskFacts, judge_disk, read_disk
from bench.doctor.driver import DriverFacts, judge_driver
from bench.doctor.engine import EngineFacts, engine_facts, judge_engine
from bench.doctor.finding import GRADES, Grade
from bench.doctor.frequency import FrequencyFacts, judge_frequency, read_frequency, throttle_count
from bench.doctor.kernel import Kernel
from bench.doctor.limits import (
    LimitFacts,
    NetworkFacts,
    judge_limits,
    judge_network,
    read_limits,
    read_network,
)
from bench.doctor.memory import MemoryFacts, judge_memory, read_memory
from bench.doctor.noise import BesideFacts, NoiseFacts, judge_beside, judge_noise, read_noise
from bench.doctor.sending import SendingFacts, judge_sending, read_sending

Findings = tuple[Finding, ...]

BASE_IMAGE = "python:3.11-slim-bookworm"
APART = Cores((0,), (1,), (0, 1))
TOGETHER = Cores((0,), (0,), (0,))
ENGINE = EngineFacts("26.1", "overlay2", "2", 4, "6.1", "/somewhere")
CONTAINER = ContainerFacts((1,), (1,), True, ())
PINNED = PinningFacts(True, (1,), (1,), 1)
CLOCK = ClockFacts("tsc", 20.0, 0, 50.0)
BESIDE = BesideFacts(0.0, 0.0, 0.05, 2, 0, 0.1)
FREQUENCY = FrequencyFacts("performance", False, 0, 0)
MEMORY = MemoryFacts(8 * GIB, 0, 0, 60, 0)
DISK = DiskFacts(50 * GIB, 50 * GIB, 0.005)
LIMITS = LimitFacts(4096, 28_000, 10)
NETWORK = NetworkFacts(65_536, 1500, 10, 1000)
WHOLE = Topology({0: (0,), 1: (1,)}, {0: 0, 1: 0})
SMT = Topology({0: (0, 1), 1: (0, 1)}, {0: 0, 1: 1})


def noise(sigma: float, between: float = 0.0) -> NoiseFacts:
    """Twelve blocks of pieces with this spread within blocks, and that between their means."""
    rng = np.random.default_rng(3)
    blocks = np.exp(rng.normal(0, sigma, (12, 200)) + rng.normal(0, between, (12, 1)))
    return NoiseFacts(tuple(tuple(block) for block in blocks))


def beside(**changes: Any) -> Findings:
    return judge_beside(dataclasses.replace(BESIDE, **changes))


def engine(**changes: Any) -> Findings:
    return judge_engine(dataclasses.replace(ENGINE, **changes), 4, "6.1")


def container(**changes: Any) -> Findings:
    return judge_container(dataclasses.replace(CONTAINER, **changes))


def pinning(**changes: Any) -> Findings:
    return (judge_pinning(dataclasses.replace(PINNED, **changes)),)


def clock(**changes: Any) -> Findings:
    return judge_clock(dataclasses.replace(CLOCK, **changes))


def frequency(**changes: Any) -> Findings:
    return judge_frequency(dataclasses.replace(FREQUENCY, **changes))


def memory(**changes: Any) -> Findings:
    return judge_memory(dataclasses.replace(MEMORY, **changes))


def disk(**changes: Any) -> Findings:
    return judge_disk(dataclasses.replace(DISK, **changes))


def limits(**changes: Any) -> Findings:
    return judge_limits(dataclasses.replace(LIMITS, **changes))


def network(**changes: Any) -> Findings:
    return judge_network(dataclasses.replace(NETWORK, **changes))


CASES: list[tuple[str, Grade, Findings]] = [
    ("engine", "good", engine()),
    ("engine", "doubtful", judge_engine(None)),
    ("engine host", "good", engine()),
    ("engine host", "doubtful", engine(kernel="6.1-linuxkit")),
    ("engine host", "doubtful", engine(cores=2)),
    ("engine host", "unknown", engine(cores=None)),
    ("engine host", "unknown", judge_engine(None)),
    ("container pinning", "good", container()),
    ("container pinning", "bad", container(allowed=(0, 1))),
    ("container pinning", "unknown", container(allowed=None)),
    ("container pinning", "unknown", judge_container(None, "no image")),
    ("addresses", "good", container()),
    ("addresses", "doubtful", container(reachable=False)),
    ("addresses", "unknown", container(reachable=None)),
    ("accounting", "good", container()),
    ("accounting", "doubtful", container(missing=("throttling",))),
    ("accounting", "bad", container(missing=("CPU time", "throttling"))),
    ("accounting", "unknown", judge_container(None, "no image")),
    ("cores", "good", judge_cores(APART, WHOLE)),
    ("cores", "bad", judge_cores(TOGETHER, WHOLE)),
    ("siblings", "good", judge_cores(APART, WHOLE)),
    ("siblings", "good", judge_cores(Cores((0,), (2,), (0, 1, 2)), Topology({0: (0, 1), 2: (2, 3)}, None))),
    ("siblings", "doubtful", judge_cores(APART, SMT)),
    ("siblings", "unknown", judge_cores(APART, Topology(None, None))),
    ("NUMA", "good", judge_cores(APART, WHOLE)),
    ("NUMA", "doubtful", judge_cores(APART, SMT)),
    ("NUMA", "unknown", judge_cores(APART, Topology(None, None))),
    ("pinning", "good", pinning()),
    ("pinning", "doubtful", pinning(possible=False)),
    ("pinning", "bad", pinning(allowed=(0, 1))),
    ("pinning", "bad", pinning(ran_on=0)),
    ("pinning", "unknown", pinning(ran_on=None)),
    ("clock source", "good", clock()),
    ("clock source", "doubtful", clock(source="xen")),
    ("clock source", "bad", clock(source="hpet")),
    ("clock source", "bad", clock(source="acpi_pm")),
    ("clock source", "unknown", clock(source=None)),
    ("clock", "good", clock()),
    ("clock", "doubtful", clock(reading_ns=2000.0)),
    ("clock", "doubtful", clock(step_ns=50_000.0)),
    ("clock", "bad", clock(step_ns=15e6)),
    ("clock", "bad", clock(went_back=1)),
    ("sending", "good", (judge_sending(SendingFacts(0.06, 0.2)),)),
    ("sending", "doubtful", (judge_sending(SendingFacts(0.06, 5.0)),)),
    ("sending", "doubtful", (judge_sending(SendingFacts(0.2, 0.4)),)),
    ("sending", "bad", (judge_sending(SendingFacts(0.06, 15.0)),)),
    ("sending", "bad", (judge_sending(SendingFacts(None, None, "it did not start")),)),
    ("noise", "good", (judge_noise(noise(0.02)),)),
    ("noise", "doubtful", (judge_noise(noise(0.02, between=0.04)),)),
    ("noise", "doubtful", (judge_noise(noise(0.15)),)),
    ("noise", "bad", (judge_noise(noise(0.02, between=0.2)),)),
    ("noise", "unknown", (judge_noise(NoiseFacts(((1.0, 1.0),) * 2)),)),
    ("stolen time", "good", beside()),
    ("stolen time", "doubtful", beside(stolen=0.03)),
    ("stolen time", "bad", beside(stolen=0.06)),
    ("stolen time", "unknown", beside(stolen=None)),
    ("beside us", "good", beside()),
    ("beside us", "good", beside(others_on_service=None, load_average=None)),
    ("beside us", "doubtful", beside(others_on_service=0.05)),
    ("beside us", "doubtful", beside(others_cores=0.8)),
    ("beside us", "bad", beside(others_on_service=0.3)),
    ("governor", "good", frequency()),
    ("governor", "doubtful", frequency(governor="powersave")),
    ("governor", "unknown", frequency(governor=None)),
    ("turbo", "good", frequency()),
    ("turbo", "doubtful", frequency(turbo=True)),
    ("turbo", "unknown", frequency(turbo=None)),
    ("heat", "good", frequency()),
    ("heat", "doubtful", frequency(throttled=7)),
    ("heat", "bad", frequency(throttled=7, throttled_now=2)),
    ("heat", "unknown", frequency(throttled=None)),
    ("driver", "good", (judge_driver(DriverFacts(5000.0, 0.2)),)),
    ("driver", "doubtful", (judge_driver(DriverFacts(600.0, 1.2)),)),
    ("driver", "bad", (judge_driver(DriverFacts(100.0, 3.0)),)),
    ("driver", "bad", (judge_driver(DriverFacts(None, None, "it stalled")),)),
    ("memory", "good", memory()),
    ("memory", "doubtful", memory(available_bytes=int(1.5 * GIB))),
    ("memory", "bad", memory(available_bytes=GIB // 2)),
    ("swap", "good", memory()),
    ("swap", "good", memory(swap_bytes=GIB, swappiness=1)),
    ("swap", "doubtful", memory(swap_bytes=GIB)),
    ("swap", "doubtful", memory(swap_bytes=GIB, swap_used_bytes=GIB // 4, swappiness=1)),
    ("swap", "unknown", memory(swap_bytes=None)),
    ("OOM score", "good", memory()),
    ("OOM score", "doubtful", memory(oom_score_adj=200)),
    ("OOM score", "unknown", memory(oom_score_adj=None)),
    ("results disk", "good", disk()),
    ("results disk", "doubtful", disk(results_free_bytes=GIB)),
    ("results disk", "bad", disk(results_free_bytes=GIB // 10)),
    ("engine disk", "good", disk()),
    ("engine disk", "doubtful", disk(engine_free_bytes=5 * GIB)),
    ("engine disk", "bad", disk(engine_free_bytes=GIB // 2)),
    ("engine disk", "unknown", disk(engine_free_bytes=None)),
    ("fsync", "good", disk()),
    ("fsync", "doubtful", disk(fsync_s=2.0)),
    ("fsync", "bad", disk(fsync_s=None)),
    ("open files", "good", limits()),
    ("open files", "doubtful", limits(open_files=256)),
    ("open files", "bad", limits(open_files=64)),
    ("open files", "unknown", limits(open_files=None)),
    ("ports", "good", limits()),
    ("ports", "good", limits(waiting=None)),
    ("ports", "doubtful", limits(waiting=20_000)),
    ("ports", "bad", limits(waiting=27_000)),
    ("ports", "unknown", limits(ports=None)),
    ("loopback", "good", network()),
    ("loopback", "doubtful", network(loopback_mtu=1500)),
    ("loopback", "unknown", network(loopback_mtu=None)),
    ("bridge", "good", network()),
    ("bridge", "doubtful", network(bridge_mtu=576)),
    ("bridge", "unknown", network(bridge_mtu=None)),
    ("conntrack", "good", network()),
    ("conntrack", "doubtful", network(tracked=600)),
    ("conntrack", "bad", network(tracked=950)),
    ("conntrack", "unknown", network(tracked=None)),
]


@pytest.mark.parametrize(("name", "grade", "found"), CASES, ids=[f"{n}-{g}" for n, g, _ in CASES])
def test_a_check_gives_the_grade_that_the_facts_call_for(
    name: str, grade: Grade, found: Iterable[Finding]
) -> None:
    (finding,) = (one for one in found if one.name == name)
    assert finding.grade == grade, finding
    assert finding.what
    # what may be wrong has its remedy, and what is right needs none
    assert bool(finding.remedy) == (grade in ("bad", "doubtful"))


def test_every_check_is_judged_above_as_good_and_as_something_else() -> None:
    seen = {name: {grade for one, grade, _ in CASES if one == name} for name, _, _ in CASES}
    assert all("good" in grades and len(grades) > 1 for grades in seen.values()), seen


def test_noise_tells_what_six_rounds_can_tell_apart() -> None:
    """With a spread s of the rounds' log ratios: (t975 + t80) s / sqrt(6), here for one of known s."""
    steps = (0.01, -0.01, 0.01, -0.01, 0.01, -0.01)
    facts = NoiseFacts(tuple(block for step in steps for block in ((1.0, 1.0), (float(np.exp(step)),) * 2)))
    # s = 0.010954, t with 5 degrees of freedom 2.5706 and 0.9195
    assert facts.detectable == pytest.approx(np.expm1((2.5706 + 0.9195) * 0.0109545 / 6**0.5), rel=1e-3)
    assert f"detectable change is {facts.detectable:.1%}" in judge_noise(facts).what


def test_the_noise_of_one_slow_piece_is_seen() -> None:
    facts = NoiseFacts((*(((1.0,) * 10,) * 11), (1.0,) * 9 + (8.0,)))
    assert facts.worst_to_median == 8.0
    assert "8.00 times the median" in judge_noise(facts).what


def test_accounts_that_an_engine_does_not_keep_are_named() -> None:
    full = {
        "cpu_stats": {"cpu_usage": {"total_usage": 5}, "throttling_data": {"throttled_periods": 0}},
        "memory_stats": {"usage": 7},
    }
    assert missing_accounts(full) == ()
    assert missing_accounts({}) == ("CPU time", "memory", "throttling")
    assert missing_accounts({**full, "memory_stats": {}}) == ("memory",)


def test_the_cores_of_a_container_are_read_from_its_status() -> None:
    assert allowed_cores("Name:\tcat\nCpus_allowed:\t5\nCpus_allowed_list:\t0,2-3\nMems_allowed:\t1\n") == (
        0,
        2,
        3,
    )
    assert allowed_cores("Name:\tcat\n") is None


def test_an_engine_that_tells_little_is_no_fault() -> None:
    found = judge_engine(engine_facts({}))
    assert [finding.grade for finding in found] == ["good", "unknown"]
    assert found[0].what == "Docker ?, ? store, cgroup v?"


def put(root: Path, files: dict[str, str]) -> Kernel:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return Kernel(root)


def test_the_kernel_s_files_are_read_as_they_are_written(tmp_path: Path) -> None:
    cpu = "sys/devices/system/cpu"
    kernel = put(
        tmp_path,
        {
            f"{cpu}/cpu0/topology/thread_siblings_list": "0,2\n",
            f"{cpu}/cpu1/topology/thread_siblings_list": "1-1\n",
            "sys/devices/system/node/node0/cpulist": "0-0\n",
            "sys/devices/system/node/node1/cpulist": "1-3\n",
            f"{cpu}/cpu1/cpufreq/scaling_governor": "schedutil\n",
            f"{cpu}/intel_pstate/no_turbo": "1\n",
            f"{cpu}/cpu0/thermal_throttle/core_throttle_count": "2\n",
            f"{cpu}/cpu1/thermal_throttle/core_throttle_count": "3\n",
            "proc/sys/net/ipv4/ip_local_port_range": "32768\t60999\n",
            "proc/net/sockstat": "sockets: used 30\nTCP: inuse 1 orphan 0 tw 14 alloc 1 mem 0\n",
            "proc/sys/net/netfilter/nf_conntrack_count": "31\n",
            "proc/sys/net/netfilter/nf_conntrack_max": "262144\n",
            "sys/class/net/lo/mtu": "65536\n",
            "sys/class/net/docker0/mtu": "1400\n",
            "sys/devices/system/clocksource/clocksource0/current_clocksource": "hpet\n",
            "proc/sys/vm/swappiness": "60\n",
            "proc/self/oom_score_adj": "-900\n",
            "sys/fs/cgroup/memory.max": "1000000\n",
            "sys/fs/cgroup/memory.current": "400000\n",
        },
    )
    assert read_topology(kernel, (0, 1)) == Topology({0: (0, 2), 1: (1,)}, {0: 0, 1: 1, 2: 1, 3: 1})
    assert throttle_count(kernel) == 5
    assert read_frequency(kernel, 1, 4) == FrequencyFacts("schedutil", False, 5, 1)
    assert dataclasses.replace(read_limits(kernel), open_files=None) == LimitFacts(None, 28_232, 14)
    assert read_network(kernel) == NetworkFacts(65_536, 1400, 31, 262_144)
    assert read_clock(kernel).source == "hpet"
    found = read_memory(kernel)
    assert (found.available_bytes, found.swappiness, found.oom_score_adj) == (600_000, 60, -900)


def test_amd_s_boost_is_turbo_too(tmp_path: Path) -> None:
    kernel = put(tmp_path, {"sys/devices/system/cpu/cpufreq/boost": "1\n"})
    assert read_frequency(kernel, 0, None).turbo is True


def test_files_of_the_kernel_that_hold_something_else_are_not_told(tmp_path: Path) -> None:
    sibling = "sys/devices/system/cpu/cpu0/topology/thread_siblings_list"
    kernel = put(tmp_path, {sibling: "none", "sys/class/net/lo/mtu": "", "sys/fs/cgroup/memory.max": "max"})
    assert read_topology(kernel, (0,)).siblings is None
    assert read_network(kernel).loopback_mtu is None
    assert read_memory(kernel).available_bytes > 0


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that is no project."""
    return tmp_path_factory.mktemp("root")


@pytest.fixture(scope="module")
def quick(root: Path) -> Findings:
    """A quick examination of this machine, with an image at hand where there is an engine."""
    with contextlib.suppress(docker.errors.DockerException), contextlib.closing(docker.from_env()) as client:
        if not client.images.list(name=BASE_IMAGE):
            client.images.pull(BASE_IMAGE)
    return examine(root, choose_cores(None, None), quick=True)


def names(found: Iterable[Finding]) -> list[str]:
    return [finding.name for finding in found]


@pytest.mark.slow
def test_an_examination_here_makes_every_check_and_leaves_nothing_behind(quick: Findings, root: Path) -> None:
    assert sorted(names(quick)) == sorted({name for name, _, _ in CASES})
    assert list(root.iterdir()) == []
    assert str(root) not in render(quick)
    by_name = {finding.name: finding for finding in quick}
    # facts of this machine that no other process can change
    assert by_name["pinning"].grade in ("good", "bad")
    assert by_name["clock"].what.endswith("never back")
    assert "requests/s" in by_name["driver"].what


@pytest.mark.engine
def test_a_real_container_keeps_to_its_cores_and_is_gone_afterwards(quick: Findings) -> None:
    by_name = {finding.name: finding for finding in quick}
    assert by_name["engine"].grade == "good"
    assert by_name["container pinning"].what == (
        f"a container for cores {choose_cores(None, None).service[0]} keeps to them"
    )
    assert by_name["accounting"].grade == "good"
    with contextlib.closing(docker.from_env()) as client:
        assert client.containers.list(all=True, filters={"label": "bench.role=doctor"}) == []


@pytest.mark.slow
def test_without_engine_and_kernel_files_what_cannot_be_read_is_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a container without /sys and without the engine's socket."""
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:9")
    found = examine(tmp_path, choose_cores(None, None), quick=True, kernel=Kernel(tmp_path / "nowhere"))
    by_name = {finding.name: finding.grade for finding in found}
    assert by_name.pop("engine") == "doubtful"
    unread = {name for name, grade in by_name.items() if grade == "unknown"}
    assert unread >= {
        *("engine host", "container pinning", "addresses", "accounting", "engine disk"),
        *("siblings", "NUMA", "pinning", "clock source", "governor", "turbo", "heat"),
        *("OOM score", "ports", "loopback", "bridge", "conntrack"),
    }
    assert {"cores", "clock", "sending", "noise", "driver", "memory", "fsync", "open files"}.isdisjoint(
        unread
    )


def test_a_check_that_fails_costs_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ValueError("not of this world")

    for name in ("read_noise", "read_driver", "read_container", "read_sending"):
        monkeypatch.setattr(f"bench.doctor.examination.{name}", broken)
    before = os.sched_getaffinity(0)
    found = {finding.name: finding for finding in examine(tmp_path, choose_cores(None, None), quick=True)}
    assert os.sched_getaffinity(0) == before
    for name in ("noise", "driver", "sending"):
        assert (found[name].grade, found[name].what) == ("unknown", "could not be checked (ValueError)")
    assert found["memory"].grade in ("good", "doubtful", "bad")


def test_the_driver_sends_late_and_never_early() -> None:
    found = read_sending(choose_cores(None, None), 0.3)
    assert found.median_ms is not None
    assert found.p99_ms is not None
    assert 0 <= found.median_ms <= found.p99_ms


def test_more_work_on_the_service_s_core_shows_beside_us_and_in_nothing_of_ours() -> None:
    """A process that spins on the service's core takes about half of it."""
    cores = choose_cores(None, None)
    code = f"import os\nos.sched_setaffinity(0, {{{cores.service[0]}}})\nwhile True: pass"
    other = subprocess.Popen([sys.executable, "-c", code])
    try:
        time.sleep(0.3)
        _, found = read_noise(cores, 1.5)
    finally:
        other.kill()
        other.wait()
    assert found.others_on_service is not None
    # a quarter at least, whoever else is there; a reading that took our own work for others' would be 1
    assert 0.25 < found.others_on_service < 0.95
    assert found.busy >= 1
    assert judge_beside(found)[1].grade == "bad"


def test_pinning_here_is_read_from_the_kernel() -> None:
    cores = tuple(sorted(os.sched_getaffinity(0)))[:1]
    assert read_pinning(Kernel(), cores) == PinningFacts(True, cores, cores, cores[0])


def test_disk_is_read_at_the_nearest_folder_that_exists(tmp_path: Path) -> None:
    found = read_disk(tmp_path / "results" / "deep", str(tmp_path))
    assert found.fsync_s is not None
    assert found.fsync_s > 0
    assert found.engine_free_bytes is not None
    assert read_disk(tmp_path, str(tmp_path / "nowhere")).engine_free_bytes is None
    assert list(tmp_path.iterdir()) == []


GOOD = Finding("alpha", "good", "fine")
UNKNOWN = Finding("beta", "unknown", "not told")
DOUBTFUL = Finding("gamma", "doubtful", "so so", "look at it")
BAD = Finding("delta", "bad", "broken " * 30, "mend it " * 20)
OTHER = Finding("epsilon", "bad", "broken too", "mend that")


def test_the_table_is_worst_first_within_100_columns_and_ends_in_what_to_do() -> None:
    shown = render((GOOD, UNKNOWN, DOUBTFUL, BAD, OTHER))
    lines = shown.splitlines()
    assert max(map(len, lines)) <= 100
    heads = [line.split()[:2] for line in lines if line.split() and line.split()[0] in GRADES]
    assert heads == [
        ["bad", "delta"],
        ["bad", "epsilon"],
        ["doubtful", "gamma"],
        ["unknown", "beta"],
        ["good", "alpha"],
    ]
    words = ("broken too", "so so", "not told", "fine")
    assert len({line.index(word) for line in lines for word in words if word in line}) == 1
    assert "remedy: look at it" in shown
    sentence = " ".join(lines[lines.index("") + 1 :])
    assert sentence.startswith(
        "Not fit to measure: 2 findings spoil it (1 could not be checked). First, delta: mend it"
    )


@pytest.mark.parametrize(
    ("found", "sentence", "bad"),
    [
        ((GOOD,), "Fit to measure: nothing that was checked speaks against it.", False),
        (
            (GOOD, UNKNOWN),
            "Fit to measure: nothing that was checked speaks against it (1 could not be checked).",
            False,
        ),
        (
            (GOOD, DOUBTFUL),
            "Fit to measure, with reserve: one finding is doubtful. First, gamma: look at it.",
            False,
        ),
        ((OTHER, DOUBTFUL), "Not fit to measure: one finding spoils it. First, epsilon: mend that.", True),
    ],
)
def test_the_last_sentence_says_whether_to_measure(found: Findings, sentence: str, bad: bool) -> None:
    assert render(found).endswith(f"\n\n{sentence}\n")
    assert spoils(found) is bad


def test_the_verb_prints_the_table_and_its_exit_code_is_what_the_table_says(
    bench: Callable[..., "subprocess.CompletedProcess[str]"], project: Path
) -> None:
    done = bench("doctor", "--quick", "--root", project)
    lines = done.stdout.rstrip().splitlines()
    assert max(map(len, lines)) <= 100
    assert {line[: line.find("  ")] for line in lines if line.startswith(GRADES)} <= set(GRADES)
    fit = not any(line.startswith("bad ") for line in lines)
    assert done.returncode == (0 if fit else 4), done.stderr
    assert ("Not fit to measure" in done.stdout) is not fit
    assert "Traceback" not in done.stderr


PAGE = Path(__file__).parents[2] / "docs" / "doctor.md"


def test_the_page_tells_of_every_check() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert not [name for name, _, _ in CASES if f"| {name} |" not in text]
