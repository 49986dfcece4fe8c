"""Searches on a quiet host and on one with hiccups: how often they find nothing, or too high a rate."""

import numpy as np
import pytest

from bench.measure.plan import Objective
from bench.measure.steps.slo_search import MOST_PROBES, MOST_SILENT
from tests.bench.known_searches import Host, Searches, highest_rate, many
from tests.calibration.tail_coverage import Queue, Service

SEARCHES = 40
BOUND_MS = 2.0 * Queue("exponential", 0.5, 400.0).p99_s * 1e3
OBJECTIVE = Objective(0.99, BOUND_MS, warmup_s=4.0, window_s=10.0)


def searches(hiccups_a_minute: float, hiccup_s: float, *, whole: bool) -> Searches:
    host = Host("exponential", 400.0, hiccups_a_minute, hiccup_s, whole)
    return many(host, OBJECTIVE, SEARCHES, np.random.default_rng(12))


@pytest.mark.parametrize("service", ["constant", "exponential"])
@pytest.mark.parametrize("times", [2.0, 5.0])
def test_a_quiet_search_finds_a_rate_always_and_does_not_overstate_it(service: Service, times: float) -> None:
    bound_ms = times * Queue(service, 0.5, 200.0).p99_s * 1e3
    objective = Objective(0.99, bound_ms, warmup_s=4.0, window_s=10.0)
    found = many(Host(service, 200.0), objective, SEARCHES, np.random.default_rng(11))
    assert found.never == found.unknown == 0
    assert 0.9 <= found.median_to_truth <= 1.08
    assert found.p05_to_truth >= 0.85
    assert found.p95_to_truth <= 1.12
    assert found.most_probes <= MOST_PROBES


@pytest.mark.parametrize("hiccup_s", [pytest.param(0.1, marks=pytest.mark.slow), 0.2, 1.0])
def test_a_host_that_stops_six_times_a_minute_never_makes_a_search_say_never(hiccup_s: float) -> None:
    """If it stops for a second, two of three trials say nothing, and some searches end without knowing."""
    found = searches(6.0, hiccup_s, whole=True)
    assert found.never == 0
    assert found.unknown <= (0.25 if hiccup_s == 1.0 else 0.05)
    assert found.p95_to_truth <= 1.12
    assert found.most_probes <= MOST_PROBES + MOST_SILENT


@pytest.mark.slow
def test_a_service_that_stops_for_a_tenth_of_a_second_holds_a_lower_rate() -> None:
    found = searches(6.0, 0.1, whole=False)
    assert found.never + found.unknown <= 0.05
    assert found.median_to_truth <= 1.1


@pytest.mark.slow
@pytest.mark.parametrize(("hiccups", "hiccup_s", "most"), [(12.0, 0.2, 0.1), (6.0, 1.0, 0.05)])
def test_a_service_that_stops_too_often_for_any_rate_holds_none(
    hiccups: float, hiccup_s: float, most: float
) -> None:
    """Of 100 requests 3 and 10 wait for it at any rate, and 1 may: that it never holds is the truth."""
    assert highest_rate(Host("exponential", 400.0, hiccups, hiccup_s), OBJECTIVE) == 0.0
    found = searches(hiccups, hiccup_s, whole=False)
    assert found.too_high <= most
    assert found.most_probes <= MOST_PROBES
