"""The engine's own accounting is read alike from both cgroup versions, and its times to the nanosecond."""

from pathlib import Path

import pytest

from bench.measure.machine.process_memory import Mapped
from bench.measure.runtime.container import engine_instant, model_cache, peak_file, read_stats

V1 = {
    "cpu_stats": {"cpu_usage": {"total_usage": 5_000}, "throttling_data": {"throttled_periods": 3}},
    "memory_stats": {
        "usage": 1000,
        "max_usage": 9000,
        "stats": {"total_inactive_file": 300, "inactive_file": 1},
    },
}
V2 = {
    "cpu_stats": {"cpu_usage": {"total_usage": 5_000}},
    "memory_stats": {"usage": 1000, "stats": {"inactive_file": 250}},
}


def test_version_1_accounting_is_read() -> None:
    usage = read_stats(V1, 7)
    assert (usage.at_ns, usage.cpu_ns, usage.memory_bytes, usage.throttled) == (7, 5_000, 700, 3)


def test_version_2_accounting_is_read() -> None:
    usage = read_stats(V2, 7)
    # what the engine does not tell is not known, and so not 0
    assert (usage.cpu_ns, usage.memory_bytes, usage.throttled) == (5_000, 750, None)


def test_the_high_water_mark_and_the_file_cache_are_kept_where_they_are_told() -> None:
    assert (read_stats(V1, 7).peak_bytes, read_stats(V1, 7).file_cache_bytes) == (9000, 300)
    assert (read_stats(V2, 7).peak_bytes, read_stats(V2, 7).file_cache_bytes) == (None, 250)


def test_network_bytes_are_summed_over_networks_and_none_without_one() -> None:
    networks = {"eth0": {"rx_bytes": 5, "tx_bytes": 70}, "eth1": {"rx_bytes": 10, "tx_bytes": 1}}
    usage = read_stats({**V2, "networks": networks}, 7)
    assert (usage.received_bytes, usage.sent_bytes) == (15, 71)
    assert (read_stats(V2, 7).received_bytes, read_stats(V2, 7).sent_bytes) == (None, None)


FILES_1 = {"total_active_file": 200, "total_inactive_file": 100, "total_mapped_file": 60, "mapped_file": 1}
FILES_2 = {"active_file": 200, "inactive_file": 100, "file_mapped": 60, "shmem": 50}


@pytest.mark.parametrize("files", [FILES_1, FILES_2])
@pytest.mark.parametrize(
    ("mapped", "in_use"),
    [
        # 300 are files, of which 60 are mapped
        (Mapped(), 760),
        # 50 of these are shared memory, which is in use anyway and no file
        (Mapped(files=10, shared=50), 710),
        (Mapped(shared=90), 700),
        # the kernel counts pages to whoever read them first: a process maps files that are not counted here
        (Mapped(files=400), 1100),
    ],
)
def test_mapped_files_are_in_use_and_files_that_were_read_again_are_not(
    files: dict[str, int], mapped: Mapped, in_use: int
) -> None:
    stats = {**V2, "memory_stats": {"usage": 1000, "stats": files}}
    assert read_stats(stats, 7, mapped).memory_bytes == in_use


def test_more_mapped_than_read_adds_nothing() -> None:
    """Pages of a file in a tmpfs are mapped, and no file cache."""
    stats = {**V2, "memory_stats": {"usage": 1000, "stats": {**FILES_2, "file_mapped": 900}}}
    assert read_stats(stats, 7).memory_bytes == 1000


CONTAINER = "c0ffee"
V2_GROUP = f"0::/system.slice/docker-{CONTAINER}.scope\n"


@pytest.mark.parametrize(
    ("lines", "mark", "found"),
    [
        (V2_GROUP, "123\n", True),
        # Linux before 5.19
        (V2_GROUP, None, False),
        # version 1 beside version 2's empty hierarchy
        (f"4:memory:/docker/{CONTAINER}\n0::/docker/{CONTAINER}\n", None, False),
        # the engine's machine is another, and that number is some process of this one
        ("0::/user.slice\n", "123\n", False),
        (None, "123\n", False),
    ],
)
def test_the_kernels_own_mark_is_found_where_the_container_is_of_this_machine(
    tmp_path: Path, lines: str | None, mark: str | None, found: bool
) -> None:
    groups = tmp_path / "cgroup"
    for group in (f"system.slice/docker-{CONTAINER}.scope", "user.slice", f"docker/{CONTAINER}"):
        (groups / group).mkdir(parents=True)
        if mark is not None:
            (groups / group / "memory.peak").write_text(mark)
    (tmp_path / "proc" / "42").mkdir(parents=True)
    if lines is not None:
        (tmp_path / "proc" / "42" / "cgroup").write_text(lines)
    file = peak_file(42, CONTAINER, tmp_path / "proc", groups)
    assert (file is not None) == found
    assert file is None or file.read_text() == "123\n"


def test_a_container_that_is_gone_has_no_memory() -> None:
    assert read_stats({"cpu_stats": {"cpu_usage": {"total_usage": 0}}}, 1).memory_bytes == 0


def test_engine_timestamps_become_monotonic_instants() -> None:
    now_wall_ns = 1794999990 * 10**9 + 10**9
    at = engine_instant("2026-11-18T11:06:30.123456789Z", now_wall_ns, 10**18)
    assert at == 10**18 - 876_543_211
    whole = engine_instant("2026-11-18T11:06:30Z", now_wall_ns, 10**18)
    assert at - whole == 123_456_789
    assert engine_instant("2026-11-18T12:06:30+01:00", now_wall_ns, 10**18) == whole
    assert engine_instant("2026-11-18T11:06:30.5Z", now_wall_ns, 10**18) - whole == 500_000_000


def test_a_writable_volume_makes_the_model_cache_warm() -> None:
    assert model_cache({"Mounts": [{"Type": "bind", "RW": False}]}) == "cold"
    assert model_cache({"Mounts": [{"Type": "volume", "RW": True}]}) == "warm"


@pytest.mark.parametrize(
    ("target", "cache"),
    [("/data/models", "warm"), ("/data", "warm"), ("/data/models/of", "cold"), ("/dat", "cold")],
)
def test_only_a_volume_that_holds_the_cache_makes_it_warm(target: str, cache: str) -> None:
    mounts = {"Mounts": [{"Type": "volume", "RW": True, "Destination": target}]}
    assert model_cache(mounts, "/data/models") == cache
