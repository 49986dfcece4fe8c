"""Trials that are no comparison: capacity, caches of answers, and whether an objective held."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import replace
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from bench.load.samples import Samples
from bench.measure.judge import TrialSpec
from bench.measure.plan import Objective
from bench.measure.runtime.container import ContainerInstance
from bench.measure.steps import capacity, repeat, slo_search
from bench.measure.steps.capacity import CapacityStep
from bench.measure.steps.probe import judge_probe
from bench.measure.steps.repeat import RepeatStep, repeat_check, repeat_doubt
from bench.measure.steps.slo_search import SILENT, SearchStep
from bench.measure.steps.step import Step
from bench.measure.steps.trial import TrialStep, Tried
from bench.model import OUTCOMES, Capacity, Doubt, OpenLoad, RepeatCheck, SloResult, Trial
from tests.bench.plans import context, plan, run_of, trial
from tests.running.doubts import doubt

CASE = {"strategy": "fast", "payload_class": "seed", "encoding": "json"}
OBJECTIVE = Objective(0.99, 100.0, warmup_s=1.0, window_s=2.0)
OVERLOADED = doubt("overloaded: response times grow from 1 to 9 ms", "overloaded", cause="service")
OPEN = trial(TrialStep(**CASE, round=1, load=OpenLoad(100, 1, 2)))


def samples(response_ms: list[float], outcomes: list[str] | None = None) -> Samples:
    """Requests that come due evenly over the window of two seconds after a second of warm-up."""
    n = len(response_ms)
    due = 1e9 + np.arange(n) * (2e9 / n)
    done = due + np.asarray(response_ms) * 1e6
    codes = [OUTCOMES.index(name) for name in outcomes or ["ok"] * n]  # type: ignore[arg-type]
    columns = [due, due, done, np.zeros(n), np.full(n, 200), np.zeros(n), codes]
    return Samples(*(np.asarray(column).astype(np.int64) for column in columns))


def tried(of: Samples, made: Trial = OPEN) -> Tried:
    return Tried(made, of, 3.0)


def test_an_objective_holds_where_no_more_than_its_share_is_late() -> None:
    just = judge_probe(OBJECTIVE, 100.0, 1, tried(samples([10.0] * 396 + [500.0] * 4)))
    over = judge_probe(OBJECTIVE, 100.0, 1, tried(samples([10.0] * 394 + [500.0] * 6)))
    assert just is not None
    assert over is not None
    assert (just.held, just.why_not) == (True, "")
    assert just.quantile_ms == 10.0
    assert not over.held
    assert "1.5% of the requests were not within 100 ms" in over.why_not
    assert over.quantile_ms == 500.0


def test_what_was_turned_away_or_wrong_is_within_no_bound() -> None:
    found = judge_probe(
        OBJECTIVE,
        100.0,
        1,
        tried(samples([1.0] * 400, ["ok"] * 380 + ["refused"] * 12 + ["wrong_answer"] * 8)),
    )
    assert found is not None
    assert not found.held
    assert found.quantile_ms is None
    assert found.goodput_rps == 380 / 2.0


@pytest.mark.parametrize(("refused", "held"), [(2, True), (6, False)])
def test_what_is_refused_is_late_and_no_queue_that_grows(refused: int, held: bool) -> None:
    """The objective lets one of a hundred miss."""
    some = samples([1.0] * 400, ["ok"] * (400 - refused) + ["refused"] * refused)
    note = doubt(
        f"overloaded: {refused} of 400 requests were refused", "refusing", voids=False, cause="service"
    )
    found = judge_probe(OBJECTIVE, 100.0, 1, tried(some, replace(OPEN, doubts=(note,))))
    assert found is not None
    assert found.held == held
    assert "queue" not in found.why_not


def test_goodput_counts_only_answers_within_the_bound() -> None:
    found = judge_probe(OBJECTIVE, 100.0, 1, tried(samples([10.0] * 200 + [150.0] * 200)))
    assert found is not None
    assert found.goodput_rps == pytest.approx(100.0)


def test_a_trial_that_host_or_driver_spoiled_tells_nothing_and_one_that_the_service_did_tells_its_miss() -> (
    None
):
    for why in (doubt(), doubt("the driver was late", "late_sends", cause="driver")):
        spoiled = replace(OPEN, valid=False, doubts=(why,))
        for response_ms in (10.0, 500.0):
            assert judge_probe(OBJECTIVE, 100.0, 1, tried(samples([response_ms] * 400), spoiled)) is None
    grown = replace(OPEN, valid=False, doubts=(OVERLOADED,))
    missed = judge_probe(OBJECTIVE, 100.0, 1, tried(samples([500.0] * 400), grown))
    assert missed is not None
    assert not missed.held
    kept = judge_probe(OBJECTIVE, 100.0, 1, tried(samples([10.0] * 400), grown))
    assert kept is not None
    assert (kept.held, kept.known, kept.why_not) == (False, True, "overloaded: its queue only grew")


def test_an_overloaded_trial_with_a_harmless_note_counts_as_missed() -> None:
    note = doubt("the host stole 1.2% of the service core's time", voids=False)
    grown = replace(OPEN, valid=False, doubts=(OVERLOADED, note))
    missed = judge_probe(OBJECTIVE, 100.0, 1, tried(samples([500.0] * 400), grown))
    assert missed is not None
    assert (missed.held, missed.known) == (False, True)


def test_a_container_that_was_killed_for_memory_counts_as_missed() -> None:
    attributes = {
        "Image": "sha256:1",
        "State": {"OOMKilled": True, "Running": False, "ExitCode": 137, "Pid": 0},
        "Mounts": [],
    }
    engine_side = SimpleNamespace(
        attrs=attributes, client=SimpleNamespace(api=None), id="c1", reload=lambda: None
    )
    fate = ContainerInstance(engine_side, 0, 0, "127.0.0.1", 8080, "bridge").fate()
    assert [one.code for one in fate] == ["out_of_memory", "exited"]
    missed = judge_probe(
        OBJECTIVE, 100.0, 1, tried(samples([500.0] * 400), replace(OPEN, valid=False, doubts=fate))
    )
    assert missed is not None
    assert (missed.held, missed.known) == (False, True)
    assert missed.code == "out_of_memory"
    assert missed.why_not.startswith("the container ran out of memory and was killed: 100.0% of the requests")


def test_a_service_that_ended_is_said_to_have_ended_however_few_requests_that_cost() -> None:
    faults = (
        doubt("52.0% of the requests failed", "failed_requests", cause="service"),
        doubt("the process exited with -9", "exited", cause="service"),
    )
    died = replace(OPEN, valid=False, doubts=faults)
    outcomes = ["ok"] * 192 + ["connection_error"] * 208
    half = judge_probe(OBJECTIVE, 100.0, 1, tried(samples([1.0] * 400, outcomes), died))
    assert half is not None
    assert half.why_not == (
        "the process exited with -9: 52.0% of the requests were not within 100 ms (208 without a connection)"
    )
    at_the_end = judge_probe(OBJECTIVE, 100.0, 1, tried(samples([1.0] * 400), died))
    assert at_the_end is not None
    assert (at_the_end.held, at_the_end.known) == (False, True)
    assert at_the_end.why_not == "the process exited with -9"


def test_how_requests_missed_is_said_if_they_were_not_just_late() -> None:
    outcomes = ["ok"] * 390 + ["refused"] * 6 + ["http_error"] * 2 + ["wrong_answer"] + ["timeout"]
    some = samples([500.0] * 2 + [1.0] * 398, outcomes)
    found = judge_probe(OBJECTIVE, 100.0, 1, tried(some))
    assert found is not None
    assert found.why_not == (
        "3.0% of the requests were not within 100 ms (2 late, 1 wrong, 2 failed, 1 timed out, 6 refused)"
    )
    late = judge_probe(OBJECTIVE, 100.0, 1, tried(samples([500.0] * 12 + [1.0] * 388)))
    assert late is not None
    assert (late.why_not, late.code) == ("3.0% of the requests were not within 100 ms", None)


def test_fewer_requests_than_the_quantile_takes_tell_nothing() -> None:
    assert judge_probe(OBJECTIVE, 100.0, 1, tried(samples([10.0] * 367))) is None
    assert judge_probe(OBJECTIVE, 100.0, 1, tried(samples([10.0] * 368))) is not None


def test_a_slow_rate_is_tried_for_as_long_as_its_quantile_takes() -> None:
    assert OBJECTIVE.at(1000.0).window_s == OBJECTIVE.window_s
    assert OBJECTIVE.at(20.0).window_s * 20.0 > 368
    assert OBJECTIVE.at(0.1).window_s == 120.0


def taken(
    step: Step, module: ModuleType, monkeypatch: pytest.MonkeyPatch, make: Callable[[TrialSpec], Tried]
) -> list[object]:
    """What a step yields whose trials are made up, with a capacity of 100 requests/s known."""

    def attempt(_: object, spec: TrialSpec, *__: object) -> Generator[None, None, Tried]:
        yield from ()
        return make(spec)

    monkeypatch.setattr(module, "attempt", attempt)
    searching = plan(objective=OBJECTIVE, loads=(), rounds=0)
    run = replace(run_of(searching, []), capacities=(Capacity(*CASE.values(), 8, 100.0),))
    return list(step.take(context(searching, run)))


def test_a_search_repeats_a_spoiled_trial_and_says_when_it_knows_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spoiled = replace(OPEN, valid=False, doubts=(doubt("stolen"),))
    made: list[float] = []

    def make(spec: TrialSpec) -> Tried:
        assert isinstance(spec.load, OpenLoad)
        made.append(spec.load.rate_per_s)
        return tried(samples([10.0] * 400), spoiled)

    *kept, found = taken(SearchStep(**CASE), slo_search, monkeypatch, make)
    assert made == [10.0] * SILENT, "it is no evidence that the rate misses, and so no other is tried"
    assert isinstance(found, SloResult)
    assert (found.rate_per_s, found.goodput_rps) == (None, None)
    assert (found.probes[0].why_not, found.probes[0].known) == ("stolen", False)
    assert (found.why_none, found.known) == ("not known: stolen", False)
    assert kept == [spoiled] * len(made)
    assert len(found.probes) == len(made)


def test_a_search_finds_the_rate_that_a_service_holds_and_its_goodput(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def make(spec: TrialSpec) -> Tried:
        assert isinstance(spec.load, OpenLoad)
        return tried(samples([500.0 if spec.load.rate_per_s > 60 else 10.0] * 400))

    *kept, found = taken(SearchStep(**CASE), slo_search, monkeypatch, make)
    assert isinstance(found, SloResult)
    assert found.rate_per_s is not None
    assert 57 <= found.rate_per_s <= 60
    # all four hundred were due in the window of two seconds
    assert found.goodput_rps == 200.0
    assert len(kept) == len(found.probes)


def test_the_trials_of_a_search_come_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A session that is cut short has every trial that was made before."""
    made: list[float] = []

    def attempt(_: object, spec: TrialSpec, *__: object) -> Generator[None, None, Tried]:
        yield from ()
        assert isinstance(spec.load, OpenLoad)
        made.append(spec.load.rate_per_s)
        return tried(samples([10.0] * 400))

    monkeypatch.setattr(slo_search, "attempt", attempt)
    searching = plan(objective=OBJECTIVE, loads=(), rounds=0)
    run = replace(run_of(searching, []), capacities=(Capacity(*CASE.values(), 8, 100.0),))
    taking = SearchStep(**CASE).take(context(searching, run))
    for count in (1, 2, 3):
        assert next(taking) == OPEN
        assert len(made) == count


