"""The clock: its source, its step, and what a reading costs."""

import time
from dataclasses import dataclass

import numpy as np

from bench.doctor.finding import Finding, finding, graded, unread, worst
from bench.doctor.kernel import Kernel

GOOD_SOURCES = ("tsc", "kvm-clock", "arch_sys_counter", "hyperv_clocksource_tsc_page", "timebase")
BAD_SOURCES = ("hpet", "acpi_pm", "jiffies", "refined-jiffies", "pit")
STEP_US = (10.0, 1000.0)
READING_NS = (1000.0, 10_000.0)
READINGS = 100_000
SOURCE = "sys/devices/system/clocksource/clocksource0/current_clocksource"


@dataclass(frozen=True, slots=True)
class ClockFacts:
    """The monotonic clock: its source, its least step, how often it went back, and ns a reading."""

    source: str | None
    step_ns: float
    went_back: int
    reading_ns: float


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


def judge_clock(facts: ClockFacts) -> tuple[Finding, ...]:
    """The findings `clock source` and `clock`."""
    return _source(facts.source), _readings(facts)


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
