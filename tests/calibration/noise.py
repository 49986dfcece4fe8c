"""The noise of a host as rounds see it, simulated: a speed that drifts, and each trial's own.

Figures are of throughput; every strategy of a round runs once, in an order that may be shuffled.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from bench.statistics import Comparison, paired_ratio

Floats = NDArray[np.float64]

# How far log ratios of throughput scatter over the rounds of one comparison (standard deviation), in the runs
# committed in results/: all 15 pairs of strategies of the closed loops at 50 clients (20261120T123610Z,
# 20261124T175723Z) and at 1 client (20261124T180826Z), invalid trials left out:
#   .049 .055 .059 .072 .076 .077 .084 .085 .090 .090 .097 .114 .115 .153 .161
# The host of these runs is a virtual machine with neighbours. It was quiet in one group of trials, the small
# payload of 20261124T175723Z (.049 .055 .059; root mean square .0543).
QUIET, TYPICAL = 0.0543, 0.0846


def host_speeds(rng: np.random.Generator, trials: int, scatter: float, memory: float) -> Floats:
    """Logs of the host's speed in each trial: AR(1), stationary; `memory` is its correlation."""
    steps = rng.normal(0, scatter * np.sqrt(1 - memory**2), trials)
    steps[0] = rng.normal(0, scatter)
    speeds: Floats = signal.lfilter([1.0], [1.0, -memory], steps)
    return speeds


def rounds_of(
    rng: np.random.Generator,
    strategies: int,
    noise: float,
    memory: float,
    *,
    rounds: int = 6,
    drift: float = 0.08,
    shuffled: bool = True,
) -> Floats:
    """Throughputs of strategies that are all equal: a row a round, a column a strategy."""
    speeds = host_speeds(rng, rounds * strategies, drift, memory).reshape(rounds, strategies)
    if shuffled:
        speeds = rng.permuted(speeds, axis=1)
    return np.exp(speeds + rng.normal(0, noise, speeds.shape))


def compared(a: Floats, b: Floats) -> Comparison:
    """B over A, as a report compares them."""
    found = paired_ratio(dict(enumerate(a.tolist())), dict(enumerate(b.tolist())), bootstrap=False)
    assert found is not None
    return found


def at_most(share: float, runs: int) -> float:
    """What `runs` simulations of a rate of `share` show at most, but for three chances in 1 000."""
    return share + 2.75 * float(np.sqrt(share * (1 - share) / runs))
