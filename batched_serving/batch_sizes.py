"""The choice of batch sizes: pure arithmetic, and timing with a clock that the caller passes."""

from collections.abc import Callable, Mapping, Sequence
from time import perf_counter

from serving_core.engine import Uncomputable

# A size is judged by its least time; a single time would include the set-up.
FEWEST_PASSES = 2
MOST_PASSES = 5


def doubling_sizes(largest: int) -> tuple[int, ...]:
    """Return 1, 2, 4 and so on below `largest`, then `largest` itself."""
    sizes = []
    size = 1
    while size < largest:
        sizes.append(size)
        size *= 2
    return (*sizes, largest)


def bucket_for(count: int, buckets: Sequence[int]) -> int:
    """Return the smallest ascending bucket that holds `count` items; raises ValueError if none does."""
    for bucket in buckets:
        if bucket >= count:
            return bucket
    raise ValueError(f"{count} items are more than the largest bucket's {buckets[-1]}")


def saturating_size(seconds_by_size: Mapping[int, float], tolerance: float) -> int:
    """Return the smallest size whose time per item is at most `tolerance` (0.05: 5 %) above the best."""
    each = {size: seconds / size for size, seconds in seconds_by_size.items()}
    enough = min(each.values()) * (1 + tolerance)
    return min(size for size, seconds in each.items() if seconds <= enough)


def time_sizes(
    run: Callable[[int], object],
    sizes: Sequence[int],
    budget_s: float,
    clock: Callable[[], float] = perf_counter,
) -> dict[int, float]:
    """Return the least time, in seconds, that `run` takes for each of the ascending sizes.

    The sizes are timed in passes over all of them, not one size after another, so that a host that is slow
    for a while is slow for every size. If a size cannot be timed FEWEST_PASSES times within the budget, it
    and all larger sizes are left out; so is what raises Uncomputable, such as a batch beyond the largest of
    a program. The first size is always timed.
    """
    start = clock()
    least: dict[int, float] = {}
    for size in sizes:
        if least and clock() - start + _still_to_come(least, size) > budget_s:
            break
        try:
            least[size] = _timed(run, size, clock)
        except Uncomputable:
            if not least:
                raise
            break
    for done in range(1, MOST_PASSES):
        if done >= FEWEST_PASSES and clock() - start + sum(least.values()) > budget_s:
            break
        for size in least:
            least[size] = min(least[size], _timed(run, size, clock))
    return least


def _still_to_come(least: Mapping[int, float], size: int) -> float:
    """Return the seconds until all timed sizes and the next `size` will have been timed often enough."""
    last = max(least)
    expected_s = least[last] * size / last
    return FEWEST_PASSES * expected_s + (FEWEST_PASSES - 1) * sum(least.values())


def _timed(run: Callable[[int], object], size: int, clock: Callable[[], float]) -> float:
    begin = clock()
    run(size)
    return clock() - begin
