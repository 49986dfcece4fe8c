"""A process that uses all that it can get of a core."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

CODE = "import os, sys\nos.sched_setaffinity(0, {int(sys.argv[1])})\nwhile True: pass"


@contextmanager
def burner(core: int) -> Iterator[None]:
    """Let it run on a core meanwhile."""
    process = subprocess.Popen([sys.executable, "-c", CODE, str(core)])
    try:
        yield
    finally:
        process.kill()
        process.wait()