def test_capacity_is_the_throughput_of_a_valid_trial_and_a_spoiled_one_is_made_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spoiled = replace(OPEN, valid=False, throughput_rps=9.0)
    turns = iter([tried(samples([1.0]), spoiled), tried(samples([1.0]), replace(OPEN, throughput_rps=80.0))])
    (found,) = taken(CapacityStep(**CASE), capacity, monkeypatch, lambda _: next(turns))
    assert found == Capacity("fast", "seed", "json", 50, 80.0)


@pytest.mark.parametrize(
    ("why", "error"),
    [
        ("it never became ready", doubt("it never became ready", "start_failed")),
        ("stole 7.5%", None),
    ],
)
def test_a_capacity_that_cannot_be_known_leaves_its_search_unknown_with_the_reason(
    why: str, error: Doubt | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    note = doubt("whether others used the cores is not told", "other_cpu_unknown", voids=False)
    failed = Tried(replace(OPEN, valid=False, error=error, doubts=() if error else (note, doubt())), None)
    (found,) = taken(CapacityStep(**CASE), capacity, monkeypatch, lambda _: failed)
    assert isinstance(found, SloResult)
    assert (found.rate_per_s, found.capacity_rps, found.known, found.probes) == (None, None, False, ())
    assert found.why_none.startswith("not known: its capacity is not, from which a search begins: ")
    assert why in found.why_none
    assert "others used" not in found.why_none, "only what voids the trial is a reason"


def test_a_search_without_a_capacity_makes_no_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    def attempt(*_: object) -> None:
        raise AssertionError("there is nothing to begin from")

    monkeypatch.setattr(slo_search, "attempt", attempt)
    searching = plan(objective=OBJECTIVE, loads=(), rounds=0)
    assert list(SearchStep(**CASE).take(context(searching, run_of(searching, [])))) == []


def test_a_service_that_keeps_answers_is_flagged_and_one_that_does_not_is_not() -> None:
    def rates(*values: float | None) -> list[Trial]:
        return [replace(OPEN, throughput_rps=value) for value in values]

    kept = repeat_check(RepeatStep(**CASE), rates(100.0, 102.0), rates(150.0, 152.0))
    assert kept == RepeatCheck("fast", "seed", "json", 101.0, 151.0)
    assert kept is not None
    cached = repeat_doubt(kept)
    assert cached is not None
    assert "1.50 times as fast" in cached.text
    assert cached.remedy == "switch off what caches answers, or vary the payloads"
    assert repeat_doubt(RepeatCheck("fast", "seed", "json", 100.0, 109.0)) is None
    assert repeat_check(RepeatStep(**CASE), rates(None, None), rates(1.0)) is None


def test_copies_that_came_twice_are_blamed_on_the_service_only_if_there_were_all_of_them() -> None:
    assert repeat.came_twice(repeat.COPIES) == "it is so fast that copies came twice"
    few = repeat.came_twice(193)
    assert few == "no more than 193 copies of such bodies fit into 64 MiB, so they came twice"


def test_the_remedy_of_not_knowing_whether_answers_are_kept_is_no_remedy_of_a_cache(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    @contextmanager
    def fresh_copy(*_: object) -> Generator[SimpleNamespace, None, None]:
        yield SimpleNamespace(told=("a start",), instance=None)

    nothing = replace(OPEN, throughput_rps=None)
    monkeypatch.setattr(repeat, "fresh_copy", fresh_copy)
    monkeypatch.setattr(repeat, "originals", lambda *_: [])
    monkeypatch.setattr(repeat, "varied_copies", lambda *_: ["a copy"])
    monkeypatch.setattr(repeat, "drive_in_turn", lambda *_: ([nothing], [nothing], 0.0))
    checking = plan()
    _, found = RepeatStep(**CASE).take(context(checking, run_of(checking, [])))
    assert isinstance(found, Doubt)
    assert found.text == "whether fast keeps answers is not known: it gave none"
    assert found.remedy == "see the service's log"
