"""The driver's side of its pipes: it says that it is ready and how far it is, and is told what follows.

For the driver alone: it reads without holding up greenlets.
"""

import contextlib
import json
import os
import sys
from collections.abc import Callable

from gevent.fileobject import FileObjectPosix

from bench.load.drive_plan import READY, TELL_EVERY_S


class Parent:
    """The process that started this driver: it is written to on stdout and heard on stdin."""

    def __init__(self) -> None:
        self._heard = FileObjectPosix(os.dup(sys.stdin.fileno()), "rb")

    def await_start(self) -> int:
        """Say that everything is ready, and return the epoch (monotonic ns) that is told in reply."""
        self._say(READY)
        return int(self._heard.readline())

    def refuse(self, why: str) -> None:
        """Say in a line that a user understands why there will be no start."""
        self._say(json.dumps({"error": why}))

    def tell(self, tick: int, requests: int) -> None:
        """Say how many requests had ended once TELL_EVERY_S had passed this often."""
        self._say(json.dumps({"elapsed_s": round(tick * TELL_EVERY_S, 3), "requests": requests}))

    def follow(self, fix_window: Callable[[float], None], stop: Callable[[], None]) -> None:
        """Pass on the window's begin when it is told; a parent that is gone ends the load."""
        while line := self._heard.readline():
            fix_window(float(json.loads(line)["window_begin_s"]))
        stop()

    def _say(self, line: str) -> None:
        # a parent that is gone is seen by its other pipe
        with contextlib.suppress(BrokenPipeError):
            sys.stdout.write(line + "\n")
            sys.stdout.flush()
