"""What an answer must be by the quality that its strategy declares, and by that strategy's own answer."""

import math

import msgspec

from bench.model import EXACT, Quality
from bench.model.expectations import Expectation, LabelExpectation
from bench.request_sets.comparators import ROUNDING, LabelAnswer

# by so much the probabilities of an answer may miss the sum of 1, and each the range of 0 to 1: a softmax in
# numbers of 16 bits is off by less
SUM_ROUNDING = 0.01
WHOLE = 1.0


def promised(expect: Expectation, quality: Quality) -> Expectation:
    """The expectation that every single answer of a strategy with this quality must meet.

    Only labels and probabilities may be less than exact. A strategy that declares a share of agreement may
    answer any class that is the likeliest by its own probabilities.
    """
    if not isinstance(expect, LabelExpectation) or quality == EXACT:
        return expect
    others = tuple(name for name in expect.probabilities if name != expect.label)
    if quality.promise == "agreement" or quality.tolerance is None:
        return msgspec.structs.replace(expect, tolerance=WHOLE, near=others)
    near = expect.near if margin(expect) > quality.tolerance + ROUNDING else others
    return msgspec.structs.replace(expect, tolerance=quality.tolerance, near=near)


def margin(expect: LabelExpectation) -> float:
    """By how much the reference's label is more probable than any other class."""
    best = expect.probabilities[expect.label]
    others = (value for name, value in expect.probabilities.items() if name != expect.label)
    return best - max(others, default=0.0)


def verified(expect: LabelExpectation, answer: LabelAnswer, tolerance: float) -> LabelExpectation:
    """The expectation that a strategy's later answers must meet, which is its own answer.

    `tolerance` is that of an exact answer, if the request has none of its own. Classes that it may swap are
    right too, as in a recorded set.
    """
    allowed = tolerance if expect.tolerance is None else expect.tolerance
    least = max(answer.probabilities.values()) - 2 * allowed
    near = tuple(
        name for name, value in answer.probabilities.items() if name != answer.label and value >= least
    )
    return msgspec.structs.replace(
        expect, label=answer.label, probabilities=dict(answer.probabilities), near=near
    )


def malformed(answer: LabelAnswer) -> str:
    """What is wrong with the probabilities of an answer whatever is right, as a clause; else empty."""
    strange = [
        name
        for name, value in answer.probabilities.items()
        if not -SUM_ROUNDING <= value <= WHOLE + SUM_ROUNDING
    ]
    if strange:
        return f"the probability of {strange[0]} is {answer.probabilities[strange[0]]:.3g}"
    total = math.fsum(answer.probabilities.values())
    return "" if abs(total - WHOLE) <= SUM_ROUNDING else f"its probabilities sum to {total:.3g}"
