"""How often a rule confirms a bound on p99 that does not hold, and one that holds, over known queues."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext
from functools import cache
from itertools import product
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import special

from bench.statistics import weigh

Floats = NDArray[np.float64]
Rounds = Sequence[Floats]
Rule = Callable[[Rounds, float], tuple[list[bool], float | None]]
# so many requests at most are simulated at once
AT_ONCE = 2_000_000


Service = Literal["constant", "exponential"]


@dataclass(frozen=True, slots=True)
class Queue:
    """A single server with Poisson arrivals at a share of its capacity (requests/s)."""

    service: Service
    load: float
    capacity_per_s: float

    @property
    def p99_s(self) -> float:
        """The p99 of the response time of a queue that has run forever, in s."""
        if self.service == "exponential":
            return math.log(100) / (1 - self.load) / self.capacity_per_s
        return _p99_of_constant(self.load) / self.capacity_per_s


@dataclass(frozen=True, slots=True)
class Design:
    """So many rounds, each of a queue that starts empty, with a warm-up and a window in s."""

    rounds: int
    window_s: float
    warmup_s: float = 3.0


@dataclass(frozen=True, slots=True)
class Coverage:
    """Shares of the runs, and how tight the least confirmed bound is.

    `wrong`: a bound just below the true p99 was confirmed. `bound_below`: the least confirmed bound lay below
    the truth. `at_one_and_half`, `at_twice`: a bound of so many times the truth was confirmed. `tightness` is
    the least confirmed bound over the truth, the median over runs; infinite if most runs confirm none.
    """

    runs: int
    wrong: float
    bound_below: float
    at_one_and_half: float
    at_twice: float
    tightness: float


FACTORS = (0.999, 1.5, 2.0)


def by_rounds(rounds: Rounds, truth: float) -> tuple[list[bool], float | None]:
    """By the rule of the reports: whether multiples of the truth are confirmed, and the least bound."""
    weighed = weigh(rounds)
    return [weighed.confirm(factor * truth).confirmed for factor in FACTORS], weighed.least_bound()


def pooled(rounds: Rounds, truth: float) -> tuple[list[bool], float | None]:
    """The same by the rule that takes requests for independent: broken on purpose."""
    values = np.sort(np.concatenate(list(rounds)))
    n = len(values)
    over = [int((values > factor * truth).sum()) for factor in FACTORS]
    most = int(np.sum(special.bdtr(np.arange(n), n, 0.01) <= 0.01)) - 1
    return [one <= most for one in over], float(values[n - most - 1]) if most >= 0 else None


def runs_of(queue: Queue, design: Design, runs: int, rng: np.random.Generator) -> Iterator[list[Floats]]:
    """The response times of each run's rounds, of the requests due in the windows, in s."""
    seconds = design.warmup_s + design.window_s
    rate = queue.load * queue.capacity_per_s
    most = int(rate * seconds + 6 * math.sqrt(rate * seconds) + 10)
    left = runs
    while left:
        now = max(1, min(left, AT_ONCE // (most * design.rounds)))
        due = np.cumsum(rng.exponential(1 / rate, (now * design.rounds, most)), axis=1)
        service = np.full(due.shape, 1.0) if queue.service == "constant" else rng.exponential(1.0, due.shape)
        service /= queue.capacity_per_s
        worked = np.cumsum(service, axis=1)
        response = worked + np.maximum.accumulate(due - worked + service, axis=1) - due
        # to the nanosecond, as clocks tell it
        response = np.rint(response * 1e9) / 1e9
        inside = (due >= design.warmup_s) & (due < seconds)
        each = [values[mask] for values, mask in zip(response, inside, strict=True)]
        yield from (each[k * design.rounds : (k + 1) * design.rounds] for k in range(now))
        left -= now


def coverage(
    queue: Queue, design: Design, runs: int, rng: np.random.Generator, rule: Rule = by_rounds
) -> Coverage:
    """Judge many runs by a rule."""
    truth = queue.p99_s
    told, tight = [], []
    for rounds in runs_of(queue, design, runs, rng):
        confirmed, bound = rule(rounds, truth)
        told.append(confirmed)
        tight.append(math.inf if bound is None else bound / truth)
    wrong, half, twice = (float(share) for share in np.mean(told, axis=0))
    below = float(np.mean(np.array(tight) < 1))
    return Coverage(runs, wrong, below, half, twice, float(np.median(tight)))


def grid(service: Service, load: float, runs: int) -> Iterator[tuple[Queue, Design, int]]:
    """Queues, designs and how many runs to make of each: fewer if a run has more than 20 000 requests."""
    for rounds, window_s, capacity in product((3, 6, 12), (5.0, 10.0, 30.0), (50.0, 300.0, 1000.0)):
        requests = rounds * window_s * capacity * load
        warmup_s = 5.0 if window_s == 5.0 else 3.0
        number = max(40, int(min(1.0, 20_000 / requests) * runs))
        yield Queue(service, load, capacity), Design(rounds, window_s, warmup_s), number


@cache
def _p99_of_constant(load: float) -> float:
    """The p99 of the response time of M/D/1 in service times: by bisection of Erlang's formula."""
    low, high = 0.0, 400.0
    while high - low > 1e-9:
        middle = (low + high) / 2
        low, high = (low, middle) if _waits_at_most(middle, load) >= 0.99 else (middle, high)
    return 1 + high


def _waits_at_most(wait: float, load: float) -> float:
    """The probability of a wait of at most so many service times; its terms cancel, hence the many digits."""
    with localcontext() as context:
        context.prec = 120
        t, rho = Decimal(wait), Decimal(load)
        total, factorial = Decimal(0), Decimal(1)
        for k in range(int(wait) + 1):
            factorial *= k or 1
            x = rho * (k - t)
            total += (x**k if k else Decimal(1)) / factorial * (-x).exp()
        return float((1 - rho) * total)
