"""A JSON file of somebody else's, read with bounds: whatever it is, reading ends, and in memory for it."""

import errno
import json
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

# a thousand times as long as a run of hours
MOST_BYTES = 256 * 1024 * 1024
# JSON's own numbers have no end; from there on arithmetic has
MOST_NUMBER = 2**63
MOST_DIGITS = 20


def file_bytes(path: Path) -> bytes:
    """The content of a regular file; raises OSError for any other, and never waits for a writer."""
    with open(path, "rb", opener=_unwaiting) as file:  # pathlib takes no opener
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "not a file")
        if found.st_size > MOST_BYTES:
            raise OSError(errno.EFBIG, f"longer than {MOST_BYTES} bytes")
        return file.read()


def _unwaiting(name: str, flags: int) -> int:
    """Open it, but not wait for a writer if it is a pipe, as it may be where a file may be one."""
    return os.open(name, flags | getattr(os, "O_NONBLOCK", 0))


def json_from(content: bytes) -> Any:
    """The value; raises ValueError if it is not JSON, says a name twice, or has no end to its numbers."""
    try:
        found = msgspec.json.decode(content)
        json.loads(content, object_pairs_hook=_once, parse_int=_whole)
    except RecursionError:
        raise ValueError("nested without end") from None
    except msgspec.DecodeError as error:
        raise ValueError(str(error)) from None
    return found


def _whole(text: str) -> int:
    # more digits than any number of 64 bits has
    if len(text) > MOST_DIGITS or not -MOST_NUMBER <= int(text) < 2 * MOST_NUMBER:
        raise ValueError(f"the number {text[:MOST_DIGITS]} is out of range")
    return int(text)


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"it has {next(name for name in names if names.count(name) > 1)[:60]!r} twice")
    for name, value in pairs:
        if isinstance(value, int | float) and not -MOST_NUMBER < value < MOST_NUMBER:
            raise ValueError(f"{name[:60]!r} has a number that is out of range")
    return found
