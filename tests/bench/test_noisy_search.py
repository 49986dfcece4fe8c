"""Searches on a quiet host and on a host with hiccups: how often they find nothing, or too high a rate."""

import numpy as np
import pytest

from bench.analysis.held_rates import SEARCHES_DIFFER
from bench.measure.plan import Objective
from bench.measure.steps.slo_search import MOST_PROBES
from tests.bench.known_searches import Host, many, searched
from tests.calibration.tail_coverage import Queue, Service

SEARCHES = 60


@pytest.mark.parametrize("service", ["constant", "exponential"])
@pytest.mark.parametrize("times", [2.0, 5.0])
def test_a_quiet_search_finds_a_rate_always_and_does_not_overstate_it(service: Service, times: float) -> None:
    bound_ms = times * Queue(service, 0.5, 200.0).p99_s * 1e3
    objective = Objective(0.99, bound_ms, warmup_s=4.0, window_s=10.0)
    found = many(Host(service, 200.0), objective, SEARCHES, np.random.default_rng(11))
    assert found.nothing == 0
    assert 0.9 <= found.median_to_truth <= 1.08
    assert found.p95_to_truth <= 1.12
    assert found.most_probes <= MOST_PROBES


def test_six_hiccups_a_minute_do_not_make_a_search_end_with_nothing_and_overstate_no_rate() -> None:
    """A tenth of a second each; then a second each, which spoils two of three trials at any rate."""
    bound_ms = 2.0 * Queue("exponential", 0.5, 400.0).p99_s * 1e3
    objective = Objective(0.99, bound_ms, warmup_s=4.0, window_s=10.0)
    rng = np.random.default_rng(12)
    short = many(Host("exponential", 400.0, 6.0, 0.1), objective, SEARCHES, rng)
    assert short.nothing <= 0.05
    long = many(Host("exponential", 400.0, 6.0, 1.0), objective, SEARCHES, rng)
    assert long.nothing <= 0.6
    for found in (short, long):
        assert found.p95_to_truth <= 1.12
        assert found.most_probes <= MOST_PROBES


@pytest.mark.parametrize("service", ["constant", "exponential"])
@pytest.mark.parametrize("times", [2.0, 5.0])
def test_two_quiet_searches_of_one_service_differ_by_no_more_than_a_comparison_allows(
    service: Service, times: float
) -> None:
    bound_ms = times * Queue(service, 0.5, 100.0).p99_s * 1e3
    objective = Objective(0.99, bound_ms, warmup_s=4.0, window_s=10.0)
    rng = np.random.default_rng(13)
    ends = [searched(Host(service, 100.0), objective, rng) for _ in range(SEARCHES)]
    logs = np.log([one.rate_per_s for one in ends if one.rate_per_s])
    apart = np.abs(logs[:, None] - logs[None, :])[np.triu_indices(len(logs), 1)]
    assert len(logs) == SEARCHES
    assert np.expm1(np.quantile(apart, 0.95)) <= SEARCHES_DIFFER
