"""Whether a tail keeps its bound: one-sided, by rounds and blocks, as queueing requests are not independent.

A queue or a stall makes many requests late at once, so n requests say as much as n / c independent ones.
Here c is estimated from how the number of late requests scatters over blocks of every length and over whole
rounds, and the binomial test is made with n / c. METHODOLOGY has its coverage over queues of known truth.
"""

import math
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

# below these nothing is confirmed: what differs from round to round could not be seen
LEAST_ROUNDS = 3
# a round is worth at least so many independent requests, or how long its queue remembers is not seen
LEAST_IN_ROUND = 10.0
# the clustering is the largest that was estimated, times this: the estimate scatters too
CAUTION = 1.25
# the shares of requests below the levels over which clustering is estimated, beside the quantile itself
LEVELS = (0.5, 0.75, 0.9, 0.95, 0.98, 0.99)
MOST_ROUNDS = 10**6

Floats = npt.NDArray[np.float64]
Rounds = Sequence[npt.ArrayLike]
"""Response times, an array for each round, in the order in which the requests came due; infinite if a request
has no right answer."""


@dataclass(frozen=True, slots=True)
class TailConfirmation:
    """Whether the rounds confirm that a quantile is at or below a bound.

    `share_over` is the share of requests above the bound; `refuted` says that it is so large that more of the
    same cannot confirm it. `more_rounds` is how many further rounds like these would confirm it, 0 if none
    are needed, None if the bound is refuted. If their windows are too short for any number of rounds, all
    must be `times_as_long` as long (else 1), and `more_rounds` is how many it takes then.
    """

    confirmed: bool
    refuted: bool
    share_over: float
    more_rounds: int | None
    times_as_long: float = 1.0


def confirm_tail(
    rounds: Rounds, bound: float, probability: float = 0.99, confidence: float = 0.99
) -> TailConfirmation:
    """Whether rounds confirm that the quantile of their response times is at or below the bound.

    If the true quantile is above the bound, that comes by chance at most once in 100, for a number of rounds
    that was fixed beforehand: to ask again after every round confirms too often. What was never seen cannot
    be counted: a stall that came in no window is in no figure. Raises ValueError if a round holds NaN, or an
    argument is not a probability.
    """
    return weigh(rounds, probability, confidence).confirm(bound)


def tail_bound(rounds: Rounds, probability: float = 0.99, confidence: float = 0.99) -> float | None:
    """The least bound that these rounds confirm for their quantile, a response time; None if there is none.

    It is the response time above which as many lie as `confirm_tail` allows; infinite if that request had no
    right answer. Raises as `confirm_tail` does.
    """
    return weigh(rounds, probability, confidence).least_bound()


def weigh(rounds: Rounds, probability: float = 0.99, confidence: float = 0.99) -> "WeighedRounds":
    """The rounds that have requests, and how much they are worth. Raises as `confirm_tail` does."""
    if not (0 < probability < 1 and 0 < confidence < 1 and math.isfinite(probability + confidence)):
        raise ValueError("probability and confidence lie between 0 and 1")
    found = tuple(values for one in rounds if len(values := np.asarray(one, dtype=np.float64)))
    if any(np.isnan(values).any() for values in found):
        raise ValueError("a response time that is not a number is not known to keep a bound")
    n = sum(map(len, found))
    return WeighedRounds(found, n, n / (CAUTION * clustering(found, probability)), probability, confidence)


@dataclass(frozen=True, slots=True)
class WeighedRounds:
    """Rounds of n requests with the number of independent requests that they are worth."""

    rounds: tuple[Floats, ...]
    n: int
    worth: float
    probability: float
    confidence: float

    @property
    def times_as_long(self) -> float:
        """How many times as long each round must be to hold enough; 1 if it is long enough."""
        in_round = self.worth / max(1, len(self.rounds))
        return max(1.0, LEAST_IN_ROUND / in_round) if in_round > 0 else 1.0

    def confirm(self, bound: float) -> TailConfirmation:
        """Whether they confirm that the quantile is at or below the bound."""
        over = sum(int((values > bound).sum()) for values in self.rounds)
        share = over / self.n if self.n else 0.0
        if self.allows(over):
            return TailConfirmation(True, False, share, 0)
        more = self.more_rounds(share)
        return TailConfirmation(False, more is None, share, more, self.times_as_long)

    def least_bound(self) -> float | None:
        """The least bound that they confirm; None if they confirm none."""
        if not self.allows(0):
            return None
        most = bisect_left(range(self.n), True, key=lambda over: not self.allows(over)) - 1
        place = self.n - most - 1
        return float(np.partition(np.concatenate(self.rounds), place)[place])

    def allows(self, over: int) -> bool:
        """Whether at most `over` requests above a bound are so few that they refute a quantile above it."""
        enough = len(self.rounds) >= LEAST_ROUNDS and self.times_as_long == 1 and 0 <= over < self.n
        return enough and self._is_enough(self.worth, over / self.n)

    def more_rounds(self, share_over: float) -> int | None:
        """How many further rounds, all long enough, would confirm the bound; None if no number would."""
        each = self.worth / max(1, len(self.rounds)) * self.times_as_long
        if each <= 0:  # nothing is known of rounds like these
            return max(1, LEAST_ROUNDS - len(self.rounds))
        if share_over >= 1 - self.probability or not self._is_enough(MOST_ROUNDS * each, share_over):
            return None
        needed = bisect_left(
            range(MOST_ROUNDS), True, lo=1, key=lambda number: self._is_enough(number * each, share_over)
        )
        return max(1, max(needed, LEAST_ROUNDS) - len(self.rounds))

    def _is_enough(self, worth: float, share_over: float) -> bool:
        """The binomial test with numbers that need not be whole."""
        over = share_over * worth
        by_chance = float(special.betainc(worth - over, over + 1, self.probability))
        return by_chance <= 1 - self.confidence + 1e-12


def clustering(rounds: Sequence[Floats], probability: float = 0.99) -> float:
    """How many requests say as much as one independent request would; 1 if they are independent.

    It is the variance of the number of requests above a level, as a multiple of what independent requests
    have: the largest over several levels, over blocks of 2, 4, 8 ... requests up to the shortest round, and
    over whole rounds. It is infinite if there are fewer than two rounds.
    """
    if len(rounds) < 2:
        return math.inf
    pooled = np.concatenate(rounds)
    levels = np.unique(np.quantile(pooled, sorted({*LEVELS, probability}), method="higher"))
    lengths = np.array([len(values) for values in rounds])
    alike = np.stack([values[: lengths.min()] for values in rounds])
    late = np.array([[int((values >= level).sum()) for values in rounds] for level in levels])
    found = [1.0]
    for level, counts in zip(levels, late, strict=True):
        share = float(counts.sum() / lengths.sum())
        if 0 < share < 1:
            of_rounds = float(((counts - share * lengths) ** 2).sum()) / (len(rounds) - 1) / lengths.mean()
            found += [of_rounds / (share * (1 - share)), *_of_blocks(alike >= level, share)]
    return float(max(found))


def _of_blocks(late: npt.NDArray[np.bool_], share: float) -> Iterator[float]:
    """The variance inflation over blocks of each length; `late` has a row for each round."""
    totals = np.zeros((late.shape[0], late.shape[1] + 1), dtype=np.int64)
    np.cumsum(late, axis=1, out=totals[:, 1:])
    length = 2
    while length <= late.shape[1]:
        counts = np.diff(totals[:, ::length], axis=1)
        scatter = float(((counts - share * length) ** 2).sum()) / (counts.size - 1)
        yield scatter / length / (share * (1 - share))
        length *= 2
