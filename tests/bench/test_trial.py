"""A trial is judged by everything that can spoil it, and says each reason."""

import dataclasses
from typing import Any

import numpy as np
import pytest

from bench.cores import Cores
from bench.load.drive_plan import DriveSummary
from bench.load.launch import Driven
from bench.load.samples import Samples
from bench.load.window import Bounds
from bench.measure.judge import Readings, TrialSpec, failed_trial, judge, start_failed
from bench.measure.machine.core_use import CoreUse
from bench.measure.machine.usage import Usage
from bench.model import (
    OUTCOMES,
    Attachment,
    Ceiling,
    ClosedLoad,
    DoubtCode,
    OpenLoad,
    Payload,
    Strategy,
    Trial,
)
from bench.model.arrivals import constant_arrivals_ns
from bench.model.expectations import LabelExpectation
from tests.running.doubts import doubt

STRATEGY = Strategy("onnx", "ONNX", "onnx_serving", 8080, "/predict/", "/ready", ("json",), None)
PAYLOAD = Payload("a.jpg", "seed", "json", "application/json", b"{}", LabelExpectation("rain", {"rain": 1.0}))
CEILING = Ceiling("seed", "json", 10, 5000.0, 0.1, None, None)
START_NS = 10**15
SPEC = TrialSpec(
    STRATEGY,
    3,
    (PAYLOAD,),
    ClosedLoad(10, 2.0, 10.0),
    seed=1,
    cores=Cores((0,), (1,), (0, 1)),
    ceiling=CEILING,
)


def driven() -> Driven:
    """Ten clients, each answered every 50 ms for 12 s: 200 requests/s."""
    starts = np.arange(0, 12 * 10**9, 50_000_000, dtype=np.int64)
    due = np.sort((starts[:, None] + np.arange(10, dtype=np.int64) * 5_000_000).ravel())
    zeros = np.zeros(len(due), dtype=np.int64)
    samples = Samples(due, due, due + 50_000_000, zeros, zeros + 200, zeros, zeros.copy())
    return Driven(samples, DriveSummary(len(due), 2000, 0.4, window_begin_s=2.0, window_s=10.0))


def readings(**changes: Any) -> Readings:
    first = Usage(START_NS + 2 * 10**9, 10**9, 100_000_000, 0)
    middle = dataclasses.replace(first, at_ns=START_NS + 7 * 10**9, memory_bytes=150_000_000)
    last = Usage(START_NS + 12 * 10**9, 9 * 10**9, 120_000_000, changes.pop("throttled", 0))
    cores = changes.pop("cores", CoreUse(0.0, 0.0, 0.5))
    return Readings((first, middle, last), changes.pop("stolen_share", 0.0), cores=cores)


def judged(spec: TrialSpec = SPEC, fate: tuple[str, ...] = (), **changes: Any) -> Trial:
    return judge(spec, driven(), readings(**changes), fate, "samples/x.parquet", START_NS)


def test_a_clean_trial_is_valid_and_has_all_its_figures() -> None:
    trial = judged()
    assert trial.valid
    assert trial.doubts == ()
    assert trial.throughput_rps == 200.0
    # 8 CPU seconds over the 2 000 requests that ended between the readings
    assert trial.cpu_ms_per_request == pytest.approx(4.0, rel=0.001)
    assert trial.peak_memory_bytes == 150_000_000
    assert trial.driver_cpu_ms_per_request == pytest.approx(0.2)
    assert trial.load == SPEC.load


@pytest.mark.parametrize(
    "spec",
    [
        dataclasses.replace(SPEC, load=ClosedLoad(10, 2.0, 4.0), window_most_s=16.0),
        dataclasses.replace(SPEC, window_least_s=4.0),
    ],
    ids=["a quick window", "a search"],
)
def test_the_peak_of_a_longer_window_is_of_as_much_as_other_windows_have(spec: TrialSpec) -> None:
    assert judged(spec).peak_memory_bytes == 100_000_000


