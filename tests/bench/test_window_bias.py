"""What a window says of a service that still changes in it."""

import numpy as np
import pytest

from bench.load.samples import Samples
from bench.load.window_bias import warming_doubts, window_bias
from tests.statistics.processes import samples_of


def closed(rate_at: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> Samples:
    """The samples of a closed loop of four clients with this rate (requests/s) in each tenth of a second."""
    ended = np.concatenate(
        [np.linspace(place, place + 1, int(rate / 10), endpoint=False) for place, rate in enumerate(rate_at)]
    )
    done_ns = (ended * 1e8).astype(np.int64)
    nothing = np.zeros(len(done_ns), dtype=np.int64)
    due_ns = done_ns - (4e9 / np.repeat(rate_at, (rate_at / 10).astype(int))).astype(np.int64)
    return Samples(due_ns, due_ns, done_ns, nothing, nothing + 200, nothing, nothing)


def test_a_window_in_which_the_rate_rises_is_too_low_and_says_by_how_much() -> None:
    found = window_bias(closed(np.linspace(200, 400, 200)), True, 10.0, 10.0)
    assert found is not None
    # from 300 to 400 within the window, by the trend's own mean: 50 of 320 or so
    assert found.bias.centre == pytest.approx(-0.155, abs=0.01)
    (cut,) = warming_doubts(found, closed=True, ended_at_most=True)
    assert (cut.code, cut.voids) == ("warmup_open", True)
    (told,) = warming_doubts(found, closed=True, ended_at_most=False)
    assert not told.voids


def test_a_steady_window_excludes_a_bias() -> None:
    found = window_bias(closed(np.full(200, 300.0)), True, 10.0, 10.0)
    assert found is not None
    assert found.bias.within(0.02)
    assert list(warming_doubts(found, closed=True, ended_at_most=True)) == []


def test_a_window_in_which_the_rate_falls_is_told_once_the_warm_up_was_cut_off() -> None:
    """A service that gets slower may do so for ever: to wait longer need not help, so nothing is void."""
    found = window_bias(closed(np.linspace(400, 200, 200)), True, 10.0, 10.0)
    assert list(warming_doubts(found, closed=True, ended_at_most=False)) == []
    (cut,) = warming_doubts(found, closed=True, ended_at_most=True)
    assert (cut.code, cut.voids, cut.cause) == ("warmup_open", False, "service")
    assert cut.text.startswith("the service was still getting slower: throughput is ")
    assert "too high, and the warm-up ended at its most" in cut.text


def opened(first_ms: float, last_ms: float, seed: int = 1) -> Samples:
    """An open load of 50/s over 20 s, whose response times go from one level to another bit by bit."""
    rng = np.random.default_rng(seed)
    due = np.sort(rng.uniform(0, 20, 1000))
    level = first_ms + (last_ms - first_ms) * due / 20
    return samples_of(due, due + level / 1e3 * np.exp(rng.normal(0, 0.2, len(due))))


@pytest.mark.parametrize(
    ("first", "last", "said"),
    [(60, 20, ("faster", "too high")), (20, 60, ("slower", "too low")), (40, 40, None)],
)
def test_an_open_loop_tells_that_its_warm_up_was_cut_off_and_is_not_void(
    first: float, last: float, said: tuple[str, str] | None
) -> None:
    found = window_bias(opened(first, last), False, 10.0, 10.0)
    assert list(warming_doubts(found, closed=False, ended_at_most=False)) == []
    doubts = list(warming_doubts(found, closed=False, ended_at_most=True))
    if said is None:
        assert doubts == []
        return
    (cut,) = doubts
    assert (cut.code, cut.voids) == ("warmup_open", False)
    assert f"still getting {said[0]}: response time is " in cut.text
    assert f"{said[1]}, and the warm-up ended at its most" in cut.text


def test_nothing_answered_is_no_evidence() -> None:
    nothing = np.zeros(0, dtype=np.int64)
    samples = Samples(*(nothing for _ in range(7)))
    assert window_bias(samples, True, 1.0, 1.0) is None
    assert window_bias(samples, False, 1.0, 1.0) is None
