"""A service's processes that compute when a line asks for it, and say themselves what CPU time they used.

Lines: `self`, `child` (it lives on), `reaped` (a child that ends), `below` (a child's child, both live on),
`orphan` (the child between ends, and the process below lives on), `end` (that ends too, and nobody here reaps
it). The answer to each is the CPU seconds of all processes that there were.
"""

import os
import resource
import signal
import sys
import time

BURN_S = 0.25


def used_s() -> float:
    """CPU seconds of this process."""
    told = resource.getrusage(resource.RUSAGE_SELF)
    return told.ru_utime + told.ru_stime


def burn() -> None:
    """Compute for so much CPU time."""
    until_s = used_s() + BURN_S
    while used_s() < until_s:
        pass


def computed(*, lives: bool, below: bool = False) -> tuple[int, int, float]:
    """The numbers of a child and of the process that computed, which may be below it, and what that used."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        if not (below and os.fork()):
            burn()
            os.write(writing, f"{os.getpid()} {used_s()}\n".encode())
        if lives:
            time.sleep(600)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as told:
        pid, seconds = told.readline().split()
    return child, int(pid), float(seconds)


def main() -> None:
    """Do what the lines say."""
    others_s, between, lowest = 0.0, 0, 0
    for line in sys.stdin:
        match line.strip():
            case "self":
                burn()
            case "child":
                others_s += computed(lives=True)[2]
            case "reaped":
                child, _, seconds = computed(lives=False)
                others_s += seconds
                os.waitpid(child, 0)
            case "below":
                between, lowest, seconds = computed(lives=True, below=True)
                others_s += seconds
            case "orphan":
                os.kill(between, signal.SIGKILL)
                os.waitpid(between, 0)
            case "end":
                os.kill(lowest, signal.SIGKILL)
        print(used_s() + others_s, flush=True)


if __name__ == "__main__":
    main()
