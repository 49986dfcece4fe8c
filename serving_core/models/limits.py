"""How long a file may be that a store sends."""

from dataclasses import dataclass
from typing import BinaryIO

from serving_core.errors import StoreError
from serving_core.models.sources import Corrupt

MOST_MODEL_BYTES = 8 * 1024**3


@dataclass(frozen=True, slots=True)
class LengthLimit:
    """The most bytes of a file, and what to do about a longer one."""

    size_bytes: int
    name: str
    remedy: str

    def check(self, where: str, size_bytes: int) -> None:
        """Raise StoreError if a file of this size is too long."""
        if size_bytes > self.size_bytes:
            raise StoreError(f"{where} is longer than {self.name}={self.size_bytes} bytes: {self.remedy}")


@dataclass(slots=True)
class Bounded:
    """Takes no more bytes into a file than were declared, or than a limit lets through."""

    file: BinaryIO
    declared_bytes: int | None
    limit: LengthLimit
    where: str
    taken_bytes: int = 0

    def write(self, chunk: bytes, /) -> int:
        """Write a chunk; raises Corrupt, or StoreError, before the first byte that is too many."""
        self.taken_bytes += len(chunk)
        if self.declared_bytes is not None and self.taken_bytes > self.declared_bytes:
            raise Corrupt(f"more than its {self.declared_bytes} bytes were sent")
        self.limit.check(self.where, self.taken_bytes)
        return self.file.write(chunk)
