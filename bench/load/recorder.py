"""The driver's record of every request, kept in memory at full resolution and written at the end.

This module does not import numpy, so that the driver starts fast."""

from array import array
from collections.abc import Sequence
from pathlib import Path

from bench.model import OUTCOMES

COLUMNS: tuple[tuple[str, str], ...] = (
    ("due_ns", "q"),
    ("sent_ns", "q"),
    ("done_ns", "q"),
    ("bytes", "i"),
    ("status", "h"),
    ("payload", "h"),
    ("outcome", "b"),
)
ROW_BYTES = sum(array(code).itemsize for _, code in COLUMNS)
OUTCOME_CODE = {name: code for code, name in enumerate(OUTCOMES)}


class Recorder:
    """Columns that grow by an entry with each request; times are ns since the trial's epoch.

    `waited_ns` is how long all requests together took, from due to done.
    """

    def __init__(self) -> None:
        self.columns = tuple(array(code) for _, code in COLUMNS)
        self._append = tuple(column.append for column in self.columns)
        self.waited_ns = 0

    def add(
        self, due_ns: int, sent_ns: int, done_ns: int, size: int, status: int, payload: int, outcome: int
    ) -> None:
        """Record a request; `outcome` is an index into OUTCOMES, `size` the length of the answer in bytes."""
        due, sent, done, length, code, index, ended = self._append
        due(due_ns)
        sent(sent_ns)
        done(done_ns)
        length(size)
        code(status)
        index(payload)
        ended(outcome)
        self.waited_ns += done_ns - due_ns

    def __len__(self) -> int:
        return len(self.columns[0])

    def to_bytes(self) -> bytes:
        """Return the columns one after another, in the order of COLUMNS, in machine byte order."""
        return b"".join(column.tobytes() for column in self.columns)


def merge(parts: Sequence[bytes], file: Path) -> int:
    """Write the columns of several recorders as if one had recorded all, and return the number of rows.

    Raises ValueError if a part does not hold a whole number of rows.
    """
    if any(len(part) % ROW_BYTES for part in parts):
        raise ValueError("columns of unequal length")
    rows = [len(part) // ROW_BYTES for part in parts]
    starts = [0 for _ in parts]
    with file.open("wb") as out:
        for _, code in COLUMNS:
            width = array(code).itemsize
            for number, part in enumerate(parts):
                end = starts[number] + width * rows[number]
                out.write(memoryview(part)[starts[number] : end])
                starts[number] = end
    return sum(rows)
