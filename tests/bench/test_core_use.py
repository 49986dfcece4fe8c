"""What else ran on the cores: how busy they were, less the service's and bench's own; unknown is unknown."""

from pathlib import Path

import pytest

from bench.cores import Cores
from bench.measure.machine.core_use import CoreReading, CoreTimes, core_use, read_cores

APART, SHARED = Cores((0,), (1,), (0, 1)), Cores((0,), (0,), (0,))
SECOND = 1_000_000_000


def reading(at_s: float, ours_s: float, **busy_s: float) -> CoreReading:
    """Cores that were busy for so long since boot, and idle else."""
    cores = {int(name[1:]): CoreTimes(busy, at_s - busy) for name, busy in busy_s.items()}
    return CoreReading(int(at_s * SECOND), cores, ours_s)


def test_each_side_has_its_own_taken_off() -> None:
    before, after = reading(10, 1.0, c0=2.0, c1=3.0), reading(20, 3.0, c0=5.0, c1=12.0)
    found = core_use(before, after, APART, service_s=4.0)
    # 9 s of the service's core and 3 s of the driver's were used
    assert found.other_on_service == pytest.approx(0.5)
    assert found.other_on_driver == pytest.approx(0.1)
    assert found.driver_core == pytest.approx(0.3)


def test_what_is_all_ours_is_nobody_elses() -> None:
    before, after = reading(10, 1.0, c0=2.0, c1=3.0), reading(20, 4.0, c0=5.0, c1=12.0)
    found = core_use(before, after, APART, service_s=9.3)
    assert (found.other_on_service, found.other_on_driver) == (0.0, 0.0)


def test_a_core_for_both_is_judged_once() -> None:
    before, after = reading(10, 1.0, c0=2.0), reading(20, 4.0, c0=11.0)
    found = core_use(before, after, SHARED, service_s=4.0)
    assert found.other_on_service == found.other_on_driver == pytest.approx(0.2)


def test_several_cores_count_by_their_time_and_the_busiest_of_the_driver_is_told() -> None:
    cores = Cores((0, 1), (2, 3), (0, 1, 2, 3))
    before = reading(0, 0.0, c0=0.0, c1=0.0, c2=0.0, c3=0.0)
    after = reading(10, 10.0, c0=9.8, c1=1.2, c2=5.0, c3=10.0)
    found = core_use(before, after, cores, service_s=10.0)
    assert found.other_on_service == pytest.approx(0.25)
    assert found.other_on_driver == pytest.approx(0.05)
    assert found.driver_core == pytest.approx(0.98)


@pytest.mark.parametrize("noise_s", [-0.8, 0.8])
def test_what_one_of_two_ways_of_counting_errs_passes_for_no_process(noise_s: float) -> None:
    """Samples at ticks, and time that the host took without saying so."""
    sampled, away = 5.0 + noise_s, 5.0 + noise_s
    before = CoreReading(0, {0: CoreTimes(0, 0), 1: CoreTimes(0, 0)}, 0.0)
    for times in (CoreTimes(sampled, 5.0), CoreTimes(5.0, 10 - away)):
        after = CoreReading(10 * SECOND, {0: times, 1: times}, 5.0)
        found = core_use(before, after, APART, service_s=5.0)
        assert (found.other_on_service, found.other_on_driver) == (0.0, 0.0)


def test_what_is_not_known_is_none() -> None:
    before, after = reading(10, 1.0, c0=2.0, c1=3.0), reading(20, 3.0, c0=5.0, c1=12.0)
    assert core_use(before, after, APART, service_s=None).other_on_service is None
    nothing = CoreReading(20 * SECOND, {}, 3.0)
    found = core_use(CoreReading(10 * SECOND, {}, 1.0), nothing, APART, service_s=4.0)
    assert (found.other_on_service, found.other_on_driver, found.driver_core) == (None, None, None)


def test_interrupts_waiting_and_stolen_time_are_no_processes(tmp_path: Path) -> None:
    stat = tmp_path / "stat"
    stat.write_text("cpu  1 1 1 1 1 1 1 1 0 0\ncpu0 100 10 20 1000 7 3 5 50 9 9\nintr 4 5\n")
    assert read_cores(stat) == {0: CoreTimes(pytest.approx(1.3), pytest.approx(10.65))}
    assert read_cores(tmp_path / "nowhere") == {}


def test_others_on_many_cores_may_have_been_on_the_few_that_the_service_used() -> None:
    """A burner beside a service of one thread on 64 cores: 1.6% of them, and perhaps all of the service's."""
    cores = Cores((0,), tuple(range(1, 65)), tuple(range(65)))
    before = CoreReading(0, {core: CoreTimes(0, 0) for core in range(65)}, 0.0)
    busy = {core: 10.0 if core < 3 else 0.0 for core in range(65)}
    after = CoreReading(
        10 * SECOND, {core: CoreTimes(used, 10 - used) for core, used in busy.items()}, ours_s=10.0
    )
    for service_s, worst in ((9.5, 1.0), (19.0, 0.05)):
        found = core_use(before, after, cores, service_s)
        assert found.other_on_service == pytest.approx((20 - service_s) / 640, abs=1e-4)
        assert found.at_worst == pytest.approx(worst, abs=0.01)
    few = core_use(reading(0, 0, c0=0, c1=0), reading(10, 3, c0=3, c1=6), APART, service_s=5.0)
    assert few.at_worst == few.other_on_service == pytest.approx(0.1)
