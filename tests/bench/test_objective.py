"""The search for the highest rate that holds an objective, on services whose truth is known."""

import random
from collections.abc import Callable, Generator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.measure.steps.slo_search import (
    CONFIRMATIONS,
    MOST_PROBES,
    MOST_SILENT,
    RESOLUTION,
    SILENT,
    STEPS_DOWN,
    SearchEnd,
    search,
)
from bench.model import DoubtCode, Probe


def searched(probe: Callable[[float, int], Probe], capacity: float = 100.0) -> SearchEnd:
    """The end of a search whose probes are answered at once."""

    def answered(rate: float, round_: int) -> Generator[None, None, Probe]:
        yield
        return probe(rate, round_)

    def ended() -> Generator[None, None, None]:
        ends.append((yield from search(answered, capacity, 0.01)))

    ends: list[SearchEnd] = []
    for _ in ended():
        pass
    return ends[0]


def told(rate: float, round_: int, held: bool) -> Probe:
    """A trial of a hundred requests, of which one may miss and two do if it does not hold."""
    return Probe(rate, round_, None, 0.0, 0.0, held, requests=100, missed=0 if held else 2)


def found(limit: float, capacity: float = 100.0) -> SearchEnd:
    """Search a service that holds the objective up to a rate and never beyond."""
    return searched(lambda rate, round_: told(rate, round_, rate <= limit), capacity)


@given(limit=st.floats(10.5, 99.0))
def test_the_highest_rate_is_found_to_a_twentieth_and_never_overstated(limit: float) -> None:
    result = found(limit)
    assert result.rate_per_s is not None
    assert result.rate_per_s <= limit
    assert result.rate_per_s >= limit / (1 + RESOLUTION) * 0.99
    assert len(result.probes) <= MOST_PROBES


def test_what_holds_at_all_of_the_capacity_is_not_searched_further() -> None:
    result = found(1000.0)
    assert result.rate_per_s == 100.0
    assert [probe.rate_per_s for probe in result.probes] == [10.0] + [100.0] * (1 + CONFIRMATIONS)


def test_an_objective_that_never_holds_has_no_rate_and_fresh_trials_of_the_lowest_say_so() -> None:
    result = found(0.0)
    assert result.rate_per_s is None
    assert result.known
    at_lowest = [probe for probe in result.probes if probe.rate_per_s == 10.0]
    # two of a hundred in each: seven fresh trials cannot be made up for by five more
    assert [probe.round for probe in at_lowest] == list(range(1, 10))
    assert result.probes[-1] == at_lowest[-1]
    assert len(result.probes) <= 14


def test_however_much_misses_fresh_trials_of_the_lowest_rate_have_the_last_word() -> None:
    """One trial in which everything misses may be another's doing; at a higher rate it is enough."""
    result = searched(lambda rate, n: replace(told(rate, n, held=False), missed=100))
    assert [probe.round for probe in result.probes if probe.rate_per_s == 10.0] == [1, 2, 3, 4, 5]
    assert result.why_none == "never held: not at 10/s in 5 trials"


@given(missed=st.sets(st.integers(0, 39), max_size=12), limit=st.floats(10.5, 99.0))
def test_a_single_trial_that_misses_never_decides(missed: set[int], limit: float) -> None:
    """Whichever trial the host spoils, the first too, if it spoils none of the three after it."""
    alone = {one for one in missed if not missed & {one - 1, one + 1, one + 2}}
    made: list[int] = []

    def probe(rate: float, round_: int) -> Probe:
        made.append(len(made))
        return told(rate, round_, rate <= limit and made[-1] not in alone)

    result = searched(probe)
    assert result.rate_per_s is not None
    assert limit / (1 + RESOLUTION) ** 2 * 0.98 <= result.rate_per_s <= limit


def test_the_rate_counts_only_when_fresh_trials_hold_it() -> None:
    """A rate that was lucky in the bisection gives way until every confirmation holds."""
    result = searched(lambda rate, round_: told(rate, round_, rate <= (60 if round_ == 1 else 55)))
    assert result.rate_per_s is not None
    assert 55 * (1 - STEPS_DOWN[0]) * 0.99 <= result.rate_per_s <= 55
    last = result.probes[-CONFIRMATIONS:]
    assert {probe.rate_per_s for probe in last} == {result.rate_per_s}
    assert all(probe.held for probe in last)


