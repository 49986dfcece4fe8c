"""Is an answer right? Label equal and every probability within the tolerance."""

from collections.abc import Mapping, Sequence
from typing import Any

from bench.load.drive_plan import Expected
from bench.load.replies import READERS, UNREADABLE

CACHED_ANSWERS = 4096


def answer_is_right(
    body: bytes, label: str, probabilities: Mapping[str, float], tolerance: float, reply: str = "json"
) -> bool:
    """Say whether the body holds the label and the probabilities within an absolute tolerance.

    `reply` is the form in which it comes, one of READERS; in the tensors of the open inference protocol the
    probabilities are in the order of the mapping.
    """
    read = READERS[reply]
    try:
        given_label, given = read(body, tuple(probabilities))
    except UNREADABLE:
        return False
    return (
        given_label == label
        and given.keys() == probabilities.keys()
        and all(_within(given[name], p, tolerance) for name, p in probabilities.items())
    )


class AnswerChecker:
    """Checks answers by payload; bytes that were found right once are right again without parsing."""

    def __init__(self, payloads: Sequence[Expected], tolerance: float) -> None:
        self._payloads = payloads
        self._tolerance = tolerance
        self._right: tuple[set[bytes], ...] = tuple(set() for _ in payloads)

    def check(self, payload: int, body: bytes) -> bool:
        """Say whether the body is a right answer to the payload of this index."""
        known = self._right[payload]
        if body in known:
            return True
        expected = self._payloads[payload]
        right = answer_is_right(body, expected.label, expected.probabilities, self._tolerance, expected.reply)
        if right and len(known) < CACHED_ANSWERS:
            known.add(body)
        return right


def _within(given: Any, expected: float, tolerance: float) -> bool:
    # true and false count as numbers in Python, and are none in an answer
    return type(given) in (int, float) and abs(given - expected) <= tolerance
