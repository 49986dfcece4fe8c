"""How a processor is best given work: found by timing batches while the engine is made warm."""

import logging
from collections.abc import Callable
from functools import cache
from time import perf_counter

from batched_serving.batch_sizes import doubling_sizes, saturating_size, time_sizes
from serving_core.drawn import most_at_once
from serving_core.engine import Batching, Uncomputable
from serving_core.network import Arrays

# Larger batches gain nothing: the caches are already full.
MOST = 32
# Two sizes count as equal if their times per image differ by less than this share.
TOLERANCE = 0.05
TIMING_BUDGET_S = 0.5

log = logging.getLogger("batched_serving.engine")

Predict = Callable[[Arrays], Arrays]


def best_batching(predict: Predict, example: Arrays, most: int, least: int, threads: int) -> Batching:
    """Time batches of several sizes, and return the size beyond which an item costs no less.

    `example` is of one item, `most` the largest batch that may be. Sizes below `least` are not considered: a
    start on a busy host could turn batching off for good. Batches of large items are kept to some memory.
    """
    # created only if the budget reaches it
    batch = cache(lambda size: [array.repeat(size, axis=0) for array in example])
    most = most_at_once(min(most, MOST), example, predict(example))
    least = _warmed(predict, batch, min(most, least))
    sizes = [size for size in doubling_sizes(most) if size >= least]
    times = time_sizes(lambda size: predict(batch(size)), sizes, TIMING_BUDGET_S)
    size = saturating_size(times, TOLERANCE)
    milliseconds = {str(size): round(seconds * 1000 / size, 2) for size, seconds in times.items()}
    log.debug("batch size", extra={"size": size, "ms_per_item_by_size": milliseconds})
    return Batching(size=size, in_flight=threads, own_device=False)


def _warmed(predict: Predict, batch: Callable[[int], Arrays], least: int) -> int:
    """Run each size up to `least`, since its first run is slower than later runs; return the largest run.

    If an item takes very long, or if the network takes no larger batch, the sizes end earlier.
    """
    largest = 1
    for size in doubling_sizes(least)[1:]:
        began_s = perf_counter()
        try:
            predict(batch(size))
        except Uncomputable:
            break
        largest = size
        if perf_counter() - began_s > TIMING_BUDGET_S:
            break
    return largest