@given(seed=st.integers(0, 10_000), limit=st.floats(10.5, 99.0))
def test_a_service_that_holds_by_chance_never_costs_more_trials_than_said(seed: int, limit: float) -> None:
    rng = random.Random(seed)  # noqa: S311  # chance, not secrecy
    result = searched(lambda rate, round_: told(rate, round_, rng.random() < limit / (limit + rate)))
    assert len(result.probes) <= MOST_PROBES
    assert [(one.rate_per_s, one.round) for one in result.probes] == list(
        dict.fromkeys((one.rate_per_s, one.round) for one in result.probes)
    ), "every try of a rate has a number of its own"
    if result.rate_per_s is not None:
        assert sum(one.rate_per_s == result.rate_per_s for one in result.probes) >= CONFIRMATIONS
        until = [one for one in result.probes if one.rate_per_s <= result.rate_per_s]
        assert sum(one.missed for one in until) <= 0.01 * sum(one.requests for one in until)


@pytest.mark.parametrize("capacity", [0.5, 33.3, 12_345.6])
def test_rates_are_offered_to_three_digits(capacity: float) -> None:
    result = found(capacity / 2, capacity)
    assert all(float(f"{probe.rate_per_s:.3g}") == probe.rate_per_s for probe in result.probes)


def test_why_there_is_no_rate_is_said() -> None:
    never = found(0.0)
    assert never.why_none == "never held: not at 10/s in 9 trials"
    unknown = searched(
        lambda rate, number: Probe(rate, number, None, 0.0, 0.0, held=False, why_not="stolen", known=False),
    )
    assert (unknown.why_none, unknown.known) == ("not known: stolen", False)
    lucky = searched(lambda rate, number: told(rate, number, held=number == 1))
    assert lucky.rate_per_s is None
    assert lucky.why_none.startswith("not confirmed")
    assert found(50.0).why_none == ""


@given(silent=st.sets(st.integers(0, 139), max_size=90), limit=st.floats(10.5, 99.0))
def test_trials_that_say_nothing_are_made_again_and_change_nothing(silent: set[int], limit: float) -> None:
    """The same rate is found, however many trials host and driver spoil, or it is said to be unknown."""
    made: list[int] = []

    def probe(rate: float, round_: int) -> Probe:
        made.append(len(made))
        one = told(rate, round_, rate <= limit)
        return replace(one, held=False, known=False, why_not="stolen") if made[-1] in silent else one

    result = searched(probe)
    assert len(result.probes) <= MOST_PROBES + MOST_SILENT
    if result.known:
        assert result.rate_per_s == found(limit).rate_per_s
    else:
        assert result.why_none == "not known: stolen"
        assert (
            not any(one.known for one in result.probes[-SILENT:])
            or sum(not one.known for one in result.probes) == MOST_SILENT
        )


def test_misses_at_a_lower_rate_count_against_a_higher_one() -> None:
    """The first trial, of the lowest rate, misses half of its requests, and by luck no other trial any."""

    def probe(rate: float, round_: int) -> Probe:
        if rate == 10.0 and round_ == 1:
            return replace(told(rate, round_, held=False), missed=50)
        return told(rate, round_, held=rate <= 50)

    alone = searched(lambda rate, n: told(rate, n, held=rate <= 50))
    result = searched(probe)
    assert alone.rate_per_s is not None
    assert result.rate_per_s is None or result.rate_per_s < alone.rate_per_s


def test_of_all_that_a_service_did_at_the_rate_the_gravest_is_said() -> None:
    did: list[tuple[DoubtCode | None, str]] = [
        ("failed_requests", "failed"),
        ("exited", "exited with -9"),
        (None, "late"),
        ("overloaded", "overloaded"),
        ("refusing", "refused"),
    ]

    def missed(rate: float, number: int) -> Probe:
        code, why = did[(number - 1) % 5]
        return replace(told(rate, number, held=False), why_not=why, code=code)

    assert searched(missed).why_none == "never held: not at 10/s in 9 trials: exited with -9"

    def dies_in_the_end(rate: float, number: int) -> Probe:
        return told(rate, number, held=True) if number == 1 else missed(rate, 2)

    assert searched(dies_in_the_end).why_none.endswith("did not hold in fresh trials: exited with -9")
