"""What the engine streams, as files to read from."""

from collections.abc import Iterable


class ChunkedFile:
    """An iterable of chunks as a file to read from."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._rest = memoryview(b"")

    def read(self, size: int) -> bytes:
        """The next `size` bytes, fewer only at the end."""
        parts, wanted = [], size
        while wanted > 0:
            if not self._rest:
                chunk = next(self._chunks, None)
                if chunk is None:
                    break
                self._rest = memoryview(chunk)
            part = self._rest[:wanted]
            parts.append(part)
            self._rest = self._rest[len(part) :]
            wanted -= len(part)
        return b"".join(parts)
