"""The memory that all threads together decode in, and its return to the system."""

import ctypes
import sys
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar
from weakref import finalize

from serving_core.errors import RequestError
from serving_core.wanted import check_still_wanted

MIB = 1024 * 1024
# How long a thread waits for memory before it asks whether its request is still wanted.
WAIT_S = 0.05
# The allocator keeps freed blocks up to 32 MiB. After this much memory was given back, it is made to let go.
TRIM_BYTES = 256 * MIB

Image = TypeVar("Image")


class DecodingMemory:
    """`limit_bytes` of memory; a thread that needs more than is left waits its turn.

    A thread takes all the memory of an image at once and waits for nothing else while it holds it, so threads
    never wait for each other for ever.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._taken_bytes = 0
        self._released_bytes = 0
        self._turns: deque[object] = deque()
        # reentrant: the collector may free an image, and so give back its memory, at any time
        self._changed = threading.Condition(threading.RLock())

    @property
    def taken_bytes(self) -> int:
        """The bytes that images in work hold."""
        return self._taken_bytes

    def take(self, need_bytes: int) -> Callable[[], None]:
        """Return what gives the memory back; waits until there is enough.

        Raises RequestError 413 if there will never be enough, and what `check_still_wanted` raises.
        """
        if need_bytes > self._limit_bytes:
            raise RequestError(
                413,
                f"the image takes {need_bytes // MIB} MiB to decode and the service has "
                f"{self._limit_bytes // MIB} MiB: send a smaller image, or set DECODE_BYTES",
            )
        turn = object()
        with self._changed:
            self._turns.append(turn)
            try:
                while self._turns[0] is not turn or self._taken_bytes + need_bytes > self._limit_bytes:
                    self._changed.wait(WAIT_S)
                    check_still_wanted()
                self._taken_bytes += need_bytes
            finally:
                self._turns.remove(turn)
                self._changed.notify_all()
        return lambda: self._give_back(need_bytes)

    def _give_back(self, held_bytes: int) -> None:
        with self._changed:
            self._taken_bytes -= held_bytes
            self._released_bytes += held_bytes
            trims = self._released_bytes >= TRIM_BYTES
            if trims:
                self._released_bytes = 0
            self._changed.notify_all()
        if trims:
            _trim()


def held_for(memory: DecodingMemory | None, need_bytes: int, decode: Callable[[], Image]) -> Image:
    """Return what `decode` makes; its share of a `memory` is held from before that until it is freed.

    Raises what `DecodingMemory.take` and `decode` raise.
    """
    if memory is None:
        return decode()
    give_back = memory.take(need_bytes)
    try:
        image = decode()
    except BaseException:
        give_back()
        raise
    finalize(image, give_back).atexit = False
    return image


def _trim() -> None:
    """Return freed memory to the system, if the C library can."""
    if sys.platform == "linux":
        with suppress(AttributeError):  # a C library other than GNU's
            ctypes.CDLL(None).malloc_trim(0)