@pytest.mark.parametrize(
    ("changes", "reason", "valid"),
    [
        ({"throttled": 2}, "throttled the container in 2 periods", False),
        ({"cores": CoreUse(0.498, 0.0, 0.5)}, "used 49.8% of the time of the service's cores", False),
        ({"cores": CoreUse(0.0, 0.06, 0.5)}, "used 6.0% of the time of the driver's cores", False),
        ({"cores": CoreUse(0.03, 0.0, 0.5)}, "used 3.0% of the time of the service's cores", True),
        ({"cores": CoreUse(None, 0.0, 0.5)}, "cores of the service is not told", True),
        ({"cores": None}, "cores of the service and the driver is not told", True),
        ({"cores": CoreUse(0.0, 0.0, 0.98)}, "core of the driver was busy for 98%", True),
        (
            {
                "cores": CoreUse(0.6, 0.0, 0.5),
                "spec": dataclasses.replace(SPEC, bounds=Bounds(other_cpu=1.0)),
            },
            "used 60.0% of the time",
            True,
        ),
        ({"stolen_share": 0.06}, "stole 6.0%", False),
        ({"stolen_share": 0.02}, "stole 2.0%", True),
        ({"fate": (doubt("the container was restarted 1 times", "restarted"),)}, "restarted", False),
        (
            {"spec": dataclasses.replace(SPEC, ceiling=dataclasses.replace(CEILING, throughput_rps=399.0))},
            "399",
            True,
        ),
    ],
)
def test_each_fault_is_named(changes: dict[str, Any], reason: str, valid: bool) -> None:
    trial = judged(**changes)
    assert any(reason in one.text for one in trial.doubts)
    assert trial.valid is valid


@pytest.mark.parametrize(
    ("cores", "said", "valid"),
    [
        (CoreUse(None, 0.0, 0.5), None, True),
        # it may be the service itself, which would be no intruder
        (CoreUse(None, 0.6, 0.5), "perhaps the service's own, used 60.0%", True),
        # its process is known
        (CoreUse(0.0, 0.0, 0.5), None, True),
        (CoreUse(0.6, 0.0, 0.5), "other processes used 60.0% of the time of the service's cores", False),
    ],
)
def test_a_service_that_runs_already_is_no_intruder(cores: CoreUse, said: str | None, valid: bool) -> None:
    attached = dataclasses.replace(STRATEGY, attachment=Attachment("127.0.0.1"))
    spec = dataclasses.replace(SPEC, strategy=attached)
    unknown = cores.other_on_service is None
    trial = judged(spec, cores=cores, stolen_share=None if unknown else 0.0)
    assert trial.valid is valid
    assert [one.code for one in trial.doubts] == ([] if said is None else ["other_cpu"])
    assert said is None or said in trial.doubts[0].text


def test_half_of_the_ceiling_is_no_reason_to_warn() -> None:
    spec = dataclasses.replace(SPEC, ceiling=dataclasses.replace(CEILING, throughput_rps=401.0))
    assert judged(spec).doubts == ()


@pytest.mark.parametrize("kept", [None, 1])
def test_a_trial_without_two_readings_is_void_and_never_has_a_zero(kept: int | None) -> None:
    found = readings()
    few = None if kept is None else dataclasses.replace(found, usages=found.usages[:kept])
    trial = judge(SPEC, driven(), few, (), "samples/x.parquet", START_NS)
    assert not trial.valid
    assert trial.cpu_ms_per_request is None
    assert trial.peak_memory_bytes == (found.usages[0].memory_bytes if kept else None)
    assert any("accounting" in one.text for one in trial.doubts)


def test_the_accounting_of_a_service_that_ended_is_missing_through_its_own_doing() -> None:
    killed = doubt("the container ran out of memory and was killed", "out_of_memory", cause="service")
    for fate, cause in (((killed,), "service"), ((), "host")):
        trial = judge(SPEC, driven(), None, fate, "samples/x.parquet", START_NS)
        assert [one.cause for one in trial.doubts if one.code == "accounting_unread"] == [cause]


