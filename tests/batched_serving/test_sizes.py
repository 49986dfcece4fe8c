"""Which sizes of batches are tried, padded to and taken: tables, and a clock that only timed work moves."""

from collections.abc import Callable, Mapping

import pytest

from batched_serving.batch_sizes import FEWEST_PASSES, bucket_for, doubling_sizes, saturating_size, time_sizes


@pytest.mark.parametrize(
    ("largest", "sizes"),
    [(1, (1,)), (2, (1, 2)), (3, (1, 2, 3)), (8, (1, 2, 4, 8)), (24, (1, 2, 4, 8, 16, 24))],
)
def test_sizes_double_and_end_with_the_largest(largest: int, sizes: tuple[int, ...]) -> None:
    assert doubling_sizes(largest) == sizes


@pytest.mark.parametrize(
    ("count", "bucket"), [(1, 1), (2, 2), (3, 4), (4, 4), (5, 8), (8, 8), (9, 12), (12, 12)]
)
def test_a_batch_is_padded_to_the_next_bucket(count: int, bucket: int) -> None:
    assert bucket_for(count, doubling_sizes(12)) == bucket


def test_no_bucket_holds_more_than_the_largest() -> None:
    with pytest.raises(ValueError, match=r"13 items .* 12"):
        bucket_for(13, doubling_sizes(12))


@pytest.mark.parametrize(
    ("milliseconds_an_image", "size"),
    [
        ({1: 6.5}, 1),
        ({1: 6.5, 2: 4.6, 4: 3.6, 8: 3.6, 16: 3.55, 32: 3.6, 64: 4.4}, 4),
        ({1: 4.0, 2: 4.0, 4: 4.0}, 1),
        ({1: 4.1, 2: 4.0}, 1),
        ({1: 4.3, 2: 4.0}, 2),
        ({1: 8.0, 2: 4.0, 4: 2.0, 8: 1.0}, 8),
        # what is larger again after the best does not count, however large it is
        ({1: 5.0, 2: 4.0, 4: 9.0}, 2),
    ],
)
def test_the_smallest_size_that_is_nearly_the_best(
    milliseconds_an_image: Mapping[int, float], size: int
) -> None:
    seconds = {size: each * size / 1000 for size, each in milliseconds_an_image.items()}
    assert saturating_size(seconds, 0.05) == size


class Host:
    """Computes in no time, while its clock says what it took."""

    def __init__(self, seconds: Callable[[int, int], float]) -> None:
        self.now = 0.0
        self.runs: list[int] = []
        self._seconds = seconds

    def run(self, size: int) -> None:
        self.now += self._seconds(size, self.runs.count(size))
        self.runs.append(size)

    def clock(self) -> float:
        return self.now


def test_sizes_are_timed_in_turns_and_the_least_time_counts() -> None:
    """A first run that sets things up and a moment at which the host is slow change nothing."""
    host = Host(lambda size, earlier: size * (1.0 if earlier in {0, 2} else 0.004))
    assert time_sizes(host.run, (1, 2, 4), 100.0, host.clock) == pytest.approx({1: 0.004, 2: 0.008, 4: 0.016})
    assert host.runs[:6] == [1, 2, 4, 1, 2, 4]


@pytest.mark.parametrize("milliseconds", [0.5, 3.6, 8.0, 20.0, 60.0])
def test_the_budget_is_kept_by_leaving_out_the_large_sizes(milliseconds: float) -> None:
    host = Host(lambda size, _: size * milliseconds / 1000)
    times = time_sizes(host.run, doubling_sizes(64), 0.6, host.clock)
    assert host.now <= 0.6
    assert [*times] == [size for size in doubling_sizes(64) if size <= max(times)]
    assert all(host.runs.count(size) >= FEWEST_PASSES for size in times)


def test_one_image_is_timed_whatever_it_takes() -> None:
    host = Host(lambda size, _: size * 10.0)
    assert time_sizes(host.run, (1, 2), 0.6, host.clock) == {1: 10.0}
