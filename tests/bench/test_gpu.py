"""The GPU's figures from what NVIDIA's tool prints; a program that prints the same stands in for it."""

import os
import stat
import sys
import threading
import time
from pathlib import Path

import pytest

from bench.measure.machine.gpu import GpuWatch, Reading, figures_of, read_line
from bench.model import GpuFigures

MIB = 1024 * 1024
TOOL = """#!{python}
import sys, time
assert sys.argv[1:] == [
    "--query-gpu=index,utilization.gpu,memory.used,power.draw",
    "--format=csv,noheader,nounits",
    "--loop-ms=200",
], sys.argv
for line in {lines!r}:
    print(line)
if {stays}:
    while True:
        time.sleep(0.2)
        print({last!r})
sys.exit(3)
"""


@pytest.fixture
def tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is first on the PATH, for a program of that name."""
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    return tmp_path / "nvidia-smi"


def write_tool(file: Path, lines: list[str], *, stays: bool) -> None:
    file.write_text(TOOL.format(python=sys.executable, lines=lines, stays=stays, last=lines[-1]))
    file.chmod(file.stat().st_mode | stat.S_IXUSR)


def watched(seconds: float) -> GpuFigures | None:
    threads = threading.active_count()
    with GpuWatch() as watch:
        time.sleep(seconds)
    assert threading.active_count() == threads, "the reader ends with the window"
    return watch.figures


@pytest.mark.parametrize(
    ("line", "reading"),
    [
        ("0, 87, 4242, 312.55", Reading("0", 87.0, 4242.0, 312.55)),
        ("1, 0, 3, 65.1\r", Reading("1", 0.0, 3.0, 65.1)),
        ("0, [N/A], 512, [Not Supported]", Reading("0", None, 512.0, None)),
        ("0, [GPU is lost], [Unknown Error], N/A", Reading("0", None, None, None)),
        # a number is what it says, not whatever float() takes
        ("0, nan, inf, -1", Reading("0", None, None, None)),
        ("No devices were found", None),
        ("Unable to determine the device handle for GPU0000:00:04.0: Unknown Error", None),
        ("index, utilization.gpu [%], memory.used [MiB], power.draw [W]", None),
        ("", None),
    ],
)
def test_each_line_that_the_tool_prints_is_read(line: str, reading: Reading | None) -> None:
    assert read_line(line) == reading


def test_figures_are_the_mean_use_the_most_memory_and_the_mean_power_times_the_window() -> None:
    readings = [Reading("0", 0.0, 100.0, 50.0), Reading("0", 100.0, 300.0, 150.0)]
    assert figures_of(readings, 10.0) == GpuFigures(0.5, 300 * MIB, 1000.0)


def test_memory_is_of_as_much_of_a_longer_window_as_was_planned() -> None:
    readings = [Reading("0", 50.0, 100.0 + tick, 10.0) for tick in range(80)]
    assert figures_of(readings, 16.0, 4.0) == GpuFigures(0.5, 119 * MIB, 160.0)
    assert figures_of(readings, 16.0) == GpuFigures(0.5, 179 * MIB, 160.0)


def test_several_gpus_add_memory_and_power_and_share_the_mean_use() -> None:
    readings = [
        Reading("0", 100.0, 100.0, 50.0),
        Reading("1", 0.0, 40.0, 20.0),
        Reading("0", 100.0, 10.0, 50.0),
        Reading("1", 0.0, 120.0, 20.0),
    ]
    # 140 MiB, then 130: what each held at most, 220 in all, they never held together
    assert figures_of(readings, 2.0) == GpuFigures(0.5, 140 * MIB, 140.0)


def test_what_is_not_told_is_none_and_never_zero() -> None:
    assert figures_of([Reading("0", None, 7.0, None)], 1.0) == GpuFigures(None, 7 * MIB, None)
    assert figures_of([Reading("0", None, None, None)], 1.0) is None
    assert figures_of([], 1.0) is None


def test_a_window_is_watched_and_the_tool_ends_with_it(tool: Path) -> None:
    write_tool(tool, ["0, 40, 1000, 100.00"], stays=True)
    found = watched(1.5)
    assert found is not None
    assert (found.utilisation, found.peak_memory_bytes) == (0.4, 1000 * MIB)
    assert found.energy_j == pytest.approx(150.0, rel=0.3)


def test_a_tool_that_dies_within_the_window_gives_no_figure(tool: Path) -> None:
    write_tool(tool, ["0, 40, 1000, 100.00", "0, 41, 1000, 100.00"], stays=False)
    assert watched(1.0) is None


def test_a_tool_that_finds_no_device_gives_no_figure(tool: Path) -> None:
    write_tool(tool, ["No devices were found"], stays=True)
    assert watched(0.6) is None


def test_no_tool_is_no_figure_and_no_fault(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert watched(0.0) is None


def test_a_fault_within_the_window_ends_the_tool_too(tool: Path) -> None:
    write_tool(tool, ["0, 40, 1000, 100.00"], stays=True)
    threads, watch = threading.active_count(), GpuWatch()

    def interrupted() -> None:
        with watch:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert watch._process is not None
    assert watch._process.poll() is not None
    assert threading.active_count() == threads
