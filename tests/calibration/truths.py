"""What theory says: draws of known distribution, exact waits of a schedule, and the textbook's waits."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
NS = 1_000_000


def exponential_ms(n: int, mean_ms: float, seed: int) -> Floats:
    """Independent exponential draws."""
    return np.random.default_rng(seed).exponential(mean_ms, n)


def stratified_exponential_ms(n: int, mean_ms: float, seed: int) -> Floats:
    """Exponential draws, one from each n-th of the distribution, in random order.

    Each is exponential, and together they lie so evenly that their mean and quantiles are the distribution's
    own but for a part in n: a bound of 2% can be tested with fewer than the 10 000 draws that independent
    ones would need for a standard error of 1%.
    """
    rng = np.random.default_rng(seed)
    draws = -mean_ms * np.log1p(-(np.arange(n) + rng.random(n)) / n)
    return rng.permutation(draws)


def with_probes(asked_ms: Floats, every: int) -> Floats:
    """The same with a request of service time 0 after each `every` of them."""
    return np.insert(asked_ms, np.arange(every, len(asked_ms) + 1, every), 0.0)


def in_ns(asked_ms: ArrayLike) -> Sequence[int]:
    """Milliseconds as whole nanoseconds."""
    whole: list[int] = np.rint(np.asarray(asked_ms, dtype=np.float64) * NS).astype(np.int64).tolist()
    return whole


def lindley(due: ArrayLike, service: ArrayLike) -> Floats:
    """How long each request waits for one server, first come first served (Lindley 1952), in its unit.

    W(k+1) = max(0, W(k) + S(k) - A(k+1)) for the gap A before request k+1; unrolled, the height of a sum
    over its least value until then.
    """
    gaps = np.diff(np.asarray(due, dtype=np.float64))
    walk = np.concatenate(([0.0], np.cumsum(np.asarray(service, dtype=np.float64)[:-1] - gaps)))
    return walk - np.minimum.accumulate(walk)


def textbook_wait(rate_per_s: float, service_ms: float, variation: float) -> float:
    """The mean wait in ms of M/G/1 (Pollaczek and Khinchine); `variation` is the service's squared CV.

    0 for M/D/1, 1 for M/M/1.
    """
    load = rate_per_s * service_ms / 1e3
    return load * service_ms * (1 + variation) / (2 * (1 - load))


def batch_means_error(values: Floats, batches: int = 50) -> float:
    """The standard error of the mean of a correlated series, from the means of its batches."""
    means = [float(batch.mean()) for batch in np.array_split(values, batches)]
    return float(np.std(means, ddof=1) / np.sqrt(batches))


def as_locust_rounds(response_ms: Floats) -> Floats:
    """Response times as Locust keeps them: to 1 ms below 100 ms, to 10 below 1 s, to 100 above."""
    digit = np.select([response_ms < 100, response_ms < 1000], [1.0, 10.0], 100.0)
    return np.asarray(np.round(response_ms / digit) * digit, dtype=np.float64)
