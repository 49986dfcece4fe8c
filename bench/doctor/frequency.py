"""Clock speed: what lets a core run faster in one minute than in the next."""

from dataclasses import dataclass

from bench.doctor.finding import Finding, unread
from bench.doctor.kernel import Kernel
from bench.measure.machine.fingerprint import turbo

CPU = "sys/devices/system/cpu"
THROTTLED = f"{CPU}/cpu[0-9]*/thermal_throttle/core_throttle_count"


@dataclass(frozen=True, slots=True)
class FrequencyFacts:
    """The service core's governor, whether turbo is on, and how often cores were throttled for heat.

    `throttled` counts since boot, `throttled_now` while the doctor worked; None if unknown.
    """

    governor: str | None
    turbo: bool | None
    throttled: int | None
    throttled_now: int | None


def read_frequency(kernel: Kernel, core: int, throttled_before: int | None) -> FrequencyFacts:
    """The facts now; `throttled_before` is throttle_count before the work."""
    throttled = throttle_count(kernel)
    now = None if throttled is None or throttled_before is None else throttled - throttled_before
    return FrequencyFacts(
        kernel.text(f"{CPU}/cpu{core}/cpufreq/scaling_governor"), turbo(kernel.root / CPU), throttled, now
    )


def throttle_count(kernel: Kernel) -> int | None:
    """How often the cores were throttled for heat since boot, None if the kernel does not count it."""
    counts = kernel.numbers(THROTTLED)
    return sum(counts) if counts else None


def judge_frequency(facts: FrequencyFacts) -> tuple[Finding, ...]:
    """The findings `governor`, `turbo` and `heat`."""
    return _governor(facts.governor), _turbo(facts.turbo), _heat(facts)


def _governor(governor: str | None) -> Finding:
    if not governor:
        return unread("governor", "the frequency governor cannot be read, as in most virtual machines")
    if governor == "performance":
        return Finding("governor", "good", "performance")
    what = f"{governor}: a core's speed follows its load, so a lightly loaded service looks slower"
    return Finding(
        "governor", "doubtful", what, "set it to performance (cpupower frequency-set -g performance)"
    )


def _turbo(on: bool | None) -> Finding:
    if on is None:
        return unread("turbo", "whether turbo is on cannot be read")
    if not on:
        return Finding("turbo", "good", "off")
    what = "on: a core's speed depends on heat and on how many others work"
    return Finding("turbo", "doubtful", what, "turn it off while measuring (in the firmware or intel_pstate)")


def _heat(facts: FrequencyFacts) -> Finding:
    if facts.throttled is None:
        return unread("heat", "throttling for heat cannot be read")
    remedy = "cool the machine, or lower its clock speed"
    if facts.throttled_now:
        what = f"cores were throttled {facts.throttled_now} times while this was measured"
        return Finding("heat", "bad", what, remedy)
    if facts.throttled:
        what = f"cores were throttled {facts.throttled} times since the start, not now"
        return Finding("heat", "doubtful", what, remedy)
    return Finding("heat", "good", "cores were never throttled")
