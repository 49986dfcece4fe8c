"""The clock: its source, what a reading costs, and by how much a short sleep overshoots."""

import time
from dataclasses import dataclass

import numpy as np

from bench.doctor.finding import Finding, finding, graded, unread, worst
from bench.doctor.kernel import Kernel

GOOD_SOURCES = ("tsc", "kvm-clock", "arch_sys_counter", "hyperv_clocksource_tsc_page", "timebase")
BAD_SOURCES = ("hpet", "acpi_pm", "jiffies", "refined-jiffies", "pit")
STEP_US = (10.0, 1000.0)
READING_NS = (1000.0, 10_000.0)
SLEEP_MS = 1.0
# a request counts as late that is sent 10 ms after it was due; one in a hundred voids a trial
OVERSHOOT_P99_MS = (2.0, 10.0)
READINGS = 100_000
SOURCE = "sys/devices/system/clocksource/clocksource0/current_clocksource"


@dataclass(frozen=True, slots=True)
class ClockFacts:
    """The monotonic clock: its source, its least step, how often it went back, and ns a reading."""

    source: str | None
    step_ns: float
    went_back: int
    reading_ns: float


@dataclass(frozen=True, slots=True)
class SleepFacts:
    """By how many milliseconds a sleep of 1 ms overshot: the median and the 99th percentile."""

    median_ms: float
    p99_ms: float


def read_clock(kernel: Kernel) -> ClockFacts:
    """Read the clock many times in a row."""
    read = time.monotonic_ns
    begin = read()
    readings = np.array([read() for _ in range(READINGS)], dtype=np.int64)
    cost_ns = (read() - begin) / READINGS
    steps = np.diff(readings)
    forward = steps[steps > 0]
    return ClockFacts(
        source=kernel.text(SOURCE),
        step_ns=float(forward.min()) if len(forward) else float("inf"),
        went_back=int((steps < 0).sum()),
        reading_ns=cost_ns,
    )


def read_sleep(count: int) -> SleepFacts:
    """Sleep 1 ms `count` times; the caller has pinned this thread to the driver's core."""
    over = np.empty(count)
    for number in range(count):
        begin = time.monotonic_ns()
        time.sleep(SLEEP_MS / 1e3)
        over[number] = (time.monotonic_ns() - begin) / 1e6 - SLEEP_MS
    return SleepFacts(float(np.median(over)), float(np.quantile(over, 0.99, method="inverted_cdf")))


def judge_clock(facts: ClockFacts) -> tuple[Finding, ...]:
    """The findings `clock source` and `clock`."""
    return _source(facts.source), _readings(facts)


def judge_sleep(facts: SleepFacts) -> Finding:
    """The finding `sleep`: an open loop cannot send nearer to its schedule than a sleep ends."""
    what = (
        f"a sleep of {SLEEP_MS:g} ms ends {facts.median_ms:.2f} ms late in the median, "
        f"{facts.p99_ms:.2f} ms at p99: an open loop sends that much too late"
    )
    remedy = "let nothing else use the driver's core; in a virtual machine, give it cores of its own"
    return finding("sleep", graded(facts.p99_ms, *OVERSHOOT_P99_MS), what, remedy)


def _source(source: str | None) -> Finding:
    name, remedy = "clock source", "let the kernel take tsc: boot with clocksource=tsc"
    if not source:
        return unread(name, "the kernel's clock source cannot be read here")
    if source in BAD_SOURCES:
        return Finding(name, "bad", f"{source}: coarse, or slow to read", remedy)
    if source not in GOOD_SOURCES:
        return Finding(name, "doubtful", f"{source}: not known to be fast and steady", remedy)
    return Finding(name, "good", f"{source}, which is read without asking the kernel")


def _readings(facts: ClockFacts) -> Finding:
    remedy = "let the kernel take another clock source (see above); report it if the clock goes back"
    if facts.went_back:
        return Finding("clock", "bad", f"the monotonic clock went back {facts.went_back} times", remedy)
    grade = worst(graded(facts.step_ns / 1e3, *STEP_US), graded(facts.reading_ns, *READING_NS))
    what = f"a reading costs {facts.reading_ns:.0f} ns, least step {facts.step_ns:.0f} ns, never back"
    return finding("clock", grade, what, remedy)
