"""Memory: enough for a service and the driver, without swap."""

import contextlib
from dataclasses import dataclass

import psutil

from bench.doctor.finding import Finding, finding, graded_least, unread
from bench.doctor.kernel import Kernel

GIB = 1024**3
# a torch service takes about one, the driver with its samples some hundred MiB
NEEDED_GIB = (2.0, 1.0)
# a program's own memory goes to swap only in need
LOW_SWAPPINESS = 10
LIMITS = (
    ("sys/fs/cgroup/memory.max", "sys/fs/cgroup/memory.current"),
    ("sys/fs/cgroup/memory/memory.limit_in_bytes", "sys/fs/cgroup/memory/memory.usage_in_bytes"),
)


@dataclass(frozen=True, slots=True)
class MemoryFacts:
    """Bytes available without swapping, swap in use and in all, and the kernel's settings."""

    available_bytes: int
    swap_used_bytes: int | None
    swap_bytes: int | None
    swappiness: int | None
    oom_score_adj: int | None


def read_memory(kernel: Kernel) -> MemoryFacts:
    """The facts now; a limit of our own control group counts as the machine's."""
    available = psutil.virtual_memory().available
    for limit, used in LIMITS:
        most, now = kernel.number(limit), kernel.number(used)
        if most is not None and now is not None:
            available = min(available, max(0, most - now))
    swap_used, swap_all = None, None
    with contextlib.suppress(OSError, RuntimeError):
        swap = psutil.swap_memory()
        swap_used, swap_all = swap.used, swap.total
    return MemoryFacts(
        available,
        swap_used,
        swap_all,
        kernel.number("proc/sys/vm/swappiness"),
        kernel.number("proc/self/oom_score_adj"),
    )


def judge_memory(facts: MemoryFacts) -> tuple[Finding, ...]:
    """The findings `memory`, `swap` and `OOM score`."""
    gib = facts.available_bytes / GIB
    what = f"{gib:.1f} GiB are available; a service and the driver take up to {NEEDED_GIB[0]:g}"
    free = finding("memory", graded_least(gib, *NEEDED_GIB), what, "stop what uses memory")
    return free, _swap(facts), _oom(facts.oom_score_adj)


def _swap(facts: MemoryFacts) -> Finding:
    name, remedy = "swap", "turn it off while measuring (swapoff -a), or set vm.swappiness to 0"
    if facts.swap_bytes is None or facts.swap_used_bytes is None:
        return unread(name, "swap cannot be read")
    if not facts.swap_bytes:
        return Finding(name, "good", "none")
    if facts.swap_used_bytes:
        what = f"{facts.swap_used_bytes / GIB:.2f} GiB of swap are in use: what comes back from disk is slow"
        return Finding(name, "doubtful", what, remedy)
    if facts.swappiness is None or facts.swappiness > LOW_SWAPPINESS:
        what = f"none in use, but the kernel may begin (swappiness {facts.swappiness or 'unknown'})"
        return Finding(name, "doubtful", what, remedy)
    return Finding(name, "good", f"none in use, swappiness {facts.swappiness}")


def _oom(score: int | None) -> Finding:
    if score is None:
        return unread("OOM score", "which process the kernel ends first when memory runs out cannot be read")
    if score > 0:
        what = f"{score}: if memory runs out, the kernel ends the harness before others"
        return Finding("OOM score", "doubtful", what, "start it from a shell whose oom_score_adj is 0")
    return Finding("OOM score", "good", f"{score}: the harness is not ended before others")
