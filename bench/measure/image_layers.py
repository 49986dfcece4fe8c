"""One layer of an image as the engine streams it: its length, packed and unpacked, and what lies in it."""

import gzip
import os
import tarfile
import zlib
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import BinaryIO, Protocol, cast

from bench.measure.image_files import Entry, entries_of

GZIP_LEVEL = 6
BLOCK_BYTES = 4 * 1024 * 1024
WINDOW_BYTES = 32 * 1024
GZIP_FRAME_BYTES = 18
GZIP_MAGIC, ZSTD_MAGIC = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
SPOILED = (gzip.BadGzipFile, EOFError, zlib.error)
PACKED = (GZIP_MAGIC, ZSTD_MAGIC)  # a store that keeps layers as they were pulled


@dataclass(frozen=True, slots=True)
class LayerContent:
    """A layer that was read to its end.

    `packed_bytes` is what a pull moves, None where it was not asked for; `unpacked_bytes` is None where only
    the packed length could be seen, `entries` where the archive could not be read.
    """

    packed_bytes: int | None
    unpacked_bytes: int | None
    entries: tuple[Entry, ...] | None


class Readable(Protocol):
    """What can be read forwards."""

    def read(self, size: int) -> bytes:
        """The next bytes, none at the end."""


def read_layer(first: bytes, rest: Readable, *, pack: bool) -> LayerContent:
    """Read a layer, whose first block is known, to its end; `pack` asks for its packed length too."""
    packer = _Packer() if pack else None
    raw = _Blocks(first, rest, packer)
    try:
        if first.startswith(ZSTD_MAGIC):
            unpacked, entries = None, None
        elif first.startswith(GZIP_MAGIC):
            unpacked, entries = _unpack(cast(Readable, gzip.GzipFile(fileobj=cast(BinaryIO, raw))))
        else:
            unpacked, entries = _unpack(raw)
        _drain(raw)
    finally:
        packed = packer.finish() if packer else None
    return LayerContent(packed, unpacked, entries)


def gzip_size(blocks: Iterable[bytes]) -> int:
    """How long the blocks would be as one gzip file at level 6; what is compressed counts as it is."""
    packer = _Packer()
    for block in blocks:
        packer.feed(block)
    return packer.finish()


class _Packer:
    """Sums what gzip would make of blocks, which are compressed in parallel.

    Each has the 32 KB before it as dictionary, as pigz does.
    """

    def __init__(self) -> None:
        self._workers = os.cpu_count() or 1
        self._pool = ThreadPoolExecutor(self._workers)
        self._pending: list[Future[int]] = []
        self._before = b""
        self._total = GZIP_FRAME_BYTES
        self._as_it_is: bool | None = None

    def feed(self, block: bytes) -> None:
        """Take the next block."""
        if self._as_it_is is None:
            self._as_it_is = block.startswith(PACKED)
            self._total = 0 if self._as_it_is else self._total
        if self._as_it_is:
            self._total += len(block)
            return
        self._pending.append(self._pool.submit(_deflated, block, self._before))
        self._before = block[-WINDOW_BYTES:]
        if len(self._pending) > 2 * self._workers:
            self._total += self._pending.pop(0).result()

    def finish(self) -> int:
        """The sum, once every block is compressed."""
        total = self._total + sum(future.result() for future in self._pending)
        self._pool.shutdown()
        return total


class _Blocks:
    """A layer as a file, which hands each block on to be packed as it is read."""

    def __init__(self, first: bytes, rest: Readable, packer: _Packer | None) -> None:
        self._rest, self._packer = rest, packer
        self._block = memoryview(b"")
        self._ahead = first
        self.length = 0

    def read(self, size: int) -> bytes:
        """The next bytes, at most `size` and perhaps fewer, none at the end."""
        if not self._block:
            block = self._ahead or self._rest.read(BLOCK_BYTES)
            self._ahead = b""
            self.length += len(block)
            if self._packer is not None and block:
                self._packer.feed(block)
            self._block = memoryview(block)
        part, self._block = self._block[:size], self._block[size:]
        return bytes(part)


class _Whole:
    """A file whose reads are as long as was asked, and which knows how much was read."""

    def __init__(self, file: Readable) -> None:
        self._file = file
        self.length = 0

    def read(self, size: int) -> bytes:
        """The next `size` bytes, fewer only at the end."""
        parts, wanted = [], size
        while wanted > 0 and (part := self._file.read(wanted)):
            parts.append(part)
            wanted -= len(part)
        self.length += size - wanted
        return b"".join(parts)


def _unpack(file: Readable) -> tuple[int | None, tuple[Entry, ...] | None]:
    """The length of an archive and its entries; the length alone where it is none."""
    whole = _Whole(file)
    entries: tuple[Entry, ...] | None
    try:
        with tarfile.open(fileobj=cast(BinaryIO, whole), mode="r|", bufsize=BLOCK_BYTES) as archive:
            entries = tuple(entries_of(archive))
    except (tarfile.TarError, *SPOILED):
        entries = None
    try:
        _drain(whole)
    except SPOILED:
        return None, None
    return whole.length, entries


def _drain(file: Readable) -> None:
    while file.read(BLOCK_BYTES):
        pass


def _deflated(block: bytes, before: bytes) -> int:
    packer = zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS, zdict=before)
    return len(packer.compress(block)) + len(packer.flush(zlib.Z_SYNC_FLUSH))
