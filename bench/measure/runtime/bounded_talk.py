"""A process that is sent a request and read until it ends: bounded in time and in what it may write."""

import contextlib
import subprocess
import threading
import time
from typing import IO

from bench.measure.runtime.instance import StrategyStartError

MOST_OUTPUT = 64 * 1024 * 1024
BLOCK = 65_536


def talk(
    process: "subprocess.Popen[bytes]", request: bytes, timeout_s: float, who: str
) -> tuple[bytes, bytes]:
    """What the process writes to stdout and stderr after it was sent the request; the caller ends it.

    Raises StrategyStartError, of `who`, if it does not end in time or writes more than MOST_OUTPUT bytes.
    `Popen.communicate` keeps whatever comes: a loop that prints without end would take all memory.
    """
    deadline = time.monotonic() + timeout_s
    kept, too_much = {"stdout": bytearray(), "stderr": bytearray()}, threading.Event()

    def send(pipe: IO[bytes]) -> None:
        with contextlib.suppress(OSError), pipe:
            pipe.write(request)

    def read(pipe: IO[bytes], into: bytearray) -> None:
        with contextlib.suppress(OSError, ValueError):
            while block := pipe.read(BLOCK):
                into += block
                if len(into) > MOST_OUTPUT:
                    too_much.set()
                    process.kill()
                    return

    threads = [threading.Thread(target=send, args=(process.stdin,), daemon=True)] if process.stdin else []
    for name, pipe in (("stdout", process.stdout), ("stderr", process.stderr)):
        if pipe is not None:
            threads.append(threading.Thread(target=read, args=(pipe, kept[name]), daemon=True))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    if too_much.is_set():
        raise StrategyStartError(f"{who}: its loop wrote more than {MOST_OUTPUT} bytes")
    try:
        process.wait(max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        raise StrategyStartError(f"{who}: its loop did not end within {timeout_s:.0f} s") from None
    return bytes(kept["stdout"]), bytes(kept["stderr"])
