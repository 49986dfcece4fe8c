"""An open loop's schedule follows from its seed alone, and is Poisson or even."""

from itertools import islice

import numpy as np
import pytest

from bench.load.drive_plan import open_payloads, shuffled_passes, weighted_passes
from bench.model.arrivals import constant_arrivals_ns, poisson_arrivals_ns


def test_the_same_seed_gives_the_same_instants_and_another_seed_others() -> None:
    assert poisson_arrivals_ns(100, 5, 7) == poisson_arrivals_ns(100, 5, 7)
    assert poisson_arrivals_ns(100, 5, 7) != poisson_arrivals_ns(100, 5, 8)


@pytest.mark.parametrize("rate", [0.5, 20, 3000])
def test_instants_ascend_within_the_time_at_the_rate_asked_for(rate: float) -> None:
    seconds = 20_000 / rate
    due = np.asarray(poisson_arrivals_ns(rate, seconds, 1))
    assert due[0] >= 0
    assert due[-1] < seconds * 1e9
    assert (np.diff(due) >= 0).all()
    # twenty thousand expected: four standard deviations
    assert len(due) == pytest.approx(20_000, abs=4 * 20_000**0.5)


def test_gaps_are_exponential_and_independent_of_each_other() -> None:
    gaps = np.diff(np.asarray(poisson_arrivals_ns(200, 100, 3))) / 1e9
    assert gaps.mean() == pytest.approx(1 / 200, rel=0.03)
    assert gaps.std() == pytest.approx(gaps.mean(), rel=0.04)
    assert np.mean(gaps > 1 / 200) == pytest.approx(np.exp(-1), abs=0.02)
    assert abs(np.corrcoef(gaps[:-1], gaps[1:])[0, 1]) < 0.03


def test_no_time_holds_no_arrival() -> None:
    assert len(poisson_arrivals_ns(100, 0, 1)) == 0
    assert len(constant_arrivals_ns(100, 0, 1)) == 0


@pytest.mark.parametrize(
    ("rate", "seconds", "count"), [(100, 2.0, 199), (3, 10.0, 29), (0.5, 3.0, 1), (7000, 60.0, 419_999)]
)
def test_constant_arrivals_are_one_gap_apart_to_the_nanosecond(
    rate: float, seconds: float, count: int
) -> None:
    due = np.asarray(constant_arrivals_ns(rate, seconds, 1))
    assert len(due) == count
    # rounded once each: no error adds up over the minutes
    assert np.abs(due - np.arange(1, count + 1) * 1e9 / rate).max() <= 1
    assert due[-1] < seconds * 1e9


def test_a_longer_schedule_begins_as_the_shorter_one_does() -> None:
    """A warm-up that ends early cuts the schedule's end off, and changes nothing before it."""
    for arrivals in (poisson_arrivals_ns, constant_arrivals_ns):
        short, long = arrivals(100, 5, 7), arrivals(100, 9, 7)
        assert long[: len(short)] == short
    assert open_payloads([1.0] * 5, 40, 7)[:20] == open_payloads([1.0] * 5, 20, 7)


def test_an_open_loop_sends_each_payload_once_a_pass() -> None:
    payloads = open_payloads([2.0] * 4, 400, 1)
    assert [payloads.count(index) for index in range(4)] == [100] * 4


@pytest.mark.parametrize("weights", [(9.0, 1.0), (1.0, 1.0, 1.0, 0.25), (1e-3, 1.0), (5.0, 3.0, 2.0, 2.0)])
def test_payloads_come_as_often_as_their_weights_say(weights: tuple[float, ...]) -> None:
    """In all, and in each part of some length: nothing is sent in long runs."""
    count = 16_000
    sent = open_payloads(weights, count, 3)
    assert sent[: count // 2] == open_payloads(weights, count // 2, 3)
    assert sent != open_payloads(weights, count, 4)
    for index, weight in enumerate(weights):
        share = weight / sum(weights)
        assert sent.count(index) == pytest.approx(share * count, abs=2 + 8 * len(weights) * share)
        for start in range(0, count, 1600):
            part = sent[start : start + 1600]
            assert part.count(index) == pytest.approx(share * 1600, abs=2 + 16 * len(weights) * share)


def test_a_rare_payload_is_first_for_some_clients() -> None:
    firsts = [next(weighted_passes((9.0, 1.0), f"1/{client}")) for client in range(200)]
    assert 5 <= sum(firsts) <= 45


def test_each_pass_holds_every_payload_once_in_an_order_of_its_own() -> None:
    seen = list(islice(shuffled_passes(5, "1/2"), 50))
    passes = [seen[start : start + 5] for start in range(0, 50, 5)]
    assert all(sorted(one) == [0, 1, 2, 3, 4] for one in passes)
    assert len({tuple(one) for one in passes}) > 1
