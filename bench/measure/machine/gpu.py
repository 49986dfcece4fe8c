"""The GPU over a window, as nvidia-smi reports it."""

import contextlib
import math
import os
import re
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from types import TracebackType
from typing import Self

from bench.model import GpuFigures

EVERY_MS = 200
FIELDS = ("index", "utilization.gpu", "memory.used", "power.draw")
COMMAND = (
    "nvidia-smi",
    f"--query-gpu={','.join(FIELDS)}",
    "--format=csv,noheader,nounits",
    f"--loop-ms={EVERY_MS}",
)
NUMBER = re.compile(r"\d+(\.\d+)?")
MIB = 1024 * 1024
STOP_S = 5.0


@dataclass(frozen=True, slots=True)
class Reading:
    """One GPU at one moment: utilisation in percent, memory in MiB, power in W; None if unknown."""

    index: str
    utilisation: float | None
    memory_mib: float | None
    power_w: float | None


def read_line(line: str) -> Reading | None:
    """Read one line of the tool's output; None if it is not a reading, such as a warning."""
    parts = [part.strip() for part in line.split(",")]
    if len(parts) != len(FIELDS) or not parts[0].isdigit():
        return None
    return Reading(parts[0], *(_number(part) for part in parts[1:]))


def figures_of(readings: Sequence[Reading], window_s: float, memory_s: float = math.inf) -> GpuFigures | None:
    """The figures of a window from evenly spaced readings of all GPUs; None without a value.

    Utilisation is the mean over GPUs and time, energy the mean power of all together times the window. Memory
    is the most that all held together within the window's first `memory_s`: more readings find a higher peak.
    """
    used = [reading.utilisation for reading in readings if reading.utilisation is not None]
    memory = _totals([(reading.index, reading.memory_mib) for reading in readings])
    memory = memory[: math.ceil(len(memory) * min(1.0, memory_s / window_s))]
    power = _totals([(reading.index, reading.power_w) for reading in readings])
    if not used and not memory and not power:
        return None
    return GpuFigures(
        utilisation=round(fmean(used) / 100, 4) if used else None,
        peak_memory_bytes=int(max(memory) * MIB) if memory else None,
        energy_j=round(fmean(power) * window_s, 2) if power else None,
    )


class GpuWatch:
    """Reads the GPU while its `with` block runs; `figures` is there when it has ended.

    They are None without the tool, or if it ended before the block did: it did not see the whole window. The
    most of memory is of the first `memory_s`.
    """

    def __init__(self, memory_s: float = math.inf) -> None:
        self._memory_s = memory_s
        self.figures: GpuFigures | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._thread: threading.Thread | None = None
        self._readings: list[Reading] = []
        self._began_s = 0.0

    def __enter__(self) -> Self:
        # the tool writes line by line to a terminal, but may keep back kilobytes of lines from a pipe
        # (Windows has only pipes)
        ours, theirs = os.openpty() if hasattr(os, "openpty") else os.pipe()
        self._began_s = time.monotonic()
        try:
            self._process = subprocess.Popen(  # noqa: S603  # a fixed command
                COMMAND,
                stdin=subprocess.DEVNULL,
                stdout=theirs,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError:
            os.close(ours)
        else:
            self._thread = threading.Thread(target=self._follow, args=(ours,), daemon=True)
            self._thread.start()
        finally:
            os.close(theirs)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        process, thread = self._process, self._thread
        if process is None or thread is None:
            return
        window_s = time.monotonic() - self._began_s
        saw_it_all = process.poll() is None
        process.terminate()
        try:
            process.wait(timeout=STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        thread.join(timeout=STOP_S)
        if saw_it_all:
            self.figures = figures_of(tuple(self._readings), window_s, self._memory_s)

    def _follow(self, terminal: int) -> None:
        # the terminal's other end closes with the tool: reading then ends with an error
        with open(terminal, encoding="utf-8", errors="replace") as lines, contextlib.suppress(OSError):
            for line in lines:
                reading = read_line(line)
                if reading is not None:
                    self._readings.append(reading)


def _number(text: str) -> float | None:
    """A field's value; a value that is not supported or not known is words in brackets, and None here."""
    return float(text) if NUMBER.fullmatch(text) else None


def _totals(values: Sequence[tuple[str, float | None]]) -> list[float]:
    """The sums over GPUs at each time that all were read, without the GPUs that do not report the value."""
    by_gpu: dict[str, list[float]] = {}
    for index, value in values:
        if value is not None:
            by_gpu.setdefault(index, []).append(value)
    return [sum(together) for together in zip(*by_gpu.values(), strict=False)]
