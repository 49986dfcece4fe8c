"""A program in a session of its own, with all that it started: both end together."""

import contextlib
import os
import signal
import subprocess


def ask_group_to_end(process: subprocess.Popen[bytes]) -> None:
    """Send SIGTERM to all of them; Windows has no such groups, so there the program alone ends."""
    if not hasattr(os, "killpg"):
        process.terminate()
        return
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """Send SIGKILL to all of them, or end the program alone where there are no groups."""
    if not hasattr(os, "killpg"):
        process.kill()
        return
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
