"""The fit of a batch's time against its size."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batched_serving.batching import ServiceTime


def test_nothing_is_predicted_before_anything_was_seen() -> None:
    assert ServiceTime().predict(5) == 0.0


@given(
    base_s=st.floats(0, 1),
    each_s=st.floats(0.0001, 0.1),
    sizes=st.lists(st.integers(1, 64), min_size=2, max_size=50).filter(lambda sizes: len(set(sizes)) > 1),
)
def test_a_straight_line_is_recovered(base_s: float, each_s: float, sizes: list[int]) -> None:
    fit = ServiceTime()
    for size in sizes:
        fit.observe(size, base_s + each_s * size)
    for size in sizes:
        assert fit.predict(size) == pytest.approx(base_s + each_s * size, rel=0.01, abs=1e-6)


@given(st.lists(st.tuples(st.integers(1, 64), st.floats(1e-5, 10)), min_size=1, max_size=50))
def test_whatever_was_seen_a_larger_batch_never_takes_less_and_none_less_than_nothing(
    seen: list[tuple[int, float]],
) -> None:
    fit = ServiceTime()
    for size, seconds in seen:
        fit.observe(size, seconds)
    predicted = [fit.predict(size) for size in range(1, 65)]
    assert all(0 <= one <= other + 1e-9 for one, other in pairwise(predicted))


def test_with_one_size_seen_smaller_batches_cost_as_much_and_larger_ones_in_proportion() -> None:
    fit = ServiceTime()
    for _ in range(10):
        fit.observe(8, 0.04)
    assert [fit.predict(size) for size in (1, 8, 16)] == pytest.approx([0.04, 0.04, 0.08])


def test_what_has_changed_is_learnt_and_what_was_is_forgotten() -> None:
    fit = ServiceTime(memory=20)
    for size in [1, 4, 16] * 30:
        fit.observe(size, 0.1 + 0.1 * size)
    for size in [1, 4, 16] * 60:
        fit.observe(size, 0.01 + 0.001 * size)
    assert fit.predict(16) == pytest.approx(0.026, rel=0.1)
