"""Checks the answers of a load: each by its payload's expectation, and no bytes twice."""

from collections.abc import Sequence

from bench.load.drive_plan import Expected
from bench.model.expectations import NoExpectation
from bench.request_sets.comparators import comparison

CACHED_ANSWERS = 4096
CACHED_BYTES = 64 * 1024 * 1024


class AnswerChecker:
    """Checks answers by payload; remembers the bytes of right answers and does not parse them again.

    All payloads together have CACHED_BYTES for them.
    """

    def __init__(self, payloads: Sequence[Expected], tolerance: float) -> None:
        self._compare = tuple(comparison(one.expect, one.reply, tolerance) for one in payloads)
        self._right: tuple[set[bytes], ...] = tuple(set() for _ in payloads)
        # to remember what nothing checks would keep every answer for nothing
        self._kept = tuple(0 if isinstance(one.expect, NoExpectation) else CACHED_ANSWERS for one in payloads)
        self._left_bytes = CACHED_BYTES

    def check(self, payload: int, body: bytes) -> bool:
        """Return whether the body is a right answer to the payload of this index."""
        known = self._right[payload]
        # even an empty set would hash all bytes of the body
        if known and body in known:
            return True
        right = self._compare[payload](body).right
        if right and len(known) < self._kept[payload] and len(body) <= self._left_bytes:
            known.add(body)
            self._left_bytes -= len(body)
        return right
