"""What a window says of a service that still gets faster in it."""

import numpy as np
import pytest

from bench.load.samples import Samples
from bench.load.window_bias import warming_doubts, window_bias


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


def test_a_window_in_which_the_rate_falls_is_not_a_matter_of_the_warm_up() -> None:
    found = window_bias(closed(np.linspace(400, 200, 200)), True, 10.0, 10.0)
    assert list(warming_doubts(found, closed=True, ended_at_most=True)) == []


def test_nothing_answered_is_no_evidence() -> None:
    nothing = np.zeros(0, dtype=np.int64)
    samples = Samples(*(nothing for _ in range(7)))
    assert window_bias(samples, True, 1.0, 1.0) is None
    assert window_bias(samples, False, 1.0, 1.0) is None
