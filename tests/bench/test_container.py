"""The engine's own accounting is read alike from both cgroup versions, and its times to the nanosecond."""

from bench.measure.container import engine_instant, model_cache, read_stats

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
    assert (usage.cpu_ns, usage.memory_bytes, usage.throttled) == (5_000, 750, 0)


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