def test_a_trial_that_failed_says_why_and_has_no_figures() -> None:
    why = start_failed("it never started")
    trial = failed_trial(SPEC, why)
    assert (trial.valid, trial.reasons, trial.throughput_rps) == (False, (why,), None)


def test_an_open_load_is_held_to_no_number_of_clients_and_counts_what_was_refused() -> None:
    spec = dataclasses.replace(SPEC, load=OpenLoad(200.0, 2.0, 10.0, arrivals="constant"), ceiling=None)
    found = driven()
    found.samples.outcome[::10] = OUTCOMES.index("refused")
    trial = judge(spec, found, readings(), (), "samples/x.parquet", START_NS)
    assert trial.valid, trial.doubts
    assert trial.load == OpenLoad(200.0, 2.0, 10.0, arrivals="constant", seed=1)
    assert trial.load.name == "q200-even"
    assert (trial.refused, trial.errors) == (200, 0)
    assert trial.throughput_rps == 180.0
    assert trial.requests == 2000
    closed = judge(SPEC, found, readings(), (), "samples/x.parquet", START_NS)
    assert not closed.valid
    # those that were due in the window are the window's, whenever they failed, and 40 others are not
    assert (closed.refused, closed.errors, closed.errors_outside) == (None, 200, 40)
    assert (closed.counted_by, closed.requests) == ("due", 2000)


def test_trials_of_one_round_have_names_of_their_own() -> None:
    loads = (ClosedLoad(1, 2.0, 10.0), ClosedLoad(10, 2.0, 10.0), OpenLoad(10.0, 2.0, 10.0))
    assert len({dataclasses.replace(SPEC, load=load).name() for load in loads}) == 3


def test_requests_of_a_schedule_that_were_never_recorded_void_the_trial() -> None:
    spec = dataclasses.replace(SPEC, load=OpenLoad(250.0, 2.0, 10.0, arrivals="constant"), ceiling=None)
    trial = judge(spec, driven(), readings(), (), "samples/x.parquet", START_NS)
    assert not trial.valid
    assert any("2000 requests of the window were recorded" in one.text for one in trial.doubts)


def test_a_lost_driver_worker_voids_the_trial_and_a_busy_driver_is_told() -> None:
    found = driven()
    lost = dataclasses.replace(
        found.summary, workers=4, lost_workers=1, busiest_core=0.97, clock_error_ms=2.5
    )
    trial = judge(SPEC, Driven(found.samples, lost), readings(), (), "samples/x.parquet", START_NS)
    assert not trial.valid
    told = " ".join(one.text for one in trial.doubts)
    assert "1 of 4 driver workers were lost" in told
    assert "97% of its core" in told
    assert "2.5 ms apart" in told
    assert trial.driver is not None
    assert (trial.driver.workers, trial.driver.lost_workers) == (4, 1)


@pytest.mark.parametrize(("core", "doubted"), [(0.97, True), (0.85, False)])
def test_the_drivers_core_is_judged_as_a_core_if_no_process_on_it_is_busy_by_itself(
    core: float, doubted: bool
) -> None:
    found = driven()
    three = dataclasses.replace(found.summary, workers=2, busiest_core=0.33)
    read = readings(cores=CoreUse(0.0, 0.0, core))
    trial = judge(SPEC, Driven(found.samples, three), read, (), "samples/x.parquet", START_NS)
    assert trial.driver is not None
    assert (trial.driver.core_busy, trial.driver.busiest_core) == (core, 0.33)
    assert any(one.code == "driver_busy" for one in trial.doubts) is doubted


@pytest.mark.parametrize("begin_ms", range(4100, 4300, 7))
def test_an_arrival_due_as_the_window_ends_is_not_the_windows(begin_ms: int) -> None:
    """200/s evenly: an arrival falls on the very end, where its float may lie on either side."""
    begin_s = begin_ms / 1000
    spec = dataclasses.replace(SPEC, load=OpenLoad(200.0, 2.0, 10.0, arrivals="constant"), ceiling=None)
    due = np.array(constant_arrivals_ns(200.0, 15.0, 1))
    due = due[due < int(begin_s * 1e9) + 10 * 10**9]
    zeros = np.zeros(len(due), dtype=np.int64)
    samples = Samples(due, due, due + 5_000_000, zeros, zeros + 200, zeros, zeros.copy())
    summary = dataclasses.replace(driven().summary, window_begin_s=begin_s)
    trial = judge(spec, Driven(samples, summary), readings(), (), "samples/x.parquet", START_NS)
    assert not [one for one in trial.doubts if one.code == "requests_lost"]


