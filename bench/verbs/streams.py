"""The three standard streams: open whatever the caller closed, and safe to write to until the end."""

import contextlib
import io
import os
import sys

STDIN, STDOUT, STDERR = range(3)


def open_streams() -> bool:
    """Open what the caller closed on /dev/null; return whether stdout was open.

    Else the next file that is opened, such as a trial's samples, would get the stream's number.
    """
    was_open = True
    for number in (STDIN, STDOUT, STDERR):
        try:
            os.fstat(number)
        except OSError:
            was_open = was_open and number != STDOUT
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free, which is this
            _name(number)
    for stream in (sys.stdout, sys.stderr):
        # a terminal without a dash is no reason to lose what was measured
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    return was_open


def _name(number: int) -> None:
    """Give the stream its name in `sys`, which Python leaves None for a closed one."""
    if number == STDIN:
        sys.stdin = sys.stdin or open(STDIN, encoding="utf-8", closefd=False)  # noqa: SIM115  # open until the end
    elif number == STDOUT:
        sys.stdout = sys.stdout or open(STDOUT, "w", encoding="utf-8", closefd=False)  # noqa: SIM115  # the same
    else:
        sys.stderr = sys.stderr or open(STDERR, "w", encoding="utf-8", closefd=False)  # noqa: SIM115  # the same


def settle_streams() -> None:
    """Write out what is buffered; a stream that takes nothing any more is pointed at /dev/null.

    Python would else fail at its end, with a message and an exit code of its own.
    """
    for number, stream in ((STDOUT, sys.stdout), (STDERR, sys.stderr)):
        try:
            stream.flush()
        except OSError:
            with contextlib.suppress(OSError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), number)
