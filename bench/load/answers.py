"""Is an answer right? Label equal and every probability within the tolerance."""

import json
from collections.abc import Mapping, Sequence

from bench.load.plan import Expected

CACHED_ANSWERS = 4096


def answer_is_right(body: bytes, label: str, probabilities: Mapping[str, float], tolerance: float) -> bool:
    """Say whether the body holds the label and the probabilities within an absolute tolerance."""
    try:
        answer = json.loads(body)
        given = answer["probabilities"]
        return (
            answer["prediction"] == label
            and given.keys() == probabilities.keys()
            and all(abs(given[name] - p) <= tolerance for name, p in probabilities.items())
        )
    except (ValueError, TypeError, KeyError, AttributeError):
        return False


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
        right = answer_is_right(body, expected.label, expected.probabilities, self._tolerance)
        if right and len(known) < CACHED_ANSWERS:
            known.add(body)
        return right
