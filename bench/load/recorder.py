"""Every request of a trial, kept in memory at full resolution and written once at the end."""

from array import array
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
OUTCOME_CODE = {name: code for code, name in enumerate(OUTCOMES)}


class Recorder:
    """Growing columns, one entry a request; times are ns since the trial's epoch."""

    def __init__(self) -> None:
        self.columns = tuple(array(code) for _, code in COLUMNS)
        self._append = tuple(column.append for column in self.columns)

    def add(
        self, due_ns: int, sent_ns: int, done_ns: int, size: int, status: int, payload: int, outcome: int
    ) -> None:
        """Record one request; `outcome` is an index into OUTCOMES, `size` the answer's bytes."""
        due, sent, done, length, code, index, ended = self._append
        due(due_ns)
        sent(sent_ns)
        done(done_ns)
        length(size)
        code(status)
        index(payload)
        ended(outcome)

    def __len__(self) -> int:
        return len(self.columns[0])

    def write(self, file: Path) -> None:
        """Write the columns one after another, in the order of COLUMNS, in machine byte order."""
        with file.open("wb") as out:
            for column in self.columns:
                column.tofile(out)