def test_what_the_host_and_the_kernel_do_not_tell_is_none_and_said() -> None:
    told = readings(stolen_share=None)
    blind = dataclasses.replace(
        told, usages=tuple(dataclasses.replace(one, throttled=None) for one in told.usages)
    )
    trial = judge(SPEC, driven(), blind, (), "samples/x.parquet", START_NS)
    assert trial.valid
    assert trial.resources is not None
    assert (trial.resources.stolen, trial.resources.throttled_periods) == (None, None)
    assert any("is not told here" in one.text for one in trial.doubts)


@pytest.mark.parametrize(("growth_s", "codes"), [(0.3, {"overloaded"}), (0.02, {"warmup_open"})])
def test_a_queue_that_only_grows_is_no_matter_of_the_warm_up(growth_s: float, codes: set[str]) -> None:
    """Response times that creep up after a warm-up that was cut off are told; an overload's are not."""
    load = OpenLoad(200.0, 1.0, 10.0, arrivals="constant", warmup_most_s=2.0)
    due = np.array(constant_arrivals_ns(200.0, 12.0, 1), dtype=np.int64)
    zeros = np.zeros(len(due), dtype=np.int64)
    done = due + 100_000_000 + (growth_s * due).astype(np.int64)
    samples = Samples(due, due, done, zeros, zeros + 200, zeros, zeros.copy())
    found = Driven(samples, DriveSummary(len(due), 2000, 0.4, window_begin_s=2.0, window_s=10.0))
    spec = dataclasses.replace(SPEC, load=load, ceiling=None)
    trial = judge(spec, found, readings(), (), "samples/x.parquet", START_NS)
    assert {one.code for one in trial.doubts} & {"overloaded", "warmup_open"} == codes


@pytest.mark.parametrize(
    ("change", "code"),
    [({"children_counted": False}, "children_cpu_unknown"), ({"shared_once": False}, "memory_repeated")],
)
def test_accounting_that_is_not_whole_is_said(change: dict[str, bool], code: DoubtCode) -> None:
    whole = readings()
    partial = dataclasses.replace(
        whole, usages=tuple(dataclasses.replace(one, **change) for one in whole.usages)
    )
    trial = judge(SPEC, driven(), partial, (), "samples/x.parquet", START_NS)
    assert trial.valid
    assert [one.code for one in trial.doubts] == [code]


def test_an_account_without_cpu_time_is_no_cpu_time_of_zero() -> None:
    told = readings()
    idle = dataclasses.replace(
        told, usages=tuple(dataclasses.replace(one, cpu_ns=10**9) for one in told.usages)
    )
    trial = judge(SPEC, driven(), idle, (), "samples/x.parquet", START_NS)
    assert trial.valid
    assert trial.cpu_ms_per_request is None
    assert [one.code for one in trial.doubts] == ["cpu_unseen"]


def test_others_that_may_have_been_in_the_way_of_a_service_that_is_not_pinned_are_said() -> None:
    use = CoreUse(0.016, 0.0, 0.5, at_worst=0.8)
    spec = dataclasses.replace(
        SPEC, strategy=dataclasses.replace(SPEC.strategy, attachment=Attachment("127.0.0.1", pid=1))
    )
    trial = judge(spec, driven(), readings(cores=use), (), "samples/x.parquet", START_NS)
    assert trial.valid
    (doubt,) = [one for one in trial.doubts if one.code == "other_cpu"]
    assert "80.0%" in doubt.text
    # what bench starts is pinned
    assert not judged(cores=use).doubts
